package nawasync_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

func TestJobOfAKilledWorkerRunsElsewhereWithin20Seconds(t *testing.T) {
	enginetest.Servers(t, func(t *testing.T, h *enginetest.Harness) {
		dispatcher := h.Engine(nil)
		victim := enginetest.StartChild(t, h, "work")
		job := enginetest.Dispatch(t, dispatcher, enginetest.JobArgs{ID: "a"})
		victim.WaitOutput(t, fmt.Sprint("executing ", job.ID))
		e := h.Engine(nil)
		var earlier atomic.Bool
		enginetest.Register(t, e, func(_ context.Context, run *nawasync.Run[enginetest.JobArgs]) error {
			earlier.Store(run.EarlierWrite())
			return nil
		})
		h.Start(e)
		victim.Signal(t, syscall.SIGKILL)
		killed := time.Now()
		done := enginetest.WaitStatus(t, e, job.ID, tracker.StatusSuccess)
		if took := time.Since(killed); took > 20*time.Second {
			t.Errorf("it took %s", took)
		}
		if done.Epoch != 1 || done.Attempt != 2 || !earlier.Load() {
			t.Errorf("earlier write %v, %+v", earlier.Load(), done)
		}
	})
}

func TestJobOfAWorkerKilledBeforeItsClaimRunsElsewhere(t *testing.T) {
	enginetest.Servers(t, func(t *testing.T, h *enginetest.Harness) {
		e := h.Engine(nil)
		victim := enginetest.StartChild(t, h, "dequeue")
		job := enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "a"})
		victim.WaitExit(t)
		killed := time.Now()
		enginetest.Register(t, e, enginetest.DoNothing)
		h.Start(e)
		done := enginetest.WaitStatus(t, e, job.ID, tracker.StatusSuccess)
		if took := time.Since(killed); took > 20*time.Second {
			t.Errorf("it took %s", took)
		}
		if done.Attempt != 1 || enginetest.Stored(t, e, job.ID).Ring < 2 {
			t.Errorf("%+v", done)
		}
	})
}

func TestWorkerPausedPastItsLeaseChangesNothingWhenItComesBack(t *testing.T) {
	enginetest.Servers(t, func(t *testing.T, h *enginetest.Harness) {
		dispatcher := h.Engine(nil)
		victim := enginetest.StartChild(t, h, "work")
		job := enginetest.Dispatch(t, dispatcher, enginetest.JobArgs{ID: "a"})
		victim.WaitOutput(t, fmt.Sprint("executing ", job.ID))
		victim.Signal(t, syscall.SIGSTOP)
		e := h.Engine(nil)
		enginetest.Register(t, e, enginetest.DoNothing)
		h.Start(e)
		done := enginetest.WaitStatus(t, e, job.ID, tracker.StatusSuccess)
		victim.Signal(t, syscall.SIGCONT)
		victim.WaitOutput(t, "cancelled "+nawasync.ErrLeaseLost.Error())
		victim.WaitOutput(t, "late outcome was refused")
		after, err := e.Reader().Get(t.Context(), job.ID)
		enginetest.NoError(t, err)
		if after.Epoch != done.Epoch || after.Status != tracker.StatusSuccess || !after.UpdatedAt.Equal(done.UpdatedAt) || after.Worker != done.Worker {
			t.Errorf("before %+v\nafter %+v", done, after)
		}
	})
}

func TestJobThatKillsItsProcessFailsAfterItsAttempts(t *testing.T) {
	enginetest.Servers(t, func(t *testing.T, h *enginetest.Harness) {
		// The neighbours reap and do not serve the kind.
		neighbour := h.Tuned(host.Tuning{DeadAfter: 3 * time.Second, Beat: 200 * time.Millisecond}, nil)
		var fine atomic.Int64
		count := func(context.Context, *nawasync.Run[otherArgs]) error { fine.Add(1); return nil }
		enginetest.NoError(t, nawasync.Register(neighbour, &enginetest.Handler[otherArgs]{Do: count}))
		h.Start(neighbour)
		poison := enginetest.Dispatch(t, neighbour, enginetest.JobArgs{ID: "poison"})
		for range 3 {
			enginetest.StartChild(t, h, "poison").WaitExit(t)
		}
		job := enginetest.WaitStatus(t, neighbour, poison.ID, tracker.StatusFailed)
		if job.ErrorClass != "worker_died" || job.Attempt != 3 {
			t.Errorf("%+v", job)
		}
		enginetest.WaitStatus(t, neighbour, enginetest.Dispatch(t, neighbour, otherArgs{ID: "x"}).ID, tracker.StatusSuccess)
	})
}

