package nawasync_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

func TestBacklogOfOneTenantDelaysAnotherTenantByAtMostAFewJobs(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		e := h.Engine(func(c *nawasync.Config) { c.Queues = map[string]nawasync.Queue{"default": {Slots: 1}} })
		var others atomic.Int64
		first, release := make(chan struct{}), make(chan struct{})
		behind := make(chan int64, 1)
		enginetest.Register(t, e, func(_ context.Context, run *nawasync.Run[enginetest.JobArgs]) error {
			if run.Args.Instance == "small" {
				behind <- others.Load()
				return nil
			}
			if others.Add(1) == 1 {
				close(first)
				<-release
			}
			return nil
		})
		args := make([]nawasync.Args, 2000)
		for i := range args {
			args[i] = enginetest.JobArgs{Instance: "large", ID: fmt.Sprint(i)}
		}
		_, err := e.DispatchMany(t.Context(), args, nawasync.Options{})
		enginetest.NoError(t, err)
		h.Start(e)
		<-first
		job := enginetest.Dispatch(t, e, enginetest.JobArgs{Instance: "small", ID: "a"})
		close(release)
		enginetest.WaitStatus(t, e, job.ID, tracker.StatusSuccess)
		if n := <-behind; n > 5 {
			t.Errorf("%d jobs of the large tenant started before the job of the small one, want at most 5", n)
		}
	})
}

// The workers do not poll during this test, so every job starts by its wake-up.
func TestProcessThatServesAnotherKindTakesNoWakeUps(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		other := h.Tuned(host.Tuning{Poll: time.Hour}, nil)
		enginetest.NoError(t, nawasync.Register(other, &enginetest.Handler[otherArgs]{Do: otherDoNothing}))
		h.Start(other)
		worker := h.Tuned(host.Tuning{Poll: time.Hour}, nil)
		enginetest.Register(t, worker, enginetest.DoNothing)
		h.Start(worker)
		dispatcher := h.Engine(nil)
		for n := range 50 {
			job := enginetest.Dispatch(t, dispatcher, enginetest.JobArgs{ID: fmt.Sprint(n)})
			enginetest.WaitStatus(t, dispatcher, job.ID, tracker.StatusSuccess)
		}
		enginetest.WaitStatus(t, dispatcher, enginetest.Dispatch(t, dispatcher, otherArgs{ID: "other"}).ID, tracker.StatusSuccess)
	})
}

func TestMeasuredBacklogOfAPausedServiceDelaysNoOtherService(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		e := h.Engine(nil)
		enginetest.Register(t, e, enginetest.DoNothing)
		enginetest.NoError(t, nawasync.Register(e, &enginetest.Handler[uniqueArgs]{
			Do: func(context.Context, *nawasync.Run[uniqueArgs]) error { return nil },
		}))
		enginetest.NoError(t, e.Pause(t.Context(), "notes", "", nawasync.PauseOptions{By: "user:1"}))
		for n := range enginetest.Sized(4, 200) {
			dispatchNumbered(t, e, fmt.Sprint("paused", n), 1000)
		}
		h.Start(e)
		var longest time.Duration
		for n := range enginetest.Sized(3, 50) {
			var job *tracker.Job
			enginetest.NoError(t, db.Transaction(func(tx *gorm.DB) (err error) { // the engine does not see this commit
				job, err = e.DispatchTx(t.Context(), tx, uniqueArgs{ID: fmt.Sprint(n)}, nawasync.Options{})
				return err
			}))
			done := enginetest.WaitStatus(t, e, job.ID, tracker.StatusSuccess)
			longest = max(longest, done.StartedAt.Sub(done.CreatedAt))
		}
		enginetest.AtMost(t, "longest time from the dispatch of a job of another service to its start", longest, time.Second, 10*time.Second)
	})
}

