package tracker_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// bench is one test's store with a clock that the test turns.
type bench struct {
	*tracker.Store
	db  *testdb.Database
	mu  sync.Mutex
	now time.Time
}

func newBench(t *testing.T, db *testdb.Database) *bench {
	t.Helper()
	b := &bench{db: db, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	store, err := tracker.New(db.DB, tracker.Options{Now: b.clock})
	ok(t, err)
	b.Store = store
	return b
}

func (b *bench) clock() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now
}

func (b *bench) advance(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = b.now.Add(d)
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newJob(lane int64) *tracker.Job {
	return &tracker.Job{
		TargetKey: lane, Lane: lane, Service: "whm", Type: "mailbox", Action: "update", Instance: "main", TargetID: fmt.Sprint("box-", lane),
		Queue: "default", MaxAttempts: 3, TriggeredBy: "user:7", TriggerSource: "manual", Payload: []byte(`{"quota":500}`),
	}
}

func (b *bench) insert(t *testing.T, jobs ...*tracker.Job) []*tracker.Job {
	t.Helper()
	ok(t, b.InsertOwn(t.Context(), jobs, 100))
	return jobs
}

var claimer = tracker.Claimer{Worker: "w1", Serves: []tracker.Served{{Kind: "whm/mailbox/update", Timeout: time.Minute}}}

func (b *bench) claim(t *testing.T, jobs ...*tracker.Job) []tracker.ClaimResult {
	t.Helper()
	claims := make([]tracker.Claim, len(jobs))
	for i, j := range jobs {
		claims[i] = tracker.Claim{ID: j.ID, Epoch: j.Epoch}
	}
	results, err := b.Claim(t.Context(), claimer, claims)
	ok(t, err)
	return results
}

func (b *bench) claimOne(t *testing.T, j *tracker.Job) *tracker.Job {
	t.Helper()
	r := b.claim(t, j)[0]
	if r.Fate != tracker.Claimed {
		t.Fatalf("job %d was not claimed: fate %d", j.ID, r.Fate)
	}
	return r.Job
}

func (b *bench) finish(t *testing.T, verdicts ...*tracker.Verdict) []tracker.FinishResult {
	t.Helper()
	results, errs := b.Finish(t.Context(), verdicts)
	ok(t, errors.Join(errs...))
	return results
}

func (b *bench) get(t *testing.T, id int64) *tracker.Job {
	t.Helper()
	j, err := b.Get(t.Context(), id)
	ok(t, err)
	return j
}

func TestJobGoesFromQueuedToRunningToSuccess(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		b := newBench(t, db)
		job := newJob(1)
		job.Sealed = []byte{1, 0, 2}
		b.insert(t, job)
		if bells := tracker.Bells([]*tracker.Job{job}); len(bells) != 1 || bells[0].ID != job.ID || bells[0].Ring != 1 {
			t.Fatalf("bells %+v", bells)
		}
		b.advance(time.Second)
		running := b.claimOne(t, job)
		if running.Attempt != 1 || running.Status != tracker.Running || running.Worker != "w1" || string(running.Sealed) != "\x01\x00\x02" {
			t.Fatalf("claimed %+v", running)
		}
		b.advance(2 * time.Second)
		r := b.finish(t, &tracker.Verdict{Job: running, Status: tracker.Success, Result: []byte(`{"n":1}`)})[0]
		if !r.Won {
			t.Fatal("the fence failed")
		}
		got := b.get(t, job.ID)
		if got.Status != tracker.Success || !got.ArgumentsDropped() || got.Duration != 2*time.Second || string(got.Result) != `{"n":1}` || !got.FinishedAt.Equal(b.now) {
			t.Fatalf("finished %+v", got)
		}
		if got.Status != r.Job.Status || !got.FinishedAt.Equal(r.Job.FinishedAt) || got.Duration != r.Job.Duration {
			t.Fatalf("the result %+v is not the row %+v", r.Job, got)
		}
		attempts, err := b.Attempts(t.Context(), got)
		ok(t, err)
		if len(attempts) != 1 || attempts[0].Outcome != "success" || attempts[0].Duration != 2*time.Second {
			t.Fatalf("attempts %+v", attempts)
		}
	})
}

