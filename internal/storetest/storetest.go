// Package storetest sets up a job store with a clock that the test turns, without an
// engine. Only tests import it.
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

// Fixture is one test's store.
type Fixture struct {
	*jobstore.Store
	Database *testdb.Database

	t   testing.TB
	mu  sync.Mutex
	now time.Time
}

// New begins at noon of a day of its own.
func New(t testing.TB, db *testdb.Database) *Fixture {
	t.Helper()
	b := &Fixture{Database: db, t: t, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	store, err := jobstore.New(db.DB, jobstore.Options{Now: b.clock})
	b.NoError(err)
	b.Store = store
	return b
}

func (b *Fixture) clock() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now
}

// Advance turns the clock.
func (b *Fixture) Advance(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = b.now.Add(d)
}

// NoError fails the test for an error.
func (b *Fixture) NoError(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// NewJob is a job in a lane, with a target of its own.
func NewJob(lane int64) *jobstore.Job {
	job := &jobstore.Job{Job: tracker.Job{
		Service: "whm", Type: "mailbox", Action: "update", Instance: "main", TargetID: fmt.Sprint("box-", lane),
		Queue: "default", MaxAttempts: 3, TriggeredBy: "user:7", TriggerSource: "manual", Payload: []byte(`{"quota":500}`),
	}}
	job.Lane = lane
	SetTargetKey(job)
	return job
}

// SetTargetKey makes a job findable by its target, after that was changed.
func SetTargetKey(job *jobstore.Job) {
	job.TargetKey = jobrow.TargetKey(job.Service, job.Type, job.Instance, job.TargetID)
}

// Insert adds jobs in a transaction of its own.
func (b *Fixture) Insert(jobs ...*jobstore.Job) []*jobstore.Job {
	b.t.Helper()
	b.NoError(b.InsertOwn(b.t.Context(), jobs, 100))
	return jobs
}

// Claimer claims what NewJob makes.
var Claimer = jobstore.Claimer{Worker: "w1", Serves: []jobstore.Served{{Kind: "whm/mailbox/update", Timeout: time.Minute}}}

// ClaimAll claims jobs in one batch.
func (b *Fixture) ClaimAll(jobs ...*jobstore.Job) []jobstore.ClaimResult {
	b.t.Helper()
	claims := make([]jobstore.Claim, len(jobs))
	for i, j := range jobs {
		claims[i] = jobstore.Claim{ID: j.ID, Epoch: j.Epoch}
	}
	results, err := b.Claim(b.t.Context(), Claimer, claims)
	b.NoError(err)
	return results
}

// ClaimOne claims a job, which must run then.
func (b *Fixture) ClaimOne(j *jobstore.Job) *jobstore.Job {
	b.t.Helper()
	r := b.ClaimAll(j)[0]
	if r.Outcome != jobstore.ClaimWon {
		b.t.Fatalf("job %d was not claimed: outcome %d", j.ID, r.Outcome)
	}
	return r.Job
}

// SettleAll writes outcomes, none of which may fail.
func (b *Fixture) SettleAll(outcomes ...*jobstore.Outcome) []jobstore.Settled {
	b.t.Helper()
	results, errs := b.Settle(b.t.Context(), outcomes)
	b.NoError(errors.Join(errs...))
	return results
}

// Stored is a job as the database has it.
func (b *Fixture) Stored(id int64) *jobstore.Job {
	b.t.Helper()
	j, err := b.Load(b.t.Context(), id)
	b.NoError(err)
	return j
}

// End has a job run for 100 ms and end.
func (b *Fixture) End(lane int64, status tracker.Status) *jobstore.Job {
	b.t.Helper()
	job := b.ClaimOne(b.Insert(NewJob(lane))[0])
	b.Advance(100 * time.Millisecond)
	return b.SettleAll(&jobstore.Outcome{Job: job, Status: status})[0].Job
}
