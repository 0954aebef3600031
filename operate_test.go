package nawasync_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/secret"
	"github.com/nawasara/nawasync/tracker"
)

func TestCancelEndsQueuedJobsAtOnceAndRunningOnesSoon(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		e := h.Engine(nil)
		started := make(chan struct{}, 10)
		enginetest.Register(t, e, func(ctx context.Context, run *nawasync.Run[enginetest.JobArgs]) error {
			started <- struct{}{}
			if run.Args.N == 0 {
				return nil
			}
			<-ctx.Done()
			if run.Args.N == 2 {
				return nil
			}
			return context.Cause(ctx)
		})
		h.Start(e)
		running := enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "a", N: 1})
		behind := enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "a", N: 1})
		last := enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "a"})
		<-started
		cancelled, err := e.Cancel(t.Context(), behind.ID, nawasync.OperatorOptions{By: "user:9"})
		enginetest.NoError(t, err)
		if cancelled.Status != tracker.StatusCancelled || cancelled.CancelBy != "user:9" {
			t.Fatalf("queued job %+v, want it cancelled by user:9", cancelled)
		}
		requested, err := e.Cancel(t.Context(), running.ID, nawasync.OperatorOptions{By: "user:9"})
		enginetest.NoError(t, err)
		if requested.Status != tracker.StatusRunning || requested.CancelAt.IsZero() {
			t.Fatalf("running job %+v, want it running with a request to cancel it", requested)
		}
		if job := enginetest.WaitStatus(t, e, running.ID, tracker.StatusCancelled); job.CancelBy != "user:9" || job.Attempt != 1 {
			t.Fatalf("job %+v, want it cancelled by user:9 in its first attempt", job)
		}
		enginetest.WaitStatus(t, e, last.ID, tracker.StatusSuccess)
		succeeding := enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "b", N: 2})
		<-started
		<-started
		_, err = e.Cancel(t.Context(), succeeding.ID, nawasync.OperatorOptions{By: ""})
		enginetest.NoError(t, err)
		enginetest.WaitStatus(t, e, succeeding.ID, tracker.StatusSuccess)
		if _, err := e.Cancel(t.Context(), succeeding.ID, nawasync.OperatorOptions{By: ""}); !errors.Is(err, nawasync.ErrEnded) {
			t.Fatalf("error %v, want ErrEnded", err)
		}
	})
}

func TestRetriesOfOneJobAreOneJobWhileTheFirstIsOpen(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		e := h.Engine(nil)
		var fails atomic.Bool
		fails.Store(true)
		release := make(chan struct{})
		enginetest.Register(t, e, func(context.Context, *nawasync.Run[enginetest.JobArgs]) error {
			if fails.Load() {
				return nawasync.Permanent(enginetest.ErrBoom)
			}
			<-release
			return nawasync.Permanent(enginetest.ErrBoom)
		})
		h.Start(e)
		failed := enginetest.WaitStatus(t, e, enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "a"}).ID, tracker.StatusFailed)
		fails.Store(false)
		ids := make(chan int64, 20)
		var clicks sync.WaitGroup
		for range 20 {
			clicks.Go(func() {
				job, err := e.Retry(t.Context(), failed.ID, nawasync.RetryOptions{By: "user:1"})
				if err != nil {
					t.Error(err)
					return
				}
				ids <- job.ID
			})
		}
		clicks.Wait()
		close(ids)
		retries := map[int64]bool{}
		for id := range ids {
			retries[id] = true
		}
		if len(retries) != 1 {
			t.Errorf("20 retries dispatched %d jobs, want 1", len(retries))
		}
		close(release)
		for id := range retries {
			enginetest.WaitStatus(t, e, id, tracker.StatusFailed)
		}
		for id := range retries {
			if again, err := e.Retry(t.Context(), failed.ID, nawasync.RetryOptions{By: "user:1"}); !errors.Is(err, nawasync.ErrSuperseded) {
				t.Errorf("after the first retry has failed, the job itself was retried as %+v, error %v", again, err)
			}
			again, err := e.Retry(t.Context(), id, nawasync.RetryOptions{By: "user:1"})
			enginetest.NoError(t, err)
			if again.ID == id || again.RetryOf != id {
				t.Errorf("the retry of the failed retry %d is %+v", id, again)
			}
		}
	})
}