func TestDatabaseAwayFor10SecondsLosesNoOutcomeAndRequeuesNoLiveJob(t *testing.T) {
	enginetest.Servers(t, func(t *testing.T, h *enginetest.Harness) {
		db, wire := enginetest.NewProxiedServers(t, h)
		// A second process whose database stays: it must not take the first for dead.
		// Both are given more than 13 and 15 s: three seconds of margin were too few where
		// other tests have the processor.
		slow := host.Tuning{LeaseTTL: 25 * time.Second, DeadAfter: 30 * time.Second}
		witness := h.Tuned(slow, nil)
		enginetest.NoError(t, nawasync.Register(witness, &enginetest.Handler[otherArgs]{Do: func(
			context.Context, *nawasync.Run[otherArgs],
		) error {
			return nil
		}}))
		h.Start(witness)
		e := h.Tuned(slow, func(c *nawasync.Config) { c.DB = db })
		var r enginetest.Runs
		done := make(chan struct{})
		enginetest.Register(t, e, func(ctx context.Context, run *nawasync.Run[enginetest.JobArgs]) error {
			r.Record(run.Job())
			if run.Args.N == 1 {
				<-done
			}
			return ctx.Err()
		})
		h.Start(e)
		long := enginetest.Dispatch(t, witness, enginetest.JobArgs{ID: "long", N: 1})
		enginetest.WaitStatus(t, witness, long.ID, tracker.StatusRunning)
		var short []int64
		for i := range 20 {
			short = append(short, enginetest.Dispatch(t, witness, enginetest.JobArgs{ID: fmt.Sprint(i)}).ID)
		}
		wire.SetDown(true)
		time.AfterFunc(5*time.Second, func() { close(done) }) // its outcome falls into the outage
		outage := time.NewTimer(10 * time.Second)
		defer outage.Stop()
		<-outage.C
		wire.SetDown(false)
		for _, id := range append(short, long.ID) {
			job := enginetest.WaitStatus(t, witness, id, tracker.StatusSuccess)
			if job.Epoch != 0 || job.Attempt != 1 {
				t.Errorf("%+v", job)
			}
		}
		if r.Total() != 21 || r.Doubles() != 0 {
			t.Errorf("%d runs, %d doubles", r.Total(), r.Doubles())
		}
	})
}

func TestDatabaseAwayFor60SecondsCancelsHandlersAndRunsTheirJobsAgain(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than a minute")
	}
	enginetest.Servers(t, func(t *testing.T, h *enginetest.Harness) {
		db, wire := enginetest.NewProxiedServers(t, h)
		watcher := h.Engine(nil)
		e := h.Engine(func(c *nawasync.Config) { c.DB = db })
		var began atomic.Int64
		causes := make(chan error, 10)
		enginetest.Register(t, e, func(ctx context.Context, _ *nawasync.Run[enginetest.JobArgs]) error {
			if began.Add(1) > 1 {
				return nil
			}
			<-ctx.Done()
			causes <- context.Cause(ctx)
			return ctx.Err()
		})
		h.Start(e)
		job := enginetest.Dispatch(t, watcher, enginetest.JobArgs{ID: "a"})
		enginetest.WaitStatus(t, watcher, job.ID, tracker.StatusRunning)
		// The row says so before the worker has its answer.
		enginetest.Eventually(t, 20*time.Second, "begun", func() bool { return began.Load() == 1 })
		wire.SetDown(true)
		cut := time.Now()
		if cause := <-causes; !errors.Is(cause, nawasync.ErrLeaseLost) || time.Since(cut) > 20*time.Second {
			t.Errorf("%v after %s", cause, time.Since(cut))
		}
		rest := time.NewTimer(time.Until(cut.Add(time.Minute)))
		defer rest.Stop()
		<-rest.C
		wire.SetDown(false)
		if done := enginetest.WaitStatus(t, watcher, job.ID, tracker.StatusSuccess); began.Load() != 2 || done.Epoch != 1 {
			t.Errorf("%d runs, %+v", began.Load(), done)
		}
	})
}

func TestClaimThatCameThroughUnnoticedIsGivenBack(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		e := h.Tuned(host.Tuning{Beat: 50 * time.Millisecond}, nil)
		enginetest.Register(t, e, enginetest.DoNothing)
		h.Start(e)
		processes, err := e.Reader().Processes(t.Context())
		enginetest.NoError(t, err)
		job, err := e.Dispatch(t.Context(), enginetest.JobArgs{ID: "a"}, nawasync.Options{Delay: time.Hour})
		enginetest.NoError(t, err)
		// As a claim's statement does that was thought to be lost.
		enginetest.NoError(t, db.Exec("UPDATE nawasync_jobs SET status = 'running', attempt = 1, running_lane = lane, wake_at = NULL, started_at = ?, worker = ? WHERE id = ?",
			time.Now().UnixMicro(), processes[0].ID, job.ID).Error)
		if row := enginetest.WaitStatus(t, e, job.ID, tracker.StatusSuccess); row.Epoch != 1 || row.Attempt != 1 {
			t.Errorf("%+v", row)
		}
	})
}
