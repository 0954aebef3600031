package nawasync_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

func TestFailureIsRetriedUntilItsAttemptsAreUsedUp(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		events := make(chan nawasync.Event, 10)
		e := h.Engine(func(c *nawasync.Config) { c.OnEvent = func(_ context.Context, ev nawasync.Event) { events <- ev } })
		enginetest.NoError(t, nawasync.Register(e, &enginetest.Handler[enginetest.JobArgs]{
			Wait: 10 * time.Millisecond,
			Do: func(_ context.Context, run *nawasync.Run[enginetest.JobArgs]) error {
				if run.LastAttempt() != (run.Attempt() == 3) {
					t.Errorf("attempt %d: LastAttempt is %v", run.Attempt(), run.LastAttempt())
				}
				return enginetest.ErrBoom
			},
		}))
		h.Start(e)
		job := enginetest.WaitStatus(t, e, enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "a"}).ID, tracker.StatusFailed)
		if job.Attempt != 3 || job.Epoch != 2 || job.Error != "boom" || job.ErrorClass != "error" {
			t.Fatalf("job %+v, want it failed after three attempts", job)
		}
		attempts, err := e.Reader().Attempts(t.Context(), job)
		enginetest.NoError(t, err)
		if len(attempts) != 3 || attempts[0].Outcome != "retry" || attempts[2].Outcome != "failed" {
			t.Fatalf("attempts %+v, want two retries and a failure", attempts)
		}
		if ev := <-events; ev.Type != nawasync.EventFinalFailed || ev.Job.ID != job.ID {
			t.Fatalf("event %+v, want the final failure of job %d", ev, job.ID)
		}
	})
}

func TestErrorOfExecuteDeterminesStatusAndErrorClass(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		e := h.Engine(nil)
		outcomes := map[string]struct {
			err    error
			status tracker.Status
			class  string
		}{
			"skip":      {nawasync.Skip("nothing to do"), tracker.StatusSkipped, ""},
			"conflict":  {nawasync.Conflict("the object has changed", nawasync.ConflictDetail{Base: 1, Desired: 2, Remote: 3}), tracker.StatusConflict, "conflict"},
			"permanent": {nawasync.Permanent(enginetest.ErrBoom), tracker.StatusFailed, "permanent"},
			"config":    {fault.WithClass(fault.ClassConfig, enginetest.ErrBoom), tracker.StatusFailed, "config"},
			"gone":      {fault.WithClass(fault.ClassGone, enginetest.ErrBoom), tracker.StatusFailed, "gone"},
			"ok":        {nil, tracker.StatusSuccess, ""},
		}
		enginetest.Register(t, e, func(_ context.Context, run *nawasync.Run[enginetest.JobArgs]) error {
			return outcomes[run.Args.ID].err
		})
		h.Start(e)
		ids := map[string]int64{}
		for name := range outcomes {
			ids[name] = enginetest.Dispatch(t, e, enginetest.JobArgs{ID: name}).ID
		}
		for name, want := range outcomes {
			job := enginetest.WaitStatus(t, e, ids[name], want.status)
			if job.ErrorClass != want.class || job.Attempt != 1 {
				t.Errorf("%s: job %+v, want class %q after one attempt", name, job, want.class)
			}
			if name == "conflict" && string(job.Diff) != `{"base":1,"desired":2,"remote":3}` {
				t.Errorf("conflict details %s", job.Diff)
			}
		}
	})
}

func TestOnSuccessCommitsWithTheOutcomeOrUndoesIt(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		enginetest.NoError(t, db.Exec("CREATE TABLE effects (n INT)").Error)
		e := h.Engine(nil)
		enginetest.NoError(t, nawasync.Register(e, &enginetest.Handler[enginetest.JobArgs]{
			Wait: time.Millisecond,
			Do: func(_ context.Context, run *nawasync.Run[enginetest.JobArgs]) error {
				run.OnSuccess(func(tx *gorm.DB) error {
					if err := tx.Exec("INSERT INTO effects (n) VALUES (?)", run.Args.N).Error; err != nil {
						return err
					}
					if run.Args.ID == "bad" {
						return enginetest.ErrBoom
					}
					_, err := e.DispatchTx(context.Background(), tx, otherArgs{ID: "next"}, nawasync.Options{})
					return err
				})
				return nil
			},
		}))
		followed := make(chan struct{}, 1)
		enginetest.NoError(t, nawasync.Register(e, &enginetest.Handler[otherArgs]{Do: func(context.Context, *nawasync.Run[otherArgs]) error {
			followed <- struct{}{}
			return nil
		}}))
		h.Start(e)
		good := enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "good", N: 1})
		bad := enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "bad", N: 2})
		enginetest.WaitStatus(t, e, good.ID, tracker.StatusSuccess)
		if job := enginetest.WaitStatus(t, e, bad.ID, tracker.StatusFailed); !strings.Contains(job.Error, "OnSuccess failed") || job.Attempt != 3 {
			t.Fatalf("job %+v, want it failed after three attempts", job)
		}
		<-followed
		var effects []int
		enginetest.NoError(t, db.Raw("SELECT n FROM effects").Scan(&effects).Error)
		if len(effects) != 1 || effects[0] != 1 {
			t.Fatalf("effects %v, want only that of the successful job", effects)
		}
	})
}

