package jobstore_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/internal/storetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

func TestJobGoesFromQueuedToRunningToSuccess(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		b := storetest.New(t, db)
		job := storetest.NewJob(1)
		job.Sealed = []byte{1, 0, 2}
		b.Insert(job)
		if wakes := jobstore.WakesOf([]*jobstore.Job{job}); len(wakes) != 1 || wakes[0].Stream != job.Stream() || wakes[0].At != b.Now().UnixMicro() {
			t.Fatalf("wake-ups %+v, want one for the stream of job %d", wakes, job.ID)
		}
		b.Advance(time.Second)
		running := b.ClaimOne(job)
		if running.Attempt != 1 || running.Status != tracker.StatusRunning || running.Worker != "w1" || string(running.Sealed) != "\x01\x00\x02" {
			t.Fatalf("claimed %+v", running)
		}
		b.Advance(2 * time.Second)
		r := b.SettleAll(&jobstore.Outcome{Job: running, Status: tracker.StatusSuccess, Result: []byte(`{"n":1}`)})[0]
		if !r.Won {
			t.Fatal("the outcome was not written")
		}
		got := b.Stored(job.ID)
		if got.Status != tracker.StatusSuccess || !got.ArgumentsDropped() || got.Duration != 2*time.Second || string(got.Result) != `{"n":1}` ||
			!got.FinishedAt.Equal(b.Now()) {
			t.Fatalf("finished %+v", got)
		}
		if got.Status != r.Job.Status || !got.FinishedAt.Equal(r.Job.FinishedAt) || got.Duration != r.Job.Duration {
			t.Fatalf("the result %+v differs from the row %+v", r.Job, got)
		}
		attempts, err := b.Attempts(t.Context(), &got.Job)
		b.NoError(err)
		if len(attempts) != 1 || attempts[0].Outcome != "success" || attempts[0].Duration != 2*time.Second {
			t.Fatalf("attempts %+v", attempts)
		}
	})
}

func TestLateOutcomeChangesNothing(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		b := storetest.New(t, db)
		job := b.Insert(storetest.NewJob(1))[0]
		late := b.ClaimOne(job)
		b.SettleAll(&jobstore.Outcome{Job: late, Status: tracker.StatusQueued, Attempt: tracker.OutcomeReaped, Error: "the worker died"})
		second := b.ClaimOne(b.Stored(job.ID))
		if second.Epoch != 1 || second.Attempt != 2 {
			t.Fatalf("second attempt %+v", second)
		}
		if r := b.SettleAll(&jobstore.Outcome{Job: late, Status: tracker.StatusSuccess})[0]; r.Won {
			t.Fatal("the late outcome won")
		}
		if got := b.Stored(job.ID); got.Status != tracker.StatusRunning || got.Epoch != 1 {
			t.Fatalf("the late outcome changed the row: %+v", got)
		}
	})
}

func TestClaimWhoseAnswerWasLostIsFoundAgain(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		b := storetest.New(t, db)
		job := b.Insert(storetest.NewJob(1))[0]
		claim := jobstore.Claim{ID: job.ID, Epoch: job.Epoch}
		if found, err := b.ClaimedBy(t.Context(), "w1", claim); err != nil || found != nil {
			t.Fatalf("a queued job was claimed: %+v %v", found, err)
		}
		b.ClaimOne(job)
		for worker, want := range map[string]bool{"w1": true, "w2": false} {
			found, err := b.ClaimedBy(t.Context(), worker, claim)
			b.NoError(err)
			if (found != nil) != want {
				t.Errorf("ClaimedBy of worker %s: %+v", worker, found)
			}
		}
	})
}

