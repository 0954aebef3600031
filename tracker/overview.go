package tracker

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/nawasara/nawasync/internal/sqlkit"
)

// OpenJobs is what waits and runs of one kind and instance.
type OpenJobs struct {
	Service  string `json:"service"`
	Type     string `json:"type"`
	Action   string `json:"action"`
	Instance string `json:"instance"`
	Queued   int64  `json:"queued"` // due ones and others
	Due      int64  `json:"due"`    // of them, those whose time has come
	Running  int64  `json:"running"`
	Stuck    int64  `json:"stuck"` // of the running ones, those past their deadline
	// Oldest is since when the one that waits longest has been due; zero when none is.
	Oldest time.Time `json:"oldest,omitzero"`
}

// MaxOpenJobs is how many open jobs Open looks at.
const MaxOpenJobs = 50_000

// OpenJobs sums up the open jobs by kind and instance: the first MaxOpenJobs that the
// database finds; more says that there are others.
func (r *Reader) OpenJobs(ctx context.Context) (list []OpenJobs, more bool, err error) {
	now := r.Now().UnixMicro()
	var seen int64
	// A row that waits in its lane has no wake_at: it is due since its not_before too.
	err = sqlkit.Each(r.session(ctx), func(rows *sql.Rows) error {
		var o OpenJobs
		var oldest sql.NullInt64
		err := rows.Scan(&o.Service, &o.Type, &o.Action, &o.Instance, &o.Queued, &o.Due, &o.Running, &o.Stuck, &oldest)
		o.Oldest = sqlkit.FromMicros(oldest.Int64)
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
		return nil, false, fmt.Errorf("sum up the open jobs: %w", err)
	}
	return list, seen >= MaxOpenJobs, nil
}

// LastSuccess is the last success of one kind and instance.
type LastSuccess struct {
	Service  string    `json:"service"`
	Type     string    `json:"type"`
	Action   string    `json:"action"`
	Instance string    `json:"instance"`
	JobID    int64     `json:"job_id"`
	At       time.Time `json:"at"`
}

// LastSuccesses lists the last success of every kind and instance that ever had one.
func (r *Reader) LastSuccesses(ctx context.Context) ([]LastSuccess, error) {
	var list []LastSuccess
	err := sqlkit.Each(r.session(ctx), func(rows *sql.Rows) error {
		var one LastSuccess
		var at int64
		err := rows.Scan(&one.Service, &one.Type, &one.Action, &one.Instance, &one.JobID, &at)
		one.At = sqlkit.FromMicros(at)
		list = append(list, one)
		return err
	}, "SELECT service, type, action, instance, job_id, finished_at FROM nawasync_last_success ORDER BY service, type, action, instance")
	if err != nil {
		return nil, fmt.Errorf("read the last successes: %w", err)
	}
	return list, nil
}

// TargetScope is where targets are: what a target's id must be completed with to name
// one.
type TargetScope struct{ Service, Type, Instance string }

// TargetScopes lists every service, type and instance that has had jobs.
func (r *Reader) TargetScopes(ctx context.Context) ([]TargetScope, error) {
	var list []TargetScope
	err := sqlkit.Each(r.session(ctx), func(rows *sql.Rows) error {
		var p TargetScope
		err := rows.Scan(&p.Service, &p.Type, &p.Instance)
		list = append(list, p)
		return err
	}, "SELECT DISTINCT service, type, instance FROM nawasync_stats WHERE period = 'day' UNION SELECT DISTINCT service, type, instance FROM nawasync_stat_deltas"+
		" UNION SELECT DISTINCT service, type, instance FROM (SELECT service, type, instance FROM nawasync_jobs WHERE open_lane IS NOT NULL LIMIT 10000) o")
	if err != nil {
		return nil, fmt.Errorf("list where jobs have ended: %w", err)
	}
	return list, nil
}

// Failures lists up to limit jobs that ended failed or in conflict since a time, the
// last to end first, of the services that the reader may see (nil: every one).
func (r *Reader) Failures(ctx context.Context, services []string, since time.Time, limit int) ([]*Job, error) {
	var list []*Job
	for _, status := range []Status{StatusFailed, StatusConflict} { // each in the order of an index
		where, args := "WHERE j.status = ? AND j.finished_at IS NOT NULL AND j.finished_at >= ? AND j.deleted_at IS NULL", []any{status, since.UnixMicro()}
		if services != nil {
			where, args = where+" AND j.service IN ?", append(args, append([]string{""}, services...))
		}
		jobs, err := r.jobs(ctx, false, where+" ORDER BY j.finished_at DESC LIMIT ?", append(args, limit)...)
		if err != nil {
			return nil, fmt.Errorf("list failures: %w", err)
		}
		list = append(list, jobs...)
	}
	slices.SortStableFunc(list, func(a, b *Job) int { return b.FinishedAt.Compare(a.FinishedAt) })
	return list[:min(limit, len(list))], nil
}

// LanePredecessors lists the open jobs that are before a queued one in its lane, running ones
// first.
func (r *Reader) LanePredecessors(ctx context.Context, j *Job, limit int) ([]*Job, error) {
	if j.Status != StatusQueued {
		return nil, nil
	}
	list, err := r.jobs(ctx, false, "WHERE j.open_lane = (SELECT lane FROM nawasync_jobs WHERE id = ?) AND j.id <> ? AND (j.running_lane IS NOT NULL OR (j.id < ? AND (j.epoch > 0 OR j.not_before <= ?))) ORDER BY j.running_lane IS NULL, j.id LIMIT ?",
		j.ID, j.ID, j.ID, r.Now().UnixMicro(), limit)
	if err != nil {
		return nil, fmt.Errorf("read the lane of job %d: %w", j.ID, err)
	}
	return list, nil
}

// NewerSuccess returns the id of a job of the same target that succeeded after
// the given one was dispatched, or 0.
func (r *Reader) NewerSuccess(ctx context.Context, j *Job) (int64, error) {
	list, err := r.jobs(ctx, false,
		"WHERE j.target_key = ? AND j.id > ? AND j.finished_at IS NOT NULL AND j.status = 'success' AND j.action <> '"+RefreshAction+
			"' AND j.target_id = ? AND j.service = ? ORDER BY j.id LIMIT 1", j.Target().key(), j.ID, j.TargetID, j.Service)
	if err != nil {
		return 0, fmt.Errorf("look for a newer success: %w", err)
	}
	if len(list) == 0 {
		return 0, nil
	}
	return list[0].ID, nil
}

// LastSuccess is when a job of this service, type, action and instance last
// succeeded, and its id; the zero time and 0 when none ever did. It survives the
// pruning of the job itself.
func (r *Reader) LastSuccess(ctx context.Context, service, typ, action, instance string) (time.Time, int64, error) {
	var at, id sql.NullInt64
	const where = " WHERE service = ? AND type = ? AND action = ? AND instance = ?"
	err := sqlkit.Each(r.session(ctx), func(rows *sql.Rows) error {
		var thisAt, thisID int64
		if err := rows.Scan(&thisAt, &thisID); err != nil {
			return err
		}
		if thisAt > at.Int64 {
			at.Int64, id.Int64 = thisAt, thisID
		}
		return nil
	}, "SELECT finished_at, job_id FROM nawasync_last_success"+where+" UNION ALL SELECT last_at, last_job FROM nawasync_stat_deltas"+where+
		" AND outcome = 'success'",
		service, typ, action, instance, service, typ, action, instance)
	if err != nil {
		return time.Time{}, 0, fmt.Errorf("read the last success: %w", err)
	}
	return sqlkit.FromMicros(at.Int64), id.Int64, nil
}