func TestOnSuccessDispatchesWithTheContextOfExecute(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		e := h.Engine(nil)
		ended := make(chan error, 2)
		enginetest.Register(t, e, func(ctx context.Context, run *nawasync.Run[enginetest.JobArgs]) error {
			go func() {
				<-ctx.Done()
				ended <- context.Cause(ctx)
			}()
			run.OnSuccess(func(tx *gorm.DB) error {
				_, err := e.DispatchTx(ctx, tx, otherArgs{ID: "next of " + run.Args.ID}, nawasync.Options{})
				return errors.Join(err, ctx.Err())
			})
			return nil
		})
		followed := make(chan struct{}, 1)
		enginetest.NoError(t, nawasync.Register(e, &enginetest.Handler[otherArgs]{Do: func(context.Context, *nawasync.Run[otherArgs]) error {
			followed <- struct{}{}
			return nil
		}}))
		h.Start(e)
		enginetest.WaitStatus(t, e, enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "a"}).ID, tracker.StatusSuccess)
		<-followed
		if cause := <-ended; !errors.Is(cause, context.Canceled) {
			t.Errorf("after the outcome the context ended with %v, want context.Canceled", cause)
		}
	})
}

func TestOnSuccessThatIgnoresADatabaseErrorUndoesTheSuccess(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		e := h.Engine(nil)
		enginetest.NoError(t, nawasync.Register(e, &enginetest.Handler[enginetest.JobArgs]{
			Wait: time.Millisecond,
			Do: func(_ context.Context, run *nawasync.Run[enginetest.JobArgs]) error {
				run.OnSuccess(func(tx *gorm.DB) error {
					_ = tx.Exec("SELECT no_such_column FROM nawasync_jobs").Error
					return nil
				})
				return nil
			},
		}))
		h.Start(e)
		want := tracker.StatusSuccess // SQLite and MySQL continue a transaction after an error
		if db.Dialect == "postgres" {
			want = tracker.StatusFailed
		}
		enginetest.WaitStatus(t, e, enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "a"}).ID, want)
	})
}

func TestRefusedCredentialsParkTheScopeAndResumeWakesIt(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		var bad atomic.Bool
		bad.Store(true)
		var attempts atomic.Int64
		events := make(chan nawasync.Event, 100)
		e := h.Engine(func(c *nawasync.Config) {
			c.Queues = map[string]nawasync.Queue{"default": {Slots: 2}}
			c.OnEvent = func(_ context.Context, ev nawasync.Event) { events <- ev }
		})
		enginetest.Register(t, e, func(_ context.Context, run *nawasync.Run[enginetest.JobArgs]) error {
			if run.Args.Instance == "main" && bad.Load() {
				attempts.Add(1)
				return fault.WithClass(fault.ClassCredentials, errors.New("HTTP 403"))
			}
			return nil
		})
		h.Start(e)
		first := enginetest.Dispatch(t, e, enginetest.JobArgs{Instance: "main", ID: "first"})
		if ev := <-events; ev.Type != nawasync.EventParked || ev.Scope.Instance != "main" {
			t.Fatalf("event %+v, want that the scope of instance main is parked", ev)
		}
		var ids []int64
		for i := range 30 {
			ids = append(ids, enginetest.Dispatch(t, e, enginetest.JobArgs{Instance: "main", ID: fmt.Sprint(i)}).ID)
		}
		enginetest.WaitStatus(t, e, enginetest.Dispatch(t, e, enginetest.JobArgs{Instance: "other", ID: "x"}).ID, tracker.StatusSuccess)
		parked := enginetest.WaitStatus(t, e, first.ID, tracker.StatusQueued)
		if attempts.Load() != 1 || parked.Attempt != 0 || parked.ErrorClass != "credentials" {
			t.Fatalf("%d attempts, job %+v; want one attempt, which is not consumed", attempts.Load(), parked)
		}
		scopes, err := e.Reader().Scopes(t.Context())
		enginetest.NoError(t, err)
		if len(scopes) != 1 || !scopes[0].Parked {
			t.Fatalf("scopes %+v, want one that is parked", scopes)
		}
		bad.Store(false)
		found, err := e.Resume(t.Context(), "notes", "main", nawasync.OperatorOptions{})
		enginetest.NoError(t, err)
		if !found {
			t.Fatal("Resume found nothing to resume")
		}
		for _, id := range append(ids, first.ID) {
			enginetest.WaitStatus(t, e, id, tracker.StatusSuccess)
		}
	})
}