func TestLaneRunsOneAtATimeInOrderAndCompletionWakesTheNext(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		b := storetest.New(t, db)
		a, c, other := storetest.NewJob(1), storetest.NewJob(1), storetest.NewJob(2)
		b.Insert(a)
		b.Insert(c, other)
		claimed := b.ClaimDue(10, a)
		if len(claimed.Jobs) != 2 || claimed.Jobs[0].ID == c.ID || claimed.Jobs[1].ID == c.ID || len(claimed.Blocked) != 1 || claimed.Blocked[0].ID != c.ID {
			t.Fatalf("claimed %+v, blocked %+v; want all but the second job of the lane", claimed.Jobs, claimed.Blocked)
		}
		b.NoError(b.Demote(t.Context(), claimed.Blocked))
		first := claimed.Jobs[0]
		if first.ID != a.ID {
			first = claimed.Jobs[1]
		}
		if got := b.Stored(c.ID); !got.WakeAt.IsZero() {
			t.Fatalf("the second job of the lane still has a wake-up: %v", got.WakeAt)
		}
		// A retry keeps its place.
		r := b.SettleAll(&jobstore.Outcome{Job: first, Status: tracker.StatusQueued, NotBefore: b.Now().Add(time.Minute)})[0]
		if len(r.Next) != 0 {
			t.Fatalf("a retry woke the next job: %+v", r.Next)
		}
		if b.TryClaim(c) != nil {
			t.Fatal("the second job ran before the retry of the first")
		}
		b.Advance(time.Minute)
		retried := b.ClaimOne(b.Stored(a.ID))
		r = b.SettleAll(&jobstore.Outcome{Job: retried, Status: tracker.StatusFailed, Error: "no", ErrorClass: "permanent"})[0]
		if len(r.Next) != 1 || r.Next[0].Stream != c.Stream() {
			t.Fatalf("the completion woke %+v, want the stream of job %d", r.Next, c.ID)
		}
		b.ClaimOne(c)
	})
}

func TestDelayedJobDoesNotBlockItsLaneAndJoinsWhenDue(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		b := storetest.New(t, db)
		delayed, soon := storetest.NewJob(1), storetest.NewJob(1)
		delayed.NotBefore = b.Now().Add(time.Hour)
		b.Insert(delayed, soon)
		running := b.ClaimOne(soon)
		if b.TryClaim(delayed) != nil {
			t.Fatal("a delayed job ran early")
		}
		b.Advance(2 * time.Hour)
		third := b.Insert(storetest.NewJob(1))[0]
		if b.TryClaim(delayed) != nil || b.TryClaim(third) != nil {
			t.Fatal("two jobs of one lane ran")
		}
		r := b.SettleAll(&jobstore.Outcome{Job: running, Status: tracker.StatusSuccess})[0]
		if len(r.Next) != 1 || b.Stored(delayed.ID).WakeAt.IsZero() {
			t.Fatalf("the completion woke %+v, want the delayed job %d", r.Next, delayed.ID)
		}
		if b.TryClaim(third) != nil {
			t.Fatal("a later job ran before the delayed one")
		}
		b.ClaimOne(delayed)
	})
}

func TestConcurrentClaimsOfOneLaneLetOneRun(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		b := storetest.New(t, db)
		for round := range 10 {
			lane := int64(100 + round)
			x, y := storetest.NewJob(lane), storetest.NewJob(lane)
			b.Insert(x)
			b.Insert(y)
			// Hide x from the lane, so that y looks like the first job.
			b.NoError(db.Exec("UPDATE nawasync_jobs SET open_lane = NULL WHERE id = ?", x.ID).Error)
			var wg sync.WaitGroup
			var mu sync.Mutex
			claimed := 0
			for _, j := range []*jobstore.Job{x, y} {
				wg.Go(func() {
					look := jobstore.Look{Stream: j.Stream(), Timeout: time.Minute, After: jobstore.Mark{WakeAt: j.WakeAt.UnixMicro(), ID: j.ID - 1}}
					result, err := b.Store.ClaimDue(context.Background(), storetest.Worker, []jobstore.Look{look}, 1)
					mu.Lock()
					defer mu.Unlock()
					if err != nil {
						t.Error(err)
					} else {
						claimed += len(result.Jobs)
					}
				})
			}
			wg.Wait()
			if claimed != 1 {
				t.Fatalf("round %d: %d jobs of one lane ran", round, claimed)
			}
		}
	})
}

