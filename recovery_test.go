package nawasync_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

func TestJobOfAKilledWorkerRunsElsewhereWithin20Seconds(t *testing.T) {
	enginetest.Servers(t, func(t *testing.T, h *enginetest.Harness) {
		dispatcher := h.Engine(nil)
		child := enginetest.StartChild(t, h, "work")
		job := enginetest.Dispatch(t, dispatcher, enginetest.JobArgs{ID: "a"})
		child.WaitOutput(t, fmt.Sprint("executing ", job.ID))
		e := h.Engine(nil)
		var earlier atomic.Bool
		enginetest.Register(t, e, func(_ context.Context, run *nawasync.Run[enginetest.JobArgs]) error {
			earlier.Store(run.EarlierWrite())
			return nil
		})
		h.Start(e)
		child.Signal(t, syscall.SIGKILL)
		killed := time.Now()
		done := enginetest.WaitStatus(t, e, job.ID, tracker.StatusSuccess)
		if took := time.Since(killed); took > 20*time.Second {
			t.Errorf("the job ended %s after its worker was killed, want at most 20 s", took)
		}
		if done.Epoch != 1 || done.Attempt != 2 || !earlier.Load() {
			t.Errorf("EarlierWrite %v, job %+v; want true, and the second attempt at epoch 1", earlier.Load(), done)
		}
	})
}

func TestWorkerPausedPastItsLeaseChangesNothingWhenItResumes(t *testing.T) {
	enginetest.Servers(t, func(t *testing.T, h *enginetest.Harness) {
		dispatcher := h.Engine(nil)
		child := enginetest.StartChild(t, h, "work")
		job := enginetest.Dispatch(t, dispatcher, enginetest.JobArgs{ID: "a"})
		child.WaitOutput(t, fmt.Sprint("executing ", job.ID))
		child.Signal(t, syscall.SIGSTOP)
		e := h.Engine(nil)
		enginetest.Register(t, e, enginetest.DoNothing)
		h.Start(e)
		done := enginetest.WaitStatus(t, e, job.ID, tracker.StatusSuccess)
		child.Signal(t, syscall.SIGCONT)
		child.WaitOutput(t, "cancelled "+nawasync.ErrLeaseLost.Error())
		child.WaitOutput(t, "late outcome was refused")
		after, err := e.Reader().Get(t.Context(), job.ID)
		enginetest.NoError(t, err)
		if after.Epoch != done.Epoch || after.Status != tracker.StatusSuccess || !after.UpdatedAt.Equal(done.UpdatedAt) || after.Worker != done.Worker {
			t.Errorf("the suspended worker changed the job\nfrom %+v\nto %+v", done, after)
		}
	})
}

func TestJobThatKillsItsProcessFailsAfterItsAttempts(t *testing.T) {
	enginetest.Servers(t, func(t *testing.T, h *enginetest.Harness) {
		// This engine reaps the dead processes and does not serve the kind of the job.
		reaper := h.Tuned(host.Tuning{DeadAfter: 3 * time.Second, Beat: 200 * time.Millisecond}, nil)
		enginetest.NoError(t, nawasync.Register(reaper, &enginetest.Handler[otherArgs]{Do: otherDoNothing}))
		h.Start(reaper)
		poison := enginetest.Dispatch(t, reaper, enginetest.JobArgs{ID: "poison"})
		for range 3 {
			enginetest.StartChild(t, h, "poison").WaitExit(t)
		}
		job := enginetest.WaitStatus(t, reaper, poison.ID, tracker.StatusFailed)
		if job.ErrorClass != "worker_died" || job.Attempt != 3 {
			t.Errorf("job %+v, want it failed as worker_died after three attempts", job)
		}
		enginetest.WaitStatus(t, reaper, enginetest.Dispatch(t, reaper, otherArgs{ID: "x"}).ID, tracker.StatusSuccess)
	})
}