func TestBackoffIs10Then30SecondsWithJitterAndADelayIsKept(t *testing.T) {
	enginetest.WithVirtualTime(t, func(t *testing.T, h *enginetest.Harness) {
		e := h.Unhurried(nil)
		starts := make(chan time.Time, 10)
		enginetest.Register(t, e, func(context.Context, *nawasync.Run[enginetest.JobArgs]) error {
			starts <- time.Now()
			return enginetest.ErrBoom
		})
		h.Start(e)
		dispatched := time.Now()
		job, err := e.Dispatch(t.Context(), enginetest.JobArgs{ID: "a"}, nawasync.Options{Delay: time.Hour})
		enginetest.NoError(t, err)
		first, second, third := <-starts, <-starts, <-starts
		for _, gap := range []struct {
			name               string
			got, least, atMost time.Duration
		}{
			{"delay", first.Sub(dispatched), time.Hour, time.Hour + 15*time.Second},
			{"first backoff", second.Sub(first), 8 * time.Second, 12*time.Second + 15*time.Second},
			{"second backoff", third.Sub(second), 24 * time.Second, 36*time.Second + 15*time.Second},
		} {
			if gap.got < gap.least || gap.got > gap.atMost {
				t.Errorf("%s was %s, want %s to %s", gap.name, gap.got, gap.least, gap.atMost)
			}
		}
		enginetest.WaitStatus(t, e, job.ID, tracker.StatusFailed)
	})
}

func TestJobThatDoesNotFinishInAWeekExpires(t *testing.T) {
	enginetest.WithVirtualTime(t, func(t *testing.T, h *enginetest.Harness) {
		e := h.Unhurried(nil)
		enginetest.Register(t, e, func(context.Context, *nawasync.Run[enginetest.JobArgs]) error {
			return nawasync.RetryAfter(24*time.Hour, errors.New("not yet"))
		})
		h.Start(e)
		waiting := enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "waiting"})
		unserved := enginetest.Dispatch(t, e, otherArgs{ID: "unserved"})
		for range 4 {
			h.Skip(24 * time.Hour)
		}
		if row, err := e.Reader().Get(t.Context(), waiting.ID); err != nil || row.Status != tracker.StatusQueued || row.Attempt != 0 {
			t.Fatalf("job %+v, error %v; want it queued with no consumed attempt", row, err)
		}
		for range 4 {
			h.Skip(24 * time.Hour)
		}
		for _, id := range []int64{waiting.ID, unserved.ID} {
			if row, err := e.Reader().Get(t.Context(), id); err != nil || row.Status != tracker.StatusFailed || row.ErrorClass != "expired" {
				t.Fatalf("job %+v, error %v; want it expired", row, err)
			}
		}
	})
}

func TestScopeIsParkedForTheRetryAfterOfAnErrorWrappedWithAHint(t *testing.T) {
	t.Parallel()
	h := enginetest.New(t, testdb.SQLite(t))
	events := make(chan nawasync.Event, 10)
	e := h.Engine(func(c *nawasync.Config) { c.OnEvent = func(_ context.Context, ev nawasync.Event) { events <- ev } })
	enginetest.Register(t, e, func(context.Context, *nawasync.Run[enginetest.JobArgs]) error {
		limited := &fault.Error{Class: fault.ClassRateLimited, RetryAfter: 6 * time.Hour, Err: errors.New("HTTP 429")}
		return errors.Join((*fault.Error)(nil), &fault.Error{Hint: "ask for a higher limit", Err: limited})
	})
	h.Start(e)
	enginetest.Dispatch(t, e, enginetest.JobArgs{Instance: "main", ID: "a"})
	event := <-events
	if event.Type != nawasync.EventParked || time.Until(event.Scope.Until) < 5*time.Hour {
		t.Errorf("event %+v, scope %+v; want it parked for about 6 h", event, event.Scope)
	}
}