func TestLateVerdictChangesNothing(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		b := newBench(t, db)
		job := b.insert(t, newJob(1))[0]
		late := b.claimOne(t, job)
		b.finish(t, &tracker.Verdict{Job: late, Status: tracker.Queued, Outcome: "reaped", Error: "the worker died"})
		second := b.claimOne(t, b.get(t, job.ID))
		if second.Epoch != 1 || second.Attempt != 2 {
			t.Fatalf("second attempt %+v", second)
		}
		if r := b.finish(t, &tracker.Verdict{Job: late, Status: tracker.Success})[0]; r.Won {
			t.Fatal("the late verdict won")
		}
		if got := b.get(t, job.ID); got.Status != tracker.Running || got.Epoch != 1 {
			t.Fatalf("the late verdict changed the row: %+v", got)
		}
		if r := b.claim(t, job)[0]; r.Fate != tracker.Stale {
			t.Fatalf("an old epoch was claimed: %d", r.Fate)
		}
	})
}

func TestClaimWhoseAnswerWasLostIsFoundAgain(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		b := newBench(t, db)
		job := b.insert(t, newJob(1))[0]
		claim := tracker.Claim{ID: job.ID, Epoch: job.Epoch}
		if found, err := b.ClaimedBy(t.Context(), "w1", claim); err != nil || found != nil {
			t.Fatalf("a queued job was claimed: %+v %v", found, err)
		}
		b.claimOne(t, job)
		for worker, want := range map[string]bool{"w1": true, "w2": false} {
			found, err := b.ClaimedBy(t.Context(), worker, claim)
			ok(t, err)
			if (found != nil) != want {
				t.Errorf("%s: %+v", worker, found)
			}
		}
	})
}

func TestLaneRunsOneAtATimeInOrderAndEndingRingsTheNext(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		b := newBench(t, db)
		a, c, other := newJob(1), newJob(1), newJob(2)
		b.insert(t, a)
		b.insert(t, c, other)
		results := b.claim(t, c, a, other)
		if results[0].Fate != tracker.Waiting || results[1].Fate != tracker.Claimed || results[2].Fate != tracker.Claimed {
			t.Fatalf("fates %+v", results)
		}
		if got := b.get(t, c.ID); !got.WakeAt.IsZero() {
			t.Fatalf("the second of the lane is still looked at: %v", got.WakeAt)
		}
		// A retry keeps its place.
		r := b.finish(t, &tracker.Verdict{Job: results[1].Job, Status: tracker.Queued, NotBefore: b.now.Add(time.Minute)})[0]
		if len(r.Next) != 0 {
			t.Fatalf("a retry rang the next: %+v", r.Next)
		}
		if f := b.claim(t, c)[0].Fate; f != tracker.Waiting {
			t.Fatalf("the second ran before the first's retry: %d", f)
		}
		b.advance(time.Minute)
		retried := b.claimOne(t, b.get(t, a.ID))
		r = b.finish(t, &tracker.Verdict{Job: retried, Status: tracker.Failed, Error: "no", ErrorClass: "permanent"})[0]
		if len(r.Next) != 1 || r.Next[0].ID != c.ID {
			t.Fatalf("the ending rang %+v, not %d", r.Next, c.ID)
		}
		b.claimOne(t, c)
	})
}

func TestDelayedJobDoesNotBlockItsLaneAndJoinsWhenDue(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		b := newBench(t, db)
		delayed, soon := newJob(1), newJob(1)
		delayed.NotBefore = b.now.Add(time.Hour)
		b.insert(t, delayed, soon)
		running := b.claimOne(t, soon)
		if f := b.claim(t, delayed)[0].Fate; f != tracker.Waiting {
			t.Fatalf("a delayed job ran early: %d", f)
		}
		b.advance(2 * time.Hour)
		third := b.insert(t, newJob(1))[0]
		if f := b.claim(t, delayed)[0].Fate; f != tracker.Waiting {
			t.Fatalf("two jobs of one lane ran: %d", f)
		}
		r := b.finish(t, &tracker.Verdict{Job: running, Status: tracker.Success})[0]
		if len(r.Next) != 1 || r.Next[0].ID != delayed.ID {
			t.Fatalf("next %+v, want the delayed job %d", r.Next, delayed.ID)
		}
		if f := b.claim(t, third)[0].Fate; f != tracker.Waiting {
			t.Fatalf("a later row passed the delayed one: %d", f)
		}
		b.claimOne(t, delayed)
	})
}

