package nawasync_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

func TestStopRequeuesAJobThatIsBeingClaimed(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		claiming, proceed := make(chan struct{}), make(chan struct{})
		var once sync.Once
		hold := func(m jobstore.Moment) {
			if m == jobstore.MomentClaiming {
				once.Do(func() {
					close(claiming)
					<-proceed
				})
			}
		}
		e := h.Tuned(host.Tuning{At: hold}, func(c *nawasync.Config) { c.StopGrace = -1 })
		var ran atomic.Int64
		enginetest.Register(t, e, func(ctx context.Context, _ *nawasync.Run[enginetest.JobArgs]) error {
			ran.Add(1)
			<-ctx.Done()
			return context.Cause(ctx)
		})
		h.Start(e)
		job := enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "a"})
		<-claiming
		stopped := make(chan error, 1)
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			stopped <- e.Stop(ctx)
		}()
		enginetest.Eventually(t, 20*time.Second, "contexts of running jobs ended", func() bool {
			return strings.Contains(h.Log.String(), "the contexts of running jobs end")
		})
		close(proceed)
		enginetest.NoError(t, <-stopped)
		row, err := e.Reader().Get(t.Context(), job.ID)
		enginetest.NoError(t, err)
		// After the delay the claim may also fail with a deadlock. In that case the job did not run.
		if row.Status != tracker.StatusQueued || row.Attempt != 0 || int64(row.Epoch) != ran.Load() {
			t.Fatalf("%d runs, job %+v; want it queued with no consumed attempt and one epoch per run", ran.Load(), row)
		}
	})
}

func TestStopRequeuesRunningJobsWithoutConsumingAnAttempt(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		e := h.Engine(func(c *nawasync.Config) { c.StopGrace = -1 })
		enginetest.NoError(t, e.Stop(t.Context())) // Stop before Start returns nil
		e = h.Engine(func(c *nawasync.Config) { c.StopGrace = -1 })
		started := make(chan struct{}, 1)
		enginetest.Register(t, e, func(ctx context.Context, _ *nawasync.Run[enginetest.JobArgs]) error {
			started <- struct{}{}
			<-ctx.Done()
			return ctx.Err()
		})
		h.Start(e)
		job := enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "a"})
		<-started
		stopped := make(chan error, 2)
		for range 2 {
			go func() { stopped <- e.Stop(context.Background()) }()
		}
		enginetest.NoError(t, errors.Join(<-stopped, <-stopped))
		row, err := e.Reader().Get(t.Context(), job.ID)
		enginetest.NoError(t, err)
		if row.Status != tracker.StatusQueued || row.Attempt != 0 || row.Epoch != 1 {
			t.Fatalf("job %+v, want it queued with no consumed attempt at epoch 1", row)
		}
		processes, err := e.Reader().Processes(t.Context())
		enginetest.NoError(t, err)
		if len(processes) != 0 {
			t.Fatalf("processes %+v, want none after Stop", processes)
		}
		second := h.Engine(nil)
		enginetest.Register(t, second, enginetest.DoNothing)
		h.Start(second)
		enginetest.WaitStatus(t, second, job.ID, tracker.StatusSuccess)
	})
}

func TestStopWhileAnOutcomeCannotBeWrittenLosesNoJob(t *testing.T) {
	enginetest.Servers(t, func(t *testing.T, h *enginetest.Harness) {
		db, proxy := enginetest.NewProxiedServers(t, h)
		e := h.Tuned(host.Tuning{Beat: 100 * time.Millisecond}, func(c *nawasync.Config) { c.DB = db.DB; c.StopGrace = -1 })
		executing, proceed := make(chan struct{}), make(chan struct{})
		enginetest.Register(t, e, func(context.Context, *nawasync.Run[enginetest.JobArgs]) error {
			close(executing)
			<-proceed
			return nil
		})
		h.Start(e)
		job := enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "a"})
		<-executing
		proxy.SetDown(true)
		close(proceed)
		enginetest.Eventually(t, 20*time.Second, "write of the outcome retried",
			func() bool { return strings.Contains(h.Log.String(), "an outcome could not be written; trying again") })
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		_ = e.Stop(ctx)
		proxy.SetDown(false)
		next := h.Tuned(host.Tuning{Beat: 100 * time.Millisecond, DeadAfter: 2 * time.Second, LeaseTTL: 1500 * time.Millisecond}, nil)
		enginetest.Register(t, next, enginetest.DoNothing)
		h.Start(next)
		enginetest.WaitStatus(t, next, job.ID, tracker.StatusSuccess)
	})
}

func TestJobThatStillRunsAfterStopDoesNotStartElsewhere(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		tuning := host.Tuning{Beat: 100 * time.Millisecond, DeadAfter: 5 * time.Second, LeaseTTL: 4 * time.Second}
		stopping := h.Tuned(tuning, func(c *nawasync.Config) { c.StopGrace = -1 })
		executing, proceed, returned := make(chan struct{}), make(chan struct{}), make(chan struct{})
		enginetest.Register(t, stopping, func(context.Context, *nawasync.Run[enginetest.JobArgs]) error {
			close(executing)
			<-proceed
			close(returned)
			return nil
		})
		h.Start(stopping)
		job := enginetest.Dispatch(t, stopping, enginetest.JobArgs{ID: "a"})
		<-executing
		next := h.Tuned(tuning, nil)
		enginetest.Register(t, next, func(context.Context, *nawasync.Run[enginetest.JobArgs]) error {
			select {
			case <-returned:
			default:
				t.Error("two attempts ran at the same time")
			}
			return nil
		})
		h.Start(next)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if err := stopping.Stop(ctx); err == nil {
			t.Error("Stop returned no error although a job still runs")
		}
		// Wait longer than DeadAfter. The stopping engine must keep its heartbeat until the job returns.
		time.Sleep(7 * time.Second)
		close(proceed)
		enginetest.WaitStatus(t, next, job.ID, tracker.StatusSuccess)
	})
}

func TestStartWarnsOfARedisThatEvicts(t *testing.T) {
	t.Parallel()
	db := testdb.Postgres(t)
	h := enginetest.New(t, db)
	h.Redis, _ = enginetest.PrivateRedis(t)
	enginetest.NoError(t, h.Redis.ConfigSet(t.Context(), "maxmemory-policy", "allkeys-lru").Err())
	h.Start(h.Engine(nil))
	if log := h.Log.String(); !strings.Contains(log, "max_memory_policy=allkeys-lru") {
		t.Errorf("the log has no warning about maxmemory-policy:\n%s", log)
	}
}

func TestEngineStartsWhileRedisIsDown(t *testing.T) {
	t.Parallel()
	h := enginetest.New(t, testdb.SQLite(t))
	h.Mini.SetError("LOADING Redis is down")
	e := h.Engine(nil)
	enginetest.Register(t, e, enginetest.DoNothing)
	h.Start(e)
	job := enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "a"})
	h.Mini.SetError("")
	enginetest.WaitStatus(t, e, job.ID, tracker.StatusSuccess)
}