func TestInvalidTextInOneOutcomeDoesNotFailTheOthers(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		b := storetest.New(t, db)
		jobs := b.Insert(storetest.NewJob(1), storetest.NewJob(2), storetest.NewJob(3))
		claimed := b.ClaimDue(10, jobs[0]).Jobs
		outcomes := make([]*jobstore.Outcome, 3)
		for _, job := range claimed {
			i := slices.IndexFunc(jobs, func(j *jobstore.Job) bool { return j.ID == job.ID })
			outcomes[i] = &jobstore.Outcome{Job: job, Status: tracker.StatusFailed, Error: "plain"}
		}
		outcomes[1].Error = "a\x00b\xff"
		outcomes[1].Stack = "s\x00"
		for i, r := range b.SettleAll(outcomes...) {
			if !r.Won {
				t.Fatalf("outcome %d was not written", i)
			}
		}
		if got := b.Stored(jobs[1].ID); got.Error != "a\uFFFDb\uFFFD" {
			t.Fatalf("error %q", got.Error)
		}
	})
}

func TestRejectedOutcomeDoesNotFailTheOthers(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		b := storetest.New(t, db)
		jobs := b.Insert(storetest.NewJob(1), storetest.NewJob(2), storetest.NewJob(3), storetest.NewJob(4))
		var outcomes []*jobstore.Outcome
		for _, job := range b.ClaimDue(10, jobs[0]).Jobs {
			outcomes = append(outcomes, &jobstore.Outcome{Job: job, Status: tracker.StatusSuccess})
		}
		boom := errors.New("boom")
		outcomes[2].OnSuccess = func(*gorm.DB) error { return boom }
		results, errs := b.Settle(t.Context(), outcomes)
		for i := range outcomes {
			if i == 2 {
				if !errors.Is(errs[i], boom) || results[i].Won {
					t.Fatalf("outcome 2: %v %+v", errs[i], results[i])
				}
			} else if errs[i] != nil || !results[i].Won {
				t.Fatalf("outcome %d: %v", i, errs[i])
			}
		}
		if got := b.Stored(outcomes[2].Job.ID); got.Status != tracker.StatusRunning {
			t.Fatalf("the job of the rejected outcome is %s", got.Status)
		}
	})
}

func TestUniqueKeyIsHeldUntilTheJobFinishesOrStarts(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		b := storetest.New(t, db)
		unique := func(hash string, untilRunning bool) *jobstore.Job {
			j := storetest.NewJob(int64(len(hash)))
			j.UniqueKey = jobstore.UniqueKey(hash, untilRunning)
			list := []*jobstore.Job{j}
			b.NoError(b.InsertOwn(t.Context(), list))
			return list[0]
		}
		first := unique("a", false)
		if again := unique("a", false); again.ID != first.ID || !again.Coalesced {
			t.Fatalf("job %d was added although job %d holds the key", again.ID, first.ID)
		}
		running := b.ClaimOne(first)
		if again := unique("a", false); again.ID != first.ID {
			t.Fatal("the start released the key")
		}
		b.SettleAll(&jobstore.Outcome{Job: running, Status: tracker.StatusSuccess})
		if again := unique("a", false); again.ID == first.ID {
			t.Fatal("the completion did not release the key")
		}
		sync1 := unique("bb", true)
		b.ClaimOne(sync1)
		successor := unique("bb", true)
		if successor.ID == sync1.ID || successor.Coalesced {
			t.Fatal("no second job was added while the first runs")
		}
		if again := unique("bb", true); again.ID != successor.ID {
			t.Fatal("a third job was added while the second waits")
		}
	})
}

func TestFiftyConcurrentUniqueDispatchesMakeOneRow(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		b := storetest.New(t, db)
		var wg sync.WaitGroup
		ids := make([]int64, 50)
		for i := range ids {
			wg.Go(func() {
				j := storetest.NewJob(5)
				j.UniqueKey = jobstore.UniqueKey("same", false)
				list := []*jobstore.Job{j}
				if err := b.InsertOwn(context.Background(), list); err != nil {
					t.Error(err)
					return
				}
				ids[i] = list[0].ID
			})
		}
		wg.Wait()
		for _, id := range ids {
			if id == 0 || id != ids[0] {
				t.Fatalf("ids differ: %v", ids)
			}
		}
	})
}
