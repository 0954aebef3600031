package reaper

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/internal/storetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// round is a reaper, a process that runs one job, and a clock.
type round struct {
	*storetest.Fixture
	t      *testing.T
	reaper *Reaper
	job    *jobstore.Job
	now    time.Time
}

func newRound(t *testing.T, db *testdb.Database) *round {
	t.Helper()
	r := &round{Fixture: storetest.New(t, db), t: t, now: time.Now()}
	r.job = r.ClaimOne(r.Insert(storetest.NewJob(1))[0])
	r.NoError(r.AddProcess(t.Context(), tracker.Process{ID: r.job.Worker, Host: "h"}))
	r.reaper = &Reaper{
		Store: r.Store, Logger: slog.New(slog.DiscardHandler), Interval: time.Second, DeadAfter: 15 * time.Second,
		Self: func() string { return "self" },
		OutcomeOf: func(job *jobstore.Job) *jobstore.Outcome {
			return &jobstore.Outcome{Job: job, Status: tracker.StatusQueued, LeaseLost: true}
		},
		Settle: func(_ context.Context, outcomes []*jobstore.Outcome) error {
			r.SettleAll(outcomes...)
			return nil
		},
		now: func() time.Time { return r.now },
	}
	r.tick()
	return r
}

func (r *round) tick() {
	r.t.Helper()
	_, err := r.reaper.Tick(r.t.Context())
	r.NoError(err)
}

// outage is a read that fails, after which the clock advances by d.
func (r *round) outage(d time.Duration) {
	r.t.Helper()
	ctx, cancel := context.WithCancel(r.t.Context())
	cancel()
	if _, err := r.reaper.Tick(ctx); err == nil {
		r.t.Fatal("a read with a cancelled context succeeded")
	}
	r.now = r.now.Add(d)
}

func (r *round) beat() {
	r.t.Helper()
	heart, err := r.NewHeart(nil)
	r.NoError(err)
	defer heart.Close()
	found, err := heart.Beat(r.t.Context(), r.job.Worker, nil)
	r.NoError(err)
	if !found {
		r.t.Fatal("the heartbeat row is missing")
	}
}

// check checks the status of the job after each duration, measured from the call of check.
func (r *round) check(want map[time.Duration]tracker.Status, at ...time.Duration) {
	r.t.Helper()
	start := r.now
	for _, after := range at {
		r.now = start.Add(after)
		r.tick()
		if got := r.Stored(r.job.ID).Status; got != want[after] {
			r.t.Errorf("after %v the job is %s, want %s", after, got, want[after])
		}
	}
}

func TestJobsOfASilentProcessAreRequeuedAfterFifteenSeconds(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		want := map[time.Duration]tracker.Status{14 * time.Second: tracker.StatusRunning, 15 * time.Second: tracker.StatusQueued}
		newRound(t, db).check(want, 14*time.Second, 15*time.Second)
	})
}

// A process that dies at the beginning of an outage is replaced five seconds after its end, not
// fifteen: its lease has ended meanwhile.
func TestTimeOfAnOutageCountsTowardsTheEndOfAProcess(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		r := newRound(t, db)
		r.outage(12 * time.Second)
		r.check(map[time.Duration]tracker.Status{
			0: tracker.StatusRunning, 4 * time.Second: tracker.StatusRunning, 5 * time.Second: tracker.StatusQueued,
		}, 0, 4*time.Second, 5*time.Second)
	})
}

func TestProcessHasFiveSecondsToWriteItsHeartbeatAfterAnOutage(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		r := newRound(t, db)
		r.outage(time.Hour)
		r.check(map[time.Duration]tracker.Status{0: tracker.StatusRunning, 4 * time.Second: tracker.StatusRunning}, 0, 4*time.Second)
		r.beat()
		r.check(map[time.Duration]tracker.Status{
			time.Second: tracker.StatusRunning, 15 * time.Second: tracker.StatusRunning, 16 * time.Second: tracker.StatusQueued,
		}, time.Second, 15*time.Second, 16*time.Second)
	})
}

// The last look before the row is deleted is that of the deletion itself.
func TestHeartbeatAfterTheReadKeepsAProcessAlive(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		r := newRound(t, db)
		beats, _, err := r.reaper.readProcesses(t.Context())
		r.NoError(err)
		r.beat()
		r.NoError(r.reaper.reap(t.Context(), r.job.Worker, beats[r.job.Worker]))
		r.beat()
		if got := r.Stored(r.job.ID).Status; got != tracker.StatusRunning {
			t.Errorf("the job is %s, want %s", got, tracker.StatusRunning)
		}
	})
}

// A process without a heartbeat row is found by a read of all running jobs, which may be expensive.
func TestProcessWithoutARowIsReapedOnlyAfterAFreshListOfTheRunningJobs(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		r := newRound(t, db)
		r.NoError(r.RemoveProcess(t.Context(), r.job.Worker))
		r.now = r.now.Add(time.Hour)
		r.tick() // finds it
		_, _ = r.reaper.listing.Run(r.now.Add(time.Hour), func() error {
			time.Sleep(100 * time.Millisecond) // no list within the next 5 s
			return nil
		})
		r.check(map[time.Duration]tracker.Status{3 * time.Second: tracker.StatusRunning, 2 * time.Hour: tracker.StatusQueued}, 3*time.Second, 2*time.Hour)
	})
}