func TestRetryDispatchesANewRowUnlessALaterJobSucceeded(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		e := h.Engine(nil)
		var broken atomic.Bool
		broken.Store(true)
		enginetest.Register(t, e, func(context.Context, *nawasync.Run[enginetest.JobArgs]) error {
			if broken.Load() {
				return nawasync.Permanent(enginetest.ErrBoom)
			}
			return nil
		})
		h.Start(e)
		first := enginetest.WaitStatus(t, e, enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "a", N: 3}).ID, tracker.StatusFailed)
		broken.Store(false)
		retried, err := e.Retry(t.Context(), first.ID, nawasync.RetryOptions{By: "user:1"})
		enginetest.NoError(t, err)
		done := enginetest.WaitStatus(t, e, retried.ID, tracker.StatusSuccess)
		var payload enginetest.JobArgs
		enginetest.NoError(t, json.Unmarshal(done.Payload, &payload))
		if done.RetryOf != first.ID || done.TriggerSource != "retry" || payload.N != 3 {
			t.Fatalf("job %+v, want a retry of job %d with its arguments", done, first.ID)
		}
		if _, err := e.Retry(t.Context(), first.ID, nawasync.RetryOptions{}); !errors.Is(err, nawasync.ErrSuperseded) {
			t.Fatalf("error %v, want ErrSuperseded", err)
		}
		forced, err := e.Retry(t.Context(), first.ID, nawasync.RetryOptions{Force: true})
		enginetest.NoError(t, err)
		enginetest.WaitStatus(t, e, forced.ID, tracker.StatusSuccess)
		n, err := e.Forget(t.Context(), tracker.Target{Service: "notes", Type: "note", ID: "a"}, nawasync.OperatorOptions{})
		enginetest.NoError(t, err)
		forgotten, err := e.Reader().Get(t.Context(), first.ID)
		enginetest.NoError(t, err)
		if n != 3 || forgotten.Payload != nil || forgotten.Error != "" || forgotten.Status != tracker.StatusFailed {
			t.Fatalf("%d jobs forgotten, want 3; first job %+v, want it failed without arguments or error", n, forgotten)
		}
		if _, err := e.Retry(t.Context(), first.ID, nawasync.RetryOptions{Force: true}); !errors.Is(err, nawasync.ErrNoArguments) {
			t.Fatalf("error %v, want ErrNoArguments", err)
		}
	})
}

func TestCancelOfAJobThatThenFailsIsNotLost(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		e := h.Tuned(host.Tuning{Beat: time.Hour}, nil) // the heartbeat would report the request to the worker
		executing, proceed := make(chan struct{}, 1), make(chan struct{})
		enginetest.NoError(t, nawasync.Register(e, &enginetest.Handler[enginetest.JobArgs]{
			Wait: time.Millisecond,
			Do: func(context.Context, *nawasync.Run[enginetest.JobArgs]) error {
				select {
				case executing <- struct{}{}:
				default:
				}
				<-proceed
				return enginetest.ErrBoom
			},
		}))
		h.Start(e)
		job := enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "a"})
		next := enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "a"})
		<-executing
		if _, err := e.Cancel(t.Context(), job.ID, nawasync.OperatorOptions{By: "user:9"}); err != nil {
			t.Fatal(err)
		}
		close(proceed)
		row := enginetest.WaitStatus(t, e, job.ID, tracker.StatusCancelled)
		if row.CancelBy != "user:9" || !strings.Contains(row.Error, "boom") || row.Attempt != 1 {
			t.Errorf("job %+v, want it cancelled by user:9 with the error of its first attempt", row)
		}
		enginetest.WaitStatus(t, e, next.ID, tracker.StatusFailed) // the cancelled job no longer blocks the lane
	})
}

