package reaper

import (
	"context"
	"log/slog"
	"strings"
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
		Settle: func(ctx context.Context, outcomes []*jobstore.Outcome) []error {
			_, errs := r.Settle(ctx, outcomes)
			return errs
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

// A process without a heartbeat row is found by a read of all running jobs, which may be expensive. Its jobs do
// not wait for a second one.
func TestProcessWithoutARowIsReapedSoonAfterTheListOfTheRunningJobsThatNamesIt(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		r := newRound(t, db)
		r.NoError(r.RemoveProcess(t.Context(), r.job.Worker))
		r.now = r.now.Add(time.Hour)
		r.tick() // finds it
		_, _ = r.reaper.listing.Run(r.now.Add(time.Hour), func() error {
			time.Sleep(100 * time.Millisecond) // no list within the next 5 s
			return nil
		})
		r.check(map[time.Duration]tracker.Status{time.Second: tracker.StatusRunning, 2 * time.Second: tracker.StatusQueued}, time.Second, 2*time.Second)
	})
}

// Nothing but a read of all running jobs finds a job again whose process has no heartbeat row any more.
func TestJobThatWasLockedIsRequeuedInTheNextRoundAndLoggedOnceAMinute(t *testing.T) {
	for _, opener := range testdb.Openers()[1:] { // SQLite locks no rows
		t.Run(opener.Name, func(t *testing.T) {
			t.Parallel()
			db := opener.Open(t)
			r := newRound(t, db)
			var log strings.Builder
			r.reaper.Logger = slog.New(slog.NewTextHandler(&log, nil))
			tx := db.Begin()
			defer tx.Rollback()
			var id int64
			r.NoError(tx.Raw("SELECT id FROM nawasync_jobs WHERE id = ? FOR UPDATE", r.job.ID).Row().Scan(&id))
			begin := r.now
			for second := range 70 {
				r.now = begin.Add(time.Duration(15+second) * time.Second)
				r.tick()
			}
			const died, held = "a process died; its jobs go back to the queue", "because another transaction has locked a row"
			if text := log.String(); strings.Count(text, died) != 1 || strings.Count(text, held) != 2 || strings.Count(text, "\n") != 3 {
				t.Errorf("the log of 70 seconds is:\n%s", text)
			}
			locked, want := r.reaper.Locked(), Waiting{r.job.ID, r.job.Worker, "job 1", begin.Add(15 * time.Second)}
			if len(locked) != 1 || locked[0] != want {
				t.Errorf("the locked jobs are %+v", locked)
			}
			_, _ = r.reaper.listing.Run(r.now.Add(time.Hour), func() error { return nil }) // no list within the next hour
			r.NoError(tx.Commit().Error)
			r.now = r.now.Add(time.Second)
			r.tick()
			if got := r.Stored(r.job.ID).Status; got != tracker.StatusQueued || len(r.reaper.Locked()) != 0 {
				t.Errorf("a second after the commit, the job is %s, and locked are %+v", got, r.reaper.Locked())
			}
		})
	}
}
