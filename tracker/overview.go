package tracker

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// OpenJobs is what waits and runs of one kind and instance.
type OpenJobs struct {
	Service  string `json:"service"`
	Type     string `json:"type"`
	Action   string `json:"action"`
	Instance string `json:"instance"`
	Queued   int64  `json:"queued"`  // due ones and others
	Due      int64  `json:"due"`     // of them, those whose time has come
	Running  int64  `json:"running"` //
	Stuck    int64  `json:"stuck"`   // of the running ones, those past their deadline
	// Oldest is since when the one that waits longest has been due; zero when none is.
	Oldest time.Time `json:"oldest,omitzero"`
}

// MaxOpenJobs is how many open jobs Open looks at.
const MaxOpenJobs = 50_000

// Open sums up the open jobs, those due earliest first where there are more than
// MaxOpenJobs; more says that there are.
func (s *Store) Open(ctx context.Context) (list []OpenJobs, more bool, err error) {
	now := s.Now().UnixMicro()
	var seen int64
	// A row that waits in its lane has no wake_at: it is due since its not_before too.
	err = each(s.DB(ctx), func(rows *sql.Rows) error {
		var o OpenJobs
		var oldest sql.NullInt64
		err := rows.Scan(&o.Service, &o.Type, &o.Action, &o.Instance, &o.Queued, &o.Due, &o.Running, &o.Stuck, &oldest)
		o.Oldest = fromMicros(oldest.Int64)
		seen += o.Queued + o.Running
		list = append(list, o)
		return err
	}, `SELECT service, type, action, instance,
 SUM(CASE WHEN status = 'queued' THEN 1 ELSE 0 END), SUM(CASE WHEN status = 'queued' AND not_before <= ? THEN 1 ELSE 0 END),
 SUM(CASE WHEN status = 'running' THEN 1 ELSE 0 END), SUM(CASE WHEN status = 'running' AND deadline_at < ? THEN 1 ELSE 0 END),
 MIN(CASE WHEN status = 'queued' AND not_before <= ? THEN not_before END)
 FROM (SELECT service, type, action, instance, status, not_before, deadline_at FROM nawasync_jobs WHERE open_lane IS NOT NULL LIMIT ?) o
 GROUP BY service, type, action, instance ORDER BY service, type, action, instance`, now, now, now, MaxOpenJobs)
	if err != nil {
		return nil, false, fmt.Errorf("nawasync: sum up the open jobs: %w", err)
	}
	return list, seen >= MaxOpenJobs, nil
}

// LastDone is the last success of one kind and instance.
type LastDone struct {
	Service  string    `json:"service"`
	Type     string    `json:"type"`
	Action   string    `json:"action"`
	Instance string    `json:"instance"`
	JobID    int64     `json:"job_id"`
	At       time.Time `json:"at"`
}

// LastSuccesses lists the last success of every kind and instance that ever had one.
func (s *Store) LastSuccesses(ctx context.Context) ([]LastDone, error) {
	var list []LastDone
	err := each(s.DB(ctx), func(rows *sql.Rows) error {
		var one LastDone
		var at int64
		err := rows.Scan(&one.Service, &one.Type, &one.Action, &one.Instance, &one.JobID, &at)
		one.At = fromMicros(at)
		list = append(list, one)
		return err
	}, "SELECT service, type, action, instance, job_id, finished_at FROM nawasync_last_success ORDER BY service, type, action, instance")
	if err != nil {
		return nil, fmt.Errorf("nawasync: read the last successes: %w", err)
	}
	return list, nil
}

// Place is where targets are: what a target's id must be completed with to name one.
type Place struct{ Service, Type, Instance string }

// Places lists every place in which a job has ended.
func (s *Store) Places(ctx context.Context) ([]Place, error) {
	var list []Place
	err := each(s.DB(ctx), func(rows *sql.Rows) error {
		var p Place
		err := rows.Scan(&p.Service, &p.Type, &p.Instance)
		list = append(list, p)
		return err
	}, "SELECT DISTINCT service, type, instance FROM nawasync_stats WHERE period = 'day' UNION SELECT DISTINCT service, type, instance FROM nawasync_stat_deltas"+
		" UNION SELECT DISTINCT service, type, instance FROM (SELECT service, type, instance FROM nawasync_jobs WHERE open_lane IS NOT NULL LIMIT 10000) o")
	if err != nil {
		return nil, fmt.Errorf("nawasync: list where jobs have ended: %w", err)
	}
	return list, nil
}

// Errors reads the error texts of up to limit jobs that failed since a time, newest
// first, of the services that the reader may see (nil: every one).
func (s *Store) Errors(ctx context.Context, services []string, since time.Time, limit int) ([]*Job, error) {
	results, err := s.Search(ctx, Search{Services: services, From: since, Terms: []Term{{Field: FieldStatus, Values: []string{string(Failed), string(Conflict)}}}}, 0, 0, min(limit, 500))
	return results.Jobs, err
}

// Ahead lists the open jobs that are before a queued one in its lane, running ones
// first.
func (s *Store) Ahead(ctx context.Context, j *Job, limit int) ([]*Job, error) {
	if j.Status != Queued {
		return nil, nil
	}
	list, err := s.jobs(s.DB(ctx), false, "WHERE j.open_lane = ? AND j.id <> ? AND (j.running_lane IS NOT NULL OR (j.id < ? AND (j.epoch > 0 OR j.not_before <= ?))) ORDER BY j.running_lane IS NULL, j.id LIMIT ?",
		j.Lane, j.ID, j.ID, s.Now().UnixMicro(), limit)
	if err != nil {
		return nil, fmt.Errorf("nawasync: read the lane of job %d: %w", j.ID, err)
	}
	return list, nil
}
