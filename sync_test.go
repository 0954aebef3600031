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

func TestStopEndsAJobWhoseClaimWasOnItsWay(t *testing.T) {
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
		enginetest.Eventually(t, 20*time.Second, "interrupted", func() bool { return strings.Contains(h.Log.String(), "the contexts of running jobs end") })
		close(proceed)
		enginetest.NoError(t, <-stopped)
		row, err := e.Reader().Get(t.Context(), job.ID)
		enginetest.NoError(t, err)
		// A claim held up for so long may also lose against a deadlock: then nothing ran.
		if row.Status != tracker.StatusQueued || row.Attempt != 0 || int64(row.Epoch) != ran.Load() {
			t.Fatalf("%d runs, %+v", ran.Load(), row)
		}
	})
}

func TestStopRequeuesWhatHeedsItsContextUnburnt(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		e := h.Engine(func(c *nawasync.Config) { c.StopGrace = -1 })
		enginetest.NoError(t, e.Stop(t.Context())) // before Start
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
			t.Fatalf("%+v", row)
		}
		processes, err := e.Reader().Processes(t.Context())
		enginetest.NoError(t, err)
		if len(processes) != 0 {
			t.Fatalf("%+v", processes)
		}
		second := h.Engine(nil)
		enginetest.Register(t, second, func(context.Context,
			*nawasync.Run[enginetest.JobArgs],
		) error {
			return nil
		})
		h.Start(second)
		enginetest.WaitStatus(t, second, job.ID, tracker.StatusSuccess)
	})
}

func TestStopWhileAOutcomeCannotBeWrittenLosesNothing(t *testing.T) {
	enginetest.Servers(t, func(t *testing.T, h *enginetest.Harness) {
		db, wire := enginetest.NewProxiedServers(t, h)
		e := h.Tuned(host.Tuning{Beat: 100 * time.Millisecond}, func(c *nawasync.Config) { c.DB = db; c.StopGrace = -1 })
		executing, proceed := make(chan struct{}), make(chan struct{})
		enginetest.Register(t, e, func(context.Context, *nawasync.Run[enginetest.JobArgs]) error {
			close(executing)
			<-proceed
			return nil
		})
		h.Start(e)
		job := enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "a"})
		<-executing
		wire.SetDown(true)
		close(proceed)
		enginetest.Eventually(t, 20*time.Second, "an outcome that is retried",
			func() bool { return strings.Contains(h.Log.String(), "an outcome could not be written; trying again") })
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		_ = e.Stop(ctx)
		wire.SetDown(false)
		next := h.Tuned(host.Tuning{Beat: 100 * time.Millisecond, DeadAfter: 2 * time.Second, LeaseTTL: 1500 * time.Millisecond}, nil)
		enginetest.Register(t, next, func(context.Context,
			*nawasync.Run[enginetest.JobArgs],
		) error {
			return nil
		})
		h.Start(next)
		enginetest.WaitStatus(t, next, job.ID, tracker.StatusSuccess)
	})
}

func TestNobodyTakesOverWhatStillRunsAfterStop(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		tuning := host.Tuning{Beat: 100 * time.Millisecond, DeadAfter: 5 * time.Second, LeaseTTL: 4 * time.Second}
		stubborn := h.Tuned(tuning, func(c *nawasync.Config) { c.StopGrace = -1 })
		executing, proceed, returned := make(chan struct{}), make(chan struct{}), make(chan struct{})
		enginetest.Register(t, stubborn, func(context.Context, *nawasync.Run[enginetest.JobArgs]) error {
			close(executing)
			<-proceed
			close(returned)
			return nil
		})
		h.Start(stubborn)
		job := enginetest.Dispatch(t, stubborn, enginetest.JobArgs{ID: "a"})
		<-executing
		next := h.Tuned(tuning, nil)
		enginetest.Register(t, next, func(context.Context, *nawasync.Run[enginetest.JobArgs]) error {
			select {
			case <-returned:
			default:
				t.Error("two attempts run at once")
			}
			return nil
		})
		h.Start(next)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if err := stubborn.Stop(ctx); err == nil {
			t.Error("Stop says that nothing runs")
		}
		// Longer than the others' patience: a pause, not a race, is what is tested.
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
	if log := h.Log.String(); !strings.Contains(log, "maxmemory-policy=allkeys-lru") {
		t.Errorf("no warning in:\n%s", log)
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