func TestDatabaseAwayFor10SecondsLosesNoOutcomeAndRequeuesNoLiveJob(t *testing.T) {
	enginetest.Servers(t, func(t *testing.T, h *enginetest.Harness) {
		db, proxy := enginetest.NewProxiedServers(t, h)
		// The default LeaseTTL of 13 s and DeadAfter of 15 s leave too little margin over an outage of
		// 10 s when other tests use the processor.
		tuning := host.Tuning{LeaseTTL: 25 * time.Second, DeadAfter: 30 * time.Second}
		// The observer keeps its database connection. It must not reap the jobs of the other engine.
		observer := h.Tuned(tuning, nil)
		enginetest.NoError(t, nawasync.Register(observer, &enginetest.Handler[otherArgs]{Do: otherDoNothing}))
		h.Start(observer)
		e := h.Tuned(tuning, func(c *nawasync.Config) { c.DB = db.DB })
		var runs enginetest.Runs
		release := make(chan struct{})
		enginetest.Register(t, e, func(ctx context.Context, run *nawasync.Run[enginetest.JobArgs]) error {
			runs.Record(run.Job())
			if run.Args.N == 1 {
				<-release
			}
			return ctx.Err()
		})
		h.Start(e)
		long := enginetest.Dispatch(t, observer, enginetest.JobArgs{ID: "long", N: 1})
		enginetest.WaitStatus(t, observer, long.ID, tracker.StatusRunning)
		var short []int64
		for i := range 20 {
			short = append(short, enginetest.Dispatch(t, observer, enginetest.JobArgs{ID: fmt.Sprint(i)}).ID)
		}
		proxy.SetDown(true)
		time.AfterFunc(5*time.Second, func() { close(release) }) // the long job ends during the outage
		timer := time.NewTimer(10 * time.Second)
		defer timer.Stop()
		<-timer.C
		proxy.SetDown(false)
		for _, id := range append(short, long.ID) {
			job := enginetest.WaitStatus(t, observer, id, tracker.StatusSuccess)
			if job.Attempt != 1 { // a claim whose answer was lost counts for nothing: its job did not run
				t.Errorf("job %+v, want it successful in its first attempt", job)
			}
		}
		if runs.Total() != 21 || runs.RanTwice() != 0 {
			t.Errorf("%d runs, %d attempts ran twice; want 21 and none", runs.Total(), runs.RanTwice())
		}
	})
}

func TestDatabaseOutageDuringBeginWriteConsumesNoAttempt(t *testing.T) {
	enginetest.Servers(t, func(t *testing.T, h *enginetest.Harness) {
		db, proxy := enginetest.NewProxiedServers(t, h)
		e := h.Tuned(host.Tuning{LeaseTTL: 25 * time.Second, DeadAfter: 30 * time.Second}, func(c *nawasync.Config) { c.DB = db.DB })
		var outages atomic.Int64
		enginetest.Register(t, e, func(ctx context.Context, run *nawasync.Run[enginetest.JobArgs]) error {
			if outages.Add(1) == 1 {
				proxy.SetDown(true)
				time.AfterFunc(5*time.Second, func() { proxy.SetDown(false) })
			}
			return run.BeginWrite(ctx)
		})
		h.Start(e)
		job := enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "a"})
		job = enginetest.WaitStatus(t, e, job.ID, tracker.StatusSuccess)
		attempts, err := e.Reader().Attempts(t.Context(), job)
		enginetest.NoError(t, err)
		if job.Attempt != 1 || len(attempts) != 2 || attempts[0].Outcome != tracker.OutcomeDatabase || attempts[0].ErrorClass != string(fault.ClassDatabase) {
			t.Errorf("job %+v after attempts %+v; want that the outage consumed no attempt", job, attempts)
		}
	})
}