func TestRetryOfDroppedArgumentsIsRefusedWithOrWithoutASealer(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		sealing := h.Engine(func(c *nawasync.Config) { c.Sealer = enginetest.Keyring(t, enginetest.NewKey(t)) })
		enginetest.Register(t, sealing, enginetest.DoNothing)
		h.Start(sealing)
		job := enginetest.Dispatch(t, sealing, enginetest.JobArgs{ID: "a"})
		enginetest.WaitStatus(t, sealing, job.ID, tracker.StatusSuccess)
		plain := h.Engine(nil)
		for _, e := range []*nawasync.Engine{sealing, plain} {
			if _, err := e.Retry(t.Context(), job.ID, nawasync.RetryOptions{Force: true}); !errors.Is(err, nawasync.ErrNoArguments) {
				t.Errorf("error %v, want ErrNoArguments", err)
			}
		}
	})
}

func TestRetryWithASecretWorksAfterKeyRotation(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		oldKey, newKey := enginetest.NewKey(t), enginetest.NewKey(t)
		passwords := make(chan string, 10)
		start := func(keyring *secret.Keyring, fail bool) *nawasync.Engine {
			e := h.Engine(func(c *nawasync.Config) { c.Sealer = keyring })
			enginetest.NoError(t, nawasync.Register(e, &enginetest.Handler[resetPassword]{Do: func(_ context.Context, run *nawasync.Run[resetPassword]) error {
				passwords <- run.Args.Password.Reveal()
				if fail {
					return nawasync.Permanent(enginetest.ErrBoom)
				}
				return nil
			}}))
			return h.Start(e)
		}
		first := start(enginetest.Keyring(t, oldKey), true)
		job := enginetest.Dispatch(t, first, resetPassword{Email: "a", Password: nawasync.NewSecret("hunter22")})
		job = enginetest.WaitStatus(t, first, job.ID, tracker.StatusFailed)
		enginetest.NoError(t, first.Stop(context.Background()))
		second := start(enginetest.Keyring(t, newKey, oldKey), false)
		retried, err := second.Retry(t.Context(), job.ID, nawasync.RetryOptions{})
		enginetest.NoError(t, err)
		enginetest.WaitStatus(t, second, retried.ID, tracker.StatusSuccess)
		if a, b := <-passwords, <-passwords; a != "hunter22" || b != "hunter22" {
			t.Fatalf("the handlers received the passwords %q and %q, want hunter22", a, b)
		}
		// The arguments of a successful job are dropped.
		if _, err := second.Retry(t.Context(), retried.ID, nawasync.RetryOptions{Force: true}); !errors.Is(err, nawasync.ErrNoArguments) {
			t.Fatalf("error %v, want ErrNoArguments", err)
		}
	})
}

func TestPausedInstanceWaitsUntilResumedWhileOthersRun(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		e := h.Engine(nil)
		var ran atomic.Int64
		enginetest.Register(t, e, func(_ context.Context, run *nawasync.Run[enginetest.JobArgs]) error {
			if run.Args.Instance == "eu" {
				ran.Add(1)
			}
			return nil
		})
		enginetest.NoError(t, e.Pause(t.Context(), "notes", "eu", nawasync.PauseOptions{By: "user:1", Reason: "maintenance"}))
		h.Start(e)
		job := enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "a", Instance: "eu"})
		// A job of another instance that was dispatched later runs, although this one is due.
		enginetest.WaitStatus(t, e, enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "a", Instance: "us"}).ID, tracker.StatusSuccess)
		if ran.Load() != 0 {
			t.Fatal("the job ran while its instance was paused")
		}
		_, err := e.Resume(t.Context(), "notes", "eu", nawasync.OperatorOptions{})
		enginetest.NoError(t, err)
		enginetest.WaitStatus(t, e, job.ID, tracker.StatusSuccess)
	})
}
