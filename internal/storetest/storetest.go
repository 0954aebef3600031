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
	f.NoError(f.InsertOwn(f.t.Context(), jobs, 100))
	return jobs
}

// Claimer is a process that serves the kind of the jobs from NewJob.
var Claimer = jobstore.Claimer{Worker: "w1", Serves: []jobstore.Served{{Kind: "whm/mailbox/update", Timeout: time.Minute}}}

// ClaimAll claims jobs in one batch.
func (f *Fixture) ClaimAll(jobs ...*jobstore.Job) []jobstore.ClaimResult {
	f.t.Helper()
	claims := make([]jobstore.Claim, len(jobs))
	for i, j := range jobs {
		claims[i] = jobstore.Claim{ID: j.ID, Epoch: j.Epoch}
	}
	results, err := f.Claim(f.t.Context(), Claimer, claims)
	f.NoError(err)
	return results
}

// ClaimOne claims a job. It fails the test if the claim does not win.
func (f *Fixture) ClaimOne(j *jobstore.Job) *jobstore.Job {
	f.t.Helper()
	r := f.ClaimAll(j)[0]
	if r.Outcome != jobstore.ClaimWon {
		f.t.Fatalf("job %d was not claimed: outcome %d", j.ID, r.Outcome)
	}
	return r.Job
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
