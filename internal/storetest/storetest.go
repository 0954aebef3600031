// Package storetest sets up a job store without an engine, with a clock that the test controls.
// Only tests import it.
package storetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nawasara/nawasync/internal/jobrow"
	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// Fixture is the store of one test.
type Fixture struct {
	*jobstore.Store
	Database *testdb.Database

	t   testing.TB
	mu  sync.Mutex
	now time.Time
}

// New returns a fixture on db. Its clock starts at noon UTC on 2026-03-01 and moves only with
// Advance and End.
func New(t testing.TB, db *testdb.Database) *Fixture {
	t.Helper()
	f := &Fixture{Database: db, t: t, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	store, err := jobstore.New(db.DB, jobstore.Options{Now: f.clock})
	f.NoError(err)
	f.Store = store
	return f
}

func (f *Fixture) clock() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

// Advance advances the clock by d.
func (f *Fixture) Advance(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = f.now.Add(d)
}

// NoError fails the test at once if err is not nil.
func (f *Fixture) NoError(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

// NewJob returns a new job in a lane. Each lane has its own target.
func NewJob(lane int64) *jobstore.Job {
	job := &jobstore.Job{Job: tracker.Job{
		Service: "whm", Type: "mailbox", Action: "update", Instance: "main", TargetID: fmt.Sprint("box-", lane),
		Queue: "default", MaxAttempts: 3, TriggeredBy: "user:7", TriggerSource: "manual", Payload: []byte(`{"quota":500}`),
	}}
	job.Lane = lane
	SetTargetKey(job)
	return job
}

// SetTargetKey sets the target key of a job. Call it after changing the target.
func SetTargetKey(job *jobstore.Job) {
	job.TargetKey = jobrow.TargetKey(job.Service, job.Type, job.Instance, job.TargetID)
}

// Insert adds jobs and returns them.
func (f *Fixture) Insert(jobs ...*jobstore.Job) []*jobstore.Job {
	f.t.Helper()
	f.NoError(f.InsertOwn(f.t.Context(), jobs))
	return jobs
}

// Worker is the process id under which the fixture claims jobs.
const Worker = "w1"

// ClaimDue claims up to limit due jobs of each of the streams of jobs.
func (f *Fixture) ClaimDue(limit int, jobs ...*jobstore.Job) *jobstore.Claimed {
	f.t.Helper()
	var looks []jobstore.Look
	known := map[jobstore.Stream]bool{}
	for _, j := range jobs {
		if !known[j.Stream()] {
			known[j.Stream()] = true
			looks = append(looks, jobstore.Look{Stream: j.Stream(), Timeout: time.Minute})
		}
	}
	claimed, err := f.Store.ClaimDue(f.t.Context(), Worker, looks, limit)
	f.NoError(err)
	return claimed
}

// TryClaim claims a job and returns it, or nil if it cannot run now. A job behind another of its
// lane leaves the claim index.
func (f *Fixture) TryClaim(j *jobstore.Job) *jobstore.Job {
	f.t.Helper()
	stored := f.Stored(j.ID)
	if stored.WakeAt.IsZero() {
		return nil
	}
	look := jobstore.Look{Stream: j.Stream(), Timeout: time.Minute, After: jobstore.Mark{WakeAt: stored.WakeAt.UnixMicro(), ID: j.ID - 1}}
	claimed, err := f.Store.ClaimDue(f.t.Context(), Worker, []jobstore.Look{look}, 1)
	f.NoError(err)
	f.NoError(f.Demote(f.t.Context(), claimed.Blocked))
	if len(claimed.Jobs) == 0 {
		return nil
	}
	return claimed.Jobs[0]
}

// ClaimOne claims a job. It fails the test if the job cannot run now.
func (f *Fixture) ClaimOne(j *jobstore.Job) *jobstore.Job {
	f.t.Helper()
	claimed := f.TryClaim(j)
	if claimed == nil || claimed.ID != j.ID {
		f.t.Fatalf("job %d was not claimed", j.ID)
	}
	return claimed
}

// SettleAll writes outcomes. It fails the test if one of them fails.
func (f *Fixture) SettleAll(outcomes ...*jobstore.Outcome) []jobstore.Settled {
	f.t.Helper()
	results, errs := f.Settle(f.t.Context(), outcomes)
	f.NoError(errors.Join(errs...))
	return results
}

// Stored reads a job from the database.
func (f *Fixture) Stored(id int64) *jobstore.Job {
	f.t.Helper()
	j, err := f.Load(f.t.Context(), id)
	f.NoError(err)
	return j
}

// End inserts and claims a job, advances the clock by 100 ms and settles the job with the status.
func (f *Fixture) End(lane int64, status tracker.Status) *jobstore.Job {
	f.t.Helper()
	job := f.ClaimOne(f.Insert(NewJob(lane))[0])
	f.Advance(100 * time.Millisecond)
	return f.SettleAll(&jobstore.Outcome{Job: job, Status: status})[0].Job
}
