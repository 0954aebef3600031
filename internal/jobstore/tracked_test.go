package jobstore_test

import (
	"math"
	"testing"
	"time"

	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/internal/storetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

func delivery(b *storetest.Fixture, attempt int) jobstore.Delivery {
	return jobstore.Delivery{
		Key: jobstore.TrackedKey("default", "task"), Again: attempt > 1, Attempt: attempt, MaxAttempts: 5, Worker: "asynq:w",
		StartedAt: b.Now(), DeadlineAt: b.Now().Add(time.Minute),
	}
}

func beginTracked(t *testing.T, b *storetest.Fixture, attempt int) *jobstore.Job {
	t.Helper()
	job, err := b.BeginTracked(t.Context(), storetest.NewJob(1), delivery(b, attempt))
	b.NoError(err)
	return job
}

// checkHidden checks that neither a worker nor a reaper nor the sweep finds a tracked row.
func checkHidden(t *testing.T, b *storetest.Fixture, job *jobstore.Job) {
	t.Helper()
	b.Advance(time.Hour)
	_, err := b.SweepLanes(t.Context(), math.MinInt64, math.MaxInt64, 100)
	b.NoError(err)
	claimed := b.ClaimDue(10, job)
	workers, err := b.RunningWorkers(t.Context())
	b.NoError(err)
	stored := b.Stored(job.ID)
	if len(claimed.Jobs)+len(claimed.Blocked)+len(workers) != 0 || !stored.WakeAt.IsZero() || stored.InLane {
		t.Errorf("claimed %+v, workers %v, row %+v; want the %s row hidden", claimed, workers, stored, stored.Status)
	}
}

func TestTrackedRowIsHiddenFromWorkersReapersAndSweepsUntilItEnds(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		b := storetest.New(t, db)
		original := b.End(1, tracker.StatusFailed)
		follows, fresh := jobstore.FollowUp{Of: original.ID}, retryJob()
		fresh.RetryOf = original.ID
		added, err := b.AddTracked(t.Context(), fresh, follows)
		b.NoError(err)
		checkHidden(t, b, added)
		again, err := b.AddTracked(t.Context(), fresh, follows)
		b.NoError(err)
		if again.ID != added.ID || !again.Coalesced || b.Stored(original.ID).RetriedAs != added.ID {
			t.Errorf("added %+v, want the open job %d, named in job %d", again, added.ID, original.ID)
		}
		d := delivery(b, 1)
		d.Row = added.ID
		job, err := b.BeginTracked(t.Context(), storetest.NewJob(1), d)
		b.NoError(err)
		if job.ID != added.ID || job.Attempt != 1 || job.MaxAttempts != 5 {
			t.Errorf("began %+v, want job %d", job, added.ID)
		}
		checkHidden(t, b, job)
		settled, err := b.SettleTracked(t.Context(), &jobstore.Outcome{Job: job, Status: tracker.StatusQueued, Attempt: tracker.OutcomeRetry})
		b.NoError(err)
		if !settled.Won || len(jobstore.WakesOf([]*jobstore.Job{settled.Job})) != 0 {
			t.Errorf("settled %+v, want no wake-up", settled)
		}
		checkHidden(t, b, job)
	})
}

func retryJob() *jobstore.Job {
	job := storetest.NewJob(1)
	job.UniqueKey = jobstore.UniqueKey("retry:1", false)
	return job
}

func TestLostAttemptOfATrackedRowEndsWhenTheNextOneBegins(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		b := storetest.New(t, db)
		lost := beginTracked(t, b, 1)
		b.Advance(time.Minute)
		job := beginTracked(t, b, 2)
		attempts, err := b.Attempts(t.Context(), &job.Job)
		b.NoError(err)
		if job.ID != lost.ID || job.Epoch != 1 || len(attempts) != 1 || attempts[0].Outcome != tracker.OutcomeReaped || attempts[0].Duration != time.Minute {
			t.Errorf("job %+v, attempts %+v", job, attempts)
		}
		if late, err := b.SettleTracked(t.Context(), &jobstore.Outcome{Job: lost, Status: tracker.StatusSuccess}); err != nil || late.Won {
			t.Errorf("the late outcome: %+v, %v; want it refused", late, err)
		}
		if _, err := b.BeginTracked(t.Context(), storetest.NewJob(1), jobstore.Delivery{
			Key: jobstore.TrackedKey("default", "task"), Attempt: 1, MaxAttempts: 5, Worker: "asynq:w", StartedAt: lost.StartedAt,
		}); err == nil || b.Stored(job.ID).Epoch != 1 {
			t.Errorf("the late start: %v, row %+v; want it refused", err, b.Stored(job.ID))
		}
	})
}

func TestCancelledTrackedRowIsReturnedAndStartsNothing(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		b := storetest.New(t, db)
		job := beginTracked(t, b, 1)
		if requested, err := b.RequestCancel(t.Context(), job.ID, "user:1"); err != nil || !requested {
			t.Fatal(requested, err)
		}
		b.Advance(time.Minute)
		for range 2 { // the lost attempt ends with the request; then the row has ended
			if again := beginTracked(t, b, 2); again.ID != job.ID || again.Status != tracker.StatusCancelled || again.CancelBy != "user:1" {
				t.Errorf("job %+v, want job %d cancelled", again, job.ID)
			}
		}
	})
}