func TestDatabaseAwayFor60SecondsCancelsHandlersAndRunsTheirJobsAgain(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than a minute")
	}
	enginetest.Servers(t, func(t *testing.T, h *enginetest.Harness) {
		db, proxy := enginetest.NewProxiedServers(t, h)
		observer := h.Engine(nil)
		e := h.Engine(func(c *nawasync.Config) { c.DB = db.DB })
		var started atomic.Int64
		causes := make(chan error, 10)
		enginetest.Register(t, e, func(ctx context.Context, _ *nawasync.Run[enginetest.JobArgs]) error {
			if started.Add(1) > 1 {
				return nil
			}
			<-ctx.Done()
			causes <- context.Cause(ctx)
			return ctx.Err()
		})
		h.Start(e)
		job := enginetest.Dispatch(t, observer, enginetest.JobArgs{ID: "a"})
		enginetest.WaitStatus(t, observer, job.ID, tracker.StatusRunning)
		// The status of the row changes before the handler starts.
		enginetest.Eventually(t, 20*time.Second, "handler started", func() bool { return started.Load() == 1 })
		proxy.SetDown(true)
		outage := time.Now()
		if cause := <-causes; !errors.Is(cause, nawasync.ErrLeaseLost) || time.Since(outage) > 20*time.Second {
			t.Errorf("the context ended with %v after %s, want ErrLeaseLost within 20 s", cause, time.Since(outage))
		}
		timer := time.NewTimer(time.Until(outage.Add(time.Minute)))
		defer timer.Stop()
		<-timer.C
		proxy.SetDown(false)
		if done := enginetest.WaitStatus(t, observer, job.ID, tracker.StatusSuccess); started.Load() != 2 || done.Epoch != 1 {
			t.Errorf("%d runs, job %+v; want 2 runs and epoch 1", started.Load(), done)
		}
	})
}

func TestClaimWhoseResponseWasLostIsReleased(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		e := h.Tuned(host.Tuning{Beat: 50 * time.Millisecond}, nil)
		enginetest.Register(t, e, enginetest.DoNothing)
		h.Start(e)
		processes, err := e.Reader().Processes(t.Context())
		enginetest.NoError(t, err)
		job, err := e.Dispatch(t.Context(), enginetest.JobArgs{ID: "a"}, nawasync.Options{Delay: time.Hour})
		enginetest.NoError(t, err)
		// The database may execute a claim after its worker has given up waiting for the response.
		// This statement makes the same changes as such a claim.
		enginetest.NoError(t, db.Exec("UPDATE nawasync_jobs SET status = 'running', attempt = 1, running_lane = lane, wake_at = NULL, started_at = ?, worker = ? WHERE id = ?",
			time.Now().UnixMicro(), processes[0].ID, job.ID).Error)
		if row := enginetest.WaitStatus(t, e, job.ID, tracker.StatusSuccess); row.Epoch != 1 || row.Attempt != 1 {
			t.Errorf("job %+v, want it successful in its first attempt at epoch 1", row)
		}
	})
}

// On SQLite a transaction that writes for long keeps every process from beating. The processes lose
// their leases, but none may be reaped.
func TestWriterThatHoldsSQLiteForLongerThanTheLeaseCausesNoReap(t *testing.T) {
	t.Parallel()
	h := enginetest.New(t, testdb.SQLite(t))
	tuning := host.Tuning{Beat: 100 * time.Millisecond, LeaseTTL: 2 * time.Second, DeadAfter: 3 * time.Second}
	var runs enginetest.Runs
	release := make(chan struct{})
	var engines [2]*nawasync.Engine
	for i := range engines {
		engines[i] = h.Tuned(tuning, nil)
		enginetest.Register(t, engines[i], func(ctx context.Context, run *nawasync.Run[enginetest.JobArgs]) error {
			runs.Record(run.Job())
			select {
			case <-release:
			case <-ctx.Done():
			}
			return ctx.Err()
		})
		h.Start(engines[i])
	}
	ids := dispatchNumbered(t, engines[0], "job", 4)
	enginetest.Eventually(t, 10*time.Second, "all run", func() bool { return runs.Total() >= len(ids) })
	unlock := lockJobs(t, h.DB)
	timer := time.NewTimer(2 * tuning.DeadAfter)
	defer timer.Stop()
	<-timer.C
	unlock()
	close(release)
	waitSuccess(t, engines[0], ids)
	if runs.RanTwice() != 0 {
		t.Errorf("%d attempts ran twice, want none", runs.RanTwice())
	}
	for _, text := range []string{"a process died", "considered this process dead"} {
		if strings.Contains(h.Log.String(), text) {
			t.Errorf("the log says %q although both processes live", text)
		}
	}
}