func TestPauseAndResumeUnderLoadFailNoCallAndLoseNoJob(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		e := h.Engine(nil)
		enginetest.Register(t, e, enginetest.DoNothing)
		h.Start(e)
		load := time.NewTicker(5 * time.Millisecond)
		defer load.Stop()
		var wg sync.WaitGroup
		stop := make(chan struct{})
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				case <-load.C:
				}
				args := []nawasync.Args{enginetest.JobArgs{ID: fmt.Sprint(n % 7)}, enginetest.JobArgs{ID: fmt.Sprint("x", n)}}
				if _, err := e.DispatchMany(t.Context(), args, nawasync.Options{}); err != nil {
					t.Error(err)
					return
				}
			}
		})
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for range 50 {
			<-tick.C
			if err := e.Pause(t.Context(), "notes", "", nawasync.PauseOptions{By: "user:1"}); err != nil {
				t.Error(err)
			}
			<-tick.C
			if _, err := e.Resume(t.Context(), "notes", "", nawasync.OperatorOptions{By: "user:1"}); err != nil {
				t.Error(err)
			}
		}
		close(stop)
		wg.Wait()
		waitAllEnded(t, e, 30*time.Second)
	})
}

func TestJobsOfAnotherProcessStartWhileRedisHangs(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		hanging := redis.NewClient(&redis.Options{Dialer: func(context.Context, string, string) (net.Conn, error) {
			client, server := net.Pipe()
			go func() { _, _ = io.Copy(io.Discard, server) }()
			return client, nil
		}})
		hang := func(c *nawasync.Config) { c.Redis = hanging }
		worker, dispatcher := h.Engine(hang), h.Engine(hang)
		enginetest.Register(t, worker, enginetest.DoNothing)
		h.Start(worker)
		for n := range 3 {
			waitSuccess(t, dispatcher, dispatchNumbered(t, dispatcher, fmt.Sprint(n), 10))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_ = worker.Stop(ctx) // TestDispatchAndStopDoNotWaitForARedisThatHangs checks Stop
		enginetest.NoError(t, hanging.Close())
	})
}

func TestUniqueDispatchThatIsDueNowBringsADelayedJobForward(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		e := h.Engine(nil)
		enginetest.NoError(t, nawasync.Register(e, &enginetest.Handler[uniqueArgs]{
			Do: func(context.Context, *nawasync.Run[uniqueArgs]) error { return nil },
		}))
		h.Start(e)
		later, err := e.Dispatch(t.Context(), uniqueArgs{ID: "a", Key: "k"}, nawasync.Options{Delay: time.Hour})
		enginetest.NoError(t, err)
		now := enginetest.Dispatch(t, e, uniqueArgs{ID: "a", Key: "k"})
		if !now.Coalesced || now.ID != later.ID {
			t.Errorf("the second dispatch returned %+v, want job %d, coalesced", now, later.ID)
		}
		enginetest.WaitStatus(t, e, later.ID, tracker.StatusSuccess)
	})
}

func TestRetryKeepsTheUniqueKey(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		e := h.Engine(nil)
		var runs atomic.Int64
		release := make(chan struct{})
		enginetest.NoError(t, nawasync.Register(e, &enginetest.Handler[uniqueArgs]{Do: func(context.Context, *nawasync.Run[uniqueArgs]) error {
			if runs.Add(1) == 1 {
				return nawasync.Permanent(enginetest.ErrBoom)
			}
			<-release
			return nil
		}}))
		h.Start(e)
		failed := enginetest.Dispatch(t, e, uniqueArgs{ID: "a", Key: "k"})
		enginetest.WaitStatus(t, e, failed.ID, tracker.StatusFailed)
		var retries [2]*tracker.Job
		var wg sync.WaitGroup
		for i := range retries { // the button was pressed twice
			wg.Go(func() {
				retries[i], _ = e.Retry(t.Context(), failed.ID, nawasync.RetryOptions{By: "user:1"})
			})
		}
		wg.Wait()
		retry := retries[0]
		if retry == nil {
			retry = retries[1]
		}
		if retry == nil || (retries[1] != nil && retries[1].ID != retry.ID) {
			t.Fatalf("two retries returned %+v and %+v, want one job", retries[0], retries[1])
		}
		// Another target with the same key.
		again := enginetest.Dispatch(t, e, uniqueArgs{ID: "b", Key: "k"})
		if !again.Coalesced || again.ID != retry.ID {
			t.Errorf("a dispatch with the key returned %+v, want the retry %d, coalesced", again, retry.ID)
		}
		close(release)
		enginetest.WaitStatus(t, e, retry.ID, tracker.StatusSuccess)
		if n := runs.Load(); n != 2 {
			t.Errorf("%d runs, want 2", n)
		}
	})
}
