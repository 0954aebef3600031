package main

import (
	"context"
	"fmt"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/tracker"
)

// attemptKey identifies one execution of a job.
type attemptKey struct {
	job   int64
	epoch int
}

// jobRecord has the columns of nawasync_jobs that the checks read.
type jobRecord struct {
	ID                                        int64
	Service, Type, Action, Instance, TargetID string
	Status                                    tracker.Status
	Epoch, Attempt                            int
	NotBefore                                 int64
	ErrorClass, Error, Worker                 *string
}

func (j *jobRecord) String() string {
	text := fmt.Sprintf("job %d (%s/%s/%s %s %s): %s, epoch %d, attempt %d", j.ID, j.Service, j.Type, j.Action, j.Instance, j.TargetID, j.Status, j.Epoch, j.Attempt)
	if j.Worker != nil {
		text += ", worker " + *j.Worker
	}
	if j.Error != nil {
		text += ", error " + *j.Error
	}
	return text
}

// order is a row of the host: a dispatch that committed.
type order struct {
	JobID      int64
	Lane, Kind string
	Fatal      bool
}

// attemptRecord is an ended attempt. A success has none if its handler logged nothing.
type attemptRecord struct {
	JobID             int64
	Epoch             int
	Outcome           tracker.Outcome
	ErrorClass, Error string
}

// effect is a row that the OnSuccess of a job has inserted.
type effect struct {
	JobID int64
	Epoch int
}

// statistic is a number of jobs. Its fields but Jobs name what is counted.
type statistic struct {
	Service, Type, Action, Instance, Outcome string
	Jobs                                     int64
}

// evidence is what the checks read: the database and the log of the remote.
type evidence struct {
	jobs           map[int64]*jobRecord
	list           []*jobRecord // ordered by id
	attempts       map[attemptKey]attemptRecord
	ended          []attemptRecord // the same, in order
	orders         []order         // in the order of dispatch
	effects        []effect
	things         []thing
	counted, total []statistic // what the engine counted, and the jobs themselves
	log            remoteLog
}

// readEvidence reads everything after the last job has finished.
func readEvidence(ctx context.Context, db *gorm.DB, remote *client) (*evidence, error) {
	e := &evidence{jobs: map[int64]*jobRecord{}, attempts: map[attemptKey]attemptRecord{}}
	const groups = "service, type, action, instance, "
	for _, q := range []struct {
		into any
		sql  string
	}{
		{&e.list, "SELECT id, service, type, action, instance, target_id, status, epoch, attempt, not_before, error_class, error, worker FROM nawasync_jobs ORDER BY id"},
		{&e.ended, "SELECT job_id, epoch, outcome, COALESCE(error_class, '') AS error_class, COALESCE(error, '') AS error FROM nawasync_attempts ORDER BY job_id, epoch"},
		{&e.orders, "SELECT job_id, lane, kind, fatal FROM host_orders ORDER BY job_id, id"},
		{&e.effects, "SELECT job_id, epoch FROM host_effects"},
		{&e.things, "SELECT * FROM things WHERE deleted_at IS NULL ORDER BY id"},
		{
			&e.counted, "SELECT " + groups + "outcome, CAST(SUM(jobs) AS " + bigint(db) + ") AS jobs FROM (SELECT " + groups +
				"outcome, jobs FROM nawasync_stats WHERE period = '" + string(tracker.PeriodMinute) + "' UNION ALL SELECT " + groups +
				"outcome, jobs FROM nawasync_stat_deltas) AS parts GROUP BY " + groups + "outcome",
		},
		{&e.total, "SELECT " + groups + "status AS outcome, COUNT(*) AS jobs FROM nawasync_jobs WHERE finished_at IS NOT NULL GROUP BY " + groups + "status"},
	} {
		if err := db.WithContext(ctx).Raw(q.sql).Scan(q.into).Error; err != nil {
			return nil, fmt.Errorf("read what the checks need: %w", err)
		}
	}
	for _, j := range e.list {
		e.jobs[j.ID] = j
	}
	for _, a := range e.ended {
		e.attempts[attemptKey{a.JobID, a.Epoch}] = a
	}
	return e, remote.tell(ctx, "/dump", report{}, &e.log)
}

func bigint(db *gorm.DB) string {
	if db.Name() == "mysql" {
		return "SIGNED"
	}
	return "BIGINT"
}

// fenced reports whether the engine refused the outcome of an execution: another process had taken
// the job back, or the worker gave it up because it had lost its lease.
func (e *evidence) fenced(x execution) bool {
	a, found := e.attempts[attemptKey{x.Job, x.Epoch}]
	if !found {
		return false
	}
	return a.Outcome == tracker.OutcomeReaped || a.Outcome == tracker.OutcomeStopped || a.ErrorClass == string(fault.ClassWorkerDied)
}
