package nawasync_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

func TestDispatchedJobRunsToSuccess(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		e := h.Engine(nil)
		enginetest.Register(t, e, func(_ context.Context, run *nawasync.Run[enginetest.JobArgs]) error {
			run.Logf("writing %d", run.Args.N)
			run.SetResult(map[string]int{"n": run.Args.N})
			return nil
		})
		h.Start(e)
		job := enginetest.WaitStatus(t, e, enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "a", N: 7}).ID, tracker.StatusSuccess)
		if string(job.Result) != `{"n":7}` || job.TriggeredBy != "user:7" || job.Attempt != 1 {
			t.Fatalf("job %+v, want result {\"n\":7}, user:7 and one attempt", job)
		}
		attempts, err := e.Reader().Attempts(t.Context(), job)
		enginetest.NoError(t, err)
		if len(attempts) != 1 || !strings.Contains(attempts[0].Log, "writing 7") {
			t.Fatalf("attempts %+v, want one with the handler's log", attempts)
		}
	})
}

func TestPanicTimeoutAndBadArgumentsFailTheJobButNotTheProcess(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		e := h.Engine(nil)
		enginetest.NoError(t, nawasync.Register(e, &enginetest.Handler[enginetest.JobArgs]{
			Wait: time.Millisecond, Limit: 50 * time.Millisecond,
			Do: func(ctx context.Context, run *nawasync.Run[enginetest.JobArgs]) error {
				switch run.Args.ID {
				case "panic":
					panic("at the disco")
				case "slow":
					<-ctx.Done()
					if !errors.Is(context.Cause(ctx), nawasync.ErrTimeout) {
						t.Errorf("cause %v, want ErrTimeout", context.Cause(ctx))
					}
					return ctx.Err()
				}
				return nil
			},
		}))
		bad := enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "bad"})
		enginetest.NoError(t, db.Exec("UPDATE nawasync_jobs SET payload = ? WHERE id = ?", `{"id": 5}`, bad.ID).Error)
		h.Start(e)
		panicked := enginetest.WaitStatus(t, e, enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "panic"}).ID, tracker.StatusFailed)
		if panicked.ErrorClass != "panic" || panicked.Error != "panic: at the disco" || panicked.Attempt != 3 {
			t.Errorf("job that panics: %+v", panicked)
		}
		attempts, err := e.Reader().Attempts(t.Context(), panicked)
		enginetest.NoError(t, err)
		if len(attempts) != 3 || !strings.Contains(attempts[0].Stack, "execute_test.go") {
			t.Errorf("attempts %+v, want three with the stack of the panic", attempts)
		}
		if job := enginetest.WaitStatus(t, e, enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "slow"}).ID, tracker.StatusFailed); job.ErrorClass != "timeout" {
			t.Errorf("job that times out: %+v", job)
		}
		if job := enginetest.WaitStatus(t, e, bad.ID, tracker.StatusFailed); job.ErrorClass != "undecodable" || job.Attempt != 1 {
			t.Errorf("job with bad arguments: %+v", job)
		}
		enginetest.WaitStatus(t, e, enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "fine"}).ID, tracker.StatusSuccess)
	})
}

func TestPanicOutsideExecuteFailsTheJob(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		e := h.Engine(nil)
		enginetest.NoError(t, nawasync.Register(e, &enginetest.Handler[enginetest.JobArgs]{
			Wait: time.Millisecond,
			Do: func(_ context.Context, run *nawasync.Run[enginetest.JobArgs]) error {
				if run.Args.N == 1 {
					var err *brokenError
					return err
				}
				run.SetResult(brokenResult{})
				return nil
			},
		}))
		h.Start(e)
		for n, want := range []string{"no JSON today", "nil pointer"} {
			job := enginetest.WaitStatus(t, e, enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "a", N: n}).ID, tracker.StatusFailed)
			if job.ErrorClass != "panic" || !strings.Contains(job.Error, want) {
				t.Errorf("class %s, error %q; want a panic with %q", job.ErrorClass, job.Error, want)
			}
		}
	})
}

func TestHandlerThatIgnoresItsContextKeepsItsSlotAndLaneAndIsShownAsStuck(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		release := make(chan struct{})
		e := h.Engine(func(c *nawasync.Config) { c.StopGrace = 10 * time.Millisecond })
		enginetest.NoError(t, nawasync.Register(e, &enginetest.Handler[enginetest.JobArgs]{
			Limit: 50 * time.Millisecond, Wait: time.Millisecond,
			Do: func(_ context.Context, run *nawasync.Run[enginetest.JobArgs]) error {
				if run.Args.N == 0 && run.Attempt() == 1 {
					<-release
				}
				return nil
			},
		}))
		h.Start(e)
		stuck := enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "a"})
		behind := enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "a", N: 1})
		enginetest.WaitStatus(t, e, stuck.ID, tracker.StatusRunning)
		enginetest.Eventually(t, 10*time.Second, "stuck", func() bool {
			row, err := e.Reader().Get(t.Context(), stuck.ID)
			return err == nil && row.Stuck(time.Now())
		})
		enginetest.WaitStatus(t, e, enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "b", N: 1}).ID, tracker.StatusSuccess)
		if row, err := e.Reader().Get(t.Context(), behind.ID); err != nil || row.Status != tracker.StatusQueued {
			t.Fatalf("job %+v, error %v; want it queued behind the stuck job", row, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		if err := e.Stop(ctx); err == nil || !strings.Contains(err.Error(), "1 jobs ignored") {
			t.Errorf("Stop: error %v, want one that counts the stuck job", err)
		}
		// The stuck job may still write to the remote, so Stop must not requeue it.
		if row, err := e.Reader().Get(t.Context(), stuck.ID); err != nil || row.Status != tracker.StatusRunning {
			t.Errorf("stuck job %+v, error %v; want it running", row, err)
		}
		close(release)
		next := h.Tuned(host.Tuning{Beat: 20 * time.Millisecond, DeadAfter: 500 * time.Millisecond, LeaseTTL: 400 * time.Millisecond}, nil)
		enginetest.Register(t, next, enginetest.DoNothing)
		h.Start(next)
		enginetest.WaitStatus(t, next, behind.ID, tracker.StatusSuccess)
	})
}

// brokenResult panics when it is marshalled.
type brokenResult struct{}

func (brokenResult) MarshalJSON() ([]byte, error) { panic("no JSON today") }

// brokenError panics when it is nil and its text is read.
type brokenError struct{ text string }

func (e *brokenError) Error() string { return e.text }