func TestConcurrentClaimsOfOneLaneLetOneRun(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		b := newBench(t, db)
		for round := range 10 {
			lane := int64(100 + round)
			x, y := newJob(lane), newJob(lane)
			b.insert(t, x)
			b.insert(t, y)
			// y believes it is first: x is made invisible to the lane's reading.
			ok(t, db.Exec("UPDATE nawasync_jobs SET open_lane = NULL WHERE id = ?", x.ID).Error)
			var wg sync.WaitGroup
			var mu sync.Mutex
			claimed := 0
			for _, j := range []*tracker.Job{x, y} {
				wg.Go(func() {
					results, err := b.Claim(context.Background(), claimer, []tracker.Claim{{ID: j.ID, Epoch: j.Epoch}})
					mu.Lock()
					defer mu.Unlock()
					if err != nil {
						t.Error(err)
					} else if results[0].Fate == tracker.Claimed {
						claimed++
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

func TestOneBadTextFailsNobodyElsesFinish(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		b := newBench(t, db)
		jobs := b.insert(t, newJob(1), newJob(2), newJob(3))
		claimed := b.claim(t, jobs...)
		verdicts := make([]*tracker.Verdict, 3)
		for i, c := range claimed {
			verdicts[i] = &tracker.Verdict{Job: c.Job, Status: tracker.Failed, Error: "plain"}
		}
		verdicts[1].Error = "a\x00b\xff"
		verdicts[1].Stack = "s\x00"
		for i, r := range b.finish(t, verdicts...) {
			if !r.Won {
				t.Fatalf("verdict %d lost", i)
			}
		}
		if got := b.get(t, jobs[1].ID); got.Error != "a\uFFFDb\uFFFD" {
			t.Fatalf("error %q", got.Error)
		}
	})
}

func TestRefusedVerdictStandsAlone(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		b := newBench(t, db)
		jobs := b.insert(t, newJob(1), newJob(2), newJob(3), newJob(4))
		var verdicts []*tracker.Verdict
		for _, c := range b.claim(t, jobs...) {
			verdicts = append(verdicts, &tracker.Verdict{Job: c.Job, Status: tracker.Success})
		}
		boom := errors.New("boom")
		verdicts[2].OnSuccess = func(*gorm.DB) error { return boom }
		results, errs := b.Finish(t.Context(), verdicts)
		for i := range verdicts {
			if i == 2 {
				if !errors.Is(errs[i], boom) || results[i].Won {
					t.Fatalf("verdict 2: %v %+v", errs[i], results[i])
				}
			} else if errs[i] != nil || !results[i].Won {
				t.Fatalf("verdict %d: %v", i, errs[i])
			}
		}
		if got := b.get(t, jobs[2].ID); got.Status != tracker.Running {
			t.Fatalf("the refused one is %s", got.Status)
		}
	})
}

func TestUniqueKeyHoldsUntilTheEndOrTheStart(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		b := newBench(t, db)
		unique := func(hash string, untilRunning bool) *tracker.Job {
			j := newJob(int64(len(hash)))
			j.ActiveKey = tracker.UniqueKey(hash, untilRunning)
			list := []*tracker.Job{j}
			ok(t, b.InsertOwn(t.Context(), list, 100))
			return list[0]
		}
		first := unique("a", false)
		if again := unique("a", false); again.ID != first.ID || !again.Coalesced {
			t.Fatalf("second row %d beside %d", again.ID, first.ID)
		}
		running := b.claimOne(t, first)
		if again := unique("a", false); again.ID != first.ID {
			t.Fatal("the key was freed by the start")
		}
		b.finish(t, &tracker.Verdict{Job: running, Status: tracker.Success})
		if again := unique("a", false); again.ID == first.ID {
			t.Fatal("the key was not freed by the end")
		}
		sync1 := unique("bb", true)
		b.claimOne(t, sync1)
		successor := unique("bb", true)
		if successor.ID == sync1.ID || successor.Coalesced {
			t.Fatal("no successor while one runs")
		}
		if again := unique("bb", true); again.ID != successor.ID {
			t.Fatal("a second successor")
		}
	})
}

func TestFiftyConcurrentUniqueDispatchesMakeOneRow(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		b := newBench(t, db)
		var wg sync.WaitGroup
		ids := make([]int64, 50)
		for i := range ids {
			wg.Go(func() {
				j := newJob(5)
				j.ActiveKey = tracker.UniqueKey("same", false)
				list := []*tracker.Job{j}
				if err := b.InsertOwn(context.Background(), list, 100); err != nil {
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
