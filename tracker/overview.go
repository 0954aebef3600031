package tracker

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/internal/statrow"
)

// OpenJobs counts the queued and running jobs of one kind and instance.
type OpenJobs struct {
	Service  string `json:"service"`
	Type     string `json:"type"`
	Action   string `json:"action"`
	Instance string `json:"instance"`
	Queued   int64  `json:"queued"` // due or not
	Due      int64  `json:"due"`    // queued jobs that are due, without tracked ones, which need no worker
	Running  int64  `json:"running"`
	Stuck    int64  `json:"stuck"` // running jobs past their deadline
	// Oldest is the earliest due time of the due jobs, tracked ones included. It is zero if no job is
	// due.
	Oldest time.Time `json:"oldest,omitzero"`
}

// MaxOpenJobs is the maximum number of open jobs that Reader.OpenJobs counts.
const MaxOpenJobs = 50_000

// OpenJobs counts the open jobs by kind and instance. It reads at most MaxOpenJobs jobs; if
// more is true, there may be further jobs that are not counted.
func (r *Reader) OpenJobs(ctx context.Context) (list []OpenJobs, more bool, err error) {
	now := r.Now().UnixMicro()
	var seen int64
	openRows, _ := r.dialect.LaneRows()
	// Due jobs are found by not_before, because a job that waits in its lane has no wake_at.
	err = sqlkit.Each(r.session(ctx), func(rows *sql.Rows) error {
		var o OpenJobs
		var oldest sql.NullInt64
		err := rows.Scan(&o.Service, &o.Type, &o.Action, &o.Instance, &o.Queued, &o.Due, &o.Running, &o.Stuck, &oldest)
		o.Oldest = sqlkit.FromMicros(oldest.Int64)
		seen += o.Queued + o.Running
		if r.limit.shows(o.Service, o.Instance) {
			list = append(list, o)
		}
		return err
	}, `SELECT service, type, action, instance,
 SUM(CASE WHEN status = 'queued' THEN 1 ELSE 0 END), SUM(CASE WHEN status = 'queued' AND not_before <= ? AND queue NOT LIKE '`+AsynqQueue+`%' THEN 1 ELSE 0 END),
 SUM(CASE WHEN status = 'running' THEN 1 ELSE 0 END), SUM(CASE WHEN status = 'running' AND deadline_at < ? THEN 1 ELSE 0 END),
 MIN(CASE WHEN status = 'queued' AND not_before <= ? THEN not_before END)
 FROM (SELECT service, type, action, instance, queue, status, not_before, deadline_at FROM `+openRows+` WHERE open_lane IS NOT NULL LIMIT ?) o
 GROUP BY service, type, action, instance ORDER BY service, type, action, instance`, now, now, now, MaxOpenJobs)
	if err != nil {
		return nil, false, fmt.Errorf("count open jobs: %w", err)
	}
	return list, seen >= MaxOpenJobs, nil
}

// LastSuccess is the last successful job of one kind and instance.
type LastSuccess struct {
	Service  string    `json:"service"`
	Type     string    `json:"type"`
	Action   string    `json:"action"`
	Instance string    `json:"instance"`
	JobID    int64     `json:"job_id"`
	At       time.Time `json:"at"`
}

// LastSuccesses lists the last success of each kind and instance that ever had one.
func (r *Reader) LastSuccesses(ctx context.Context) ([]LastSuccess, error) {
	var list []LastSuccess
	visible, args := r.limitCondition("nawasync_last_success")
	err := sqlkit.Each(r.session(ctx), func(rows *sql.Rows) error {
		var last LastSuccess
		var at int64
		err := rows.Scan(&last.Service, &last.Type, &last.Action, &last.Instance, &last.JobID, &at)
		last.At = sqlkit.FromMicros(at)
		list = append(list, last)
		return err
	}, "SELECT service, type, action, instance, job_id, finished_at FROM nawasync_last_success WHERE "+visible+
		" ORDER BY service, type, action, instance", args...)
	if err != nil {
		return nil, fmt.Errorf("list last successes: %w", err)
	}
	return list, nil
}

// maxIncompleteSyncs is how many syncs IncompleteSyncs returns.
const maxIncompleteSyncs = 20

// IncompleteSyncs returns the results of up to 20 of the given jobs whose result says that objects could
// not be stored, that rows collide, or that deleted rows could not be removed. The ids are those of
// LastSuccesses; of more than 1,000 it checks only the first ones.
func (r *Reader) IncompleteSyncs(ctx context.Context, ids []int64) (map[int64]json.RawMessage, error) {
	found := map[int64]json.RawMessage{}
	if len(ids) == 0 {
		return found, nil
	}
	visible, args := r.limitCondition("nawasync_jobs")
	err := sqlkit.Each(r.session(ctx), func(rows *sql.Rows) error {
		var id int64
		var result string
		err := rows.Scan(&id, &result)
		found[id] = json.RawMessage(result)
		return err
	}, `SELECT id, result FROM nawasync_jobs WHERE id IN ? AND (result LIKE '%"refused":%' OR result LIKE '%"collided":%' OR result LIKE '%"purge_refused":%') AND `+visible+" ORDER BY id LIMIT ?",
		append(append([]any{ids[:min(len(ids), 1000)]}, args...), maxIncompleteSyncs)...)
	if err != nil {
		return nil, fmt.Errorf("look for incomplete syncs: %w", err)
	}
	return found, nil
}

// TargetScope is a service, type and instance that has targets. Together with an id it
// identifies a Target.
type TargetScope struct{ Service, Type, Instance string }

// TargetScopes lists every service, type and instance that has had jobs.
func (r *Reader) TargetScopes(ctx context.Context) ([]TargetScope, error) {
	var list []TargetScope
	openRows, _ := r.dialect.LaneRows()
	err := sqlkit.Each(r.session(ctx), func(rows *sql.Rows) error {
		var s TargetScope
		err := rows.Scan(&s.Service, &s.Type, &s.Instance)
		if r.limit.shows(s.Service, s.Instance) {
			list = append(list, s)
		}
		return err
	}, "SELECT DISTINCT service, type, instance FROM nawasync_stats WHERE period = 'day' UNION SELECT DISTINCT service, type, instance FROM nawasync_stat_deltas"+
		" UNION SELECT DISTINCT service, type, instance FROM (SELECT service, type, instance FROM "+openRows+" WHERE open_lane IS NOT NULL LIMIT 10000) o")
	if err != nil {
		return nil, fmt.Errorf("list target scopes: %w", err)
	}
	return list, nil
}

// ServiceInstances lists every service and instance that has had jobs, has open ones, has a schedule or a
// pause of its own, or is a listed scope, in order. It reads at most 10,000 open jobs and listed scopes.
func (r *Reader) ServiceInstances(ctx context.Context) ([]ServiceInstance, error) {
	var list []ServiceInstance
	openRows, _ := r.dialect.LaneRows()
	err := sqlkit.Each(r.session(ctx), func(rows *sql.Rows) error {
		var s ServiceInstance
		err := rows.Scan(&s.Service, &s.Instance)
		if r.limit.shows(s.Service, s.Instance) {
			list = append(list, s)
		}
		return err
	}, "SELECT service, instance FROM nawasync_stats WHERE period = ? UNION SELECT service, instance FROM nawasync_stat_deltas"+
		" UNION SELECT service, instance FROM (SELECT service, instance FROM "+openRows+" WHERE open_lane IS NOT NULL LIMIT 10000) o UNION SELECT service, instance FROM nawasync_schedules"+
		" UNION SELECT service, instance FROM nawasync_scopes WHERE instance <> '' UNION SELECT service, instance FROM (SELECT service, instance FROM nawasync_listed_scopes WHERE gone_at = 0 LIMIT 10000) l ORDER BY service, instance",
		statrow.PeriodTotal)
	if err != nil {
		return nil, fmt.Errorf("list instances: %w", err)
	}
	return list, nil
}

// Failures lists up to limit jobs that failed or ended in conflict since the given time,
// the most recently finished first.
func (r *Reader) Failures(ctx context.Context, since time.Time, limit int) ([]*Job, error) {
	var list []*Job
	visible, visibleArgs := r.limitCondition("j")
	for _, status := range []Status{StatusFailed, StatusConflict} { // one query per status, so that each uses an index
		where, args := "WHERE j.status = ? AND j.finished_at IS NOT NULL AND j.finished_at >= ? AND j.deleted_at IS NULL AND "+visible, append(
			[]any{status, since.UnixMicro()},
			visibleArgs...)
		jobs, err := r.jobs(ctx, false, where+" ORDER BY j.finished_at DESC LIMIT ?", append(args, limit)...)
		if err != nil {
			return nil, fmt.Errorf("list failures: %w", err)
		}
		list = append(list, jobs...)
	}
	slices.SortStableFunc(list, func(a, b *Job) int { return b.FinishedAt.Compare(a.FinishedAt) })
	return list[:min(limit, len(list))], nil
}

// LanePredecessors lists up to limit open jobs that j waits for in its lane, running jobs
// first. It returns nil if j is not queued. Jobs that a limited Reader does not show do not count.
func (r *Reader) LanePredecessors(ctx context.Context, j *Job, limit int) ([]*Job, error) {
	if j.Status != StatusQueued {
		return nil, nil
	}
	visible, args := r.limitCondition("j")
	list, err := r.jobs(
		ctx,
		false,
		"WHERE j.open_lane = (SELECT lane FROM nawasync_jobs WHERE id = ?) AND j.id <> ? AND (j.running_lane IS NOT NULL OR (j.id < ? AND j.in_lane = TRUE)) AND "+visible+
			" ORDER BY j.running_lane IS NULL, j.id LIMIT ?",
		append(append([]any{j.ID, j.ID, j.ID}, args...), limit)...)
	if err != nil {
		return nil, fmt.Errorf("list lane predecessors of job %d: %w", j.ID, err)
	}
	return list, nil
}

// NewerSuccess returns the id of the first later job of j's target that succeeded, or 0 if
// there is none. Refreshes do not count, and a host's own jobs on a row count only for each other. A retry asks
// for the change of its Original: it is earlier than the jobs that were dispatched between the two.
func (r *Reader) NewerSuccess(ctx context.Context, j *Job) (int64, error) {
	list, err := r.jobs(
		ctx,
		false,
		"WHERE j.target_key = ? AND j.id > ? AND COALESCE(j.original, j.retry_of, j.id) >= ? AND (j.id > ? OR COALESCE(j.original, j.retry_of, j.id) > ?) AND j.finished_at IS NOT NULL AND j.status = 'success' AND j.action <> '"+RefreshAction+
			"' AND j.target_id = ? AND j.service = ? AND j.snap_bound IS "+sqlkit.Pick(
			j.OwnJob,
			"NOT NULL",
			"NULL",
		)+" ORDER BY j.id LIMIT 1",
		j.Target().key(),
		j.OriginalID(),
		j.OriginalID(),
		j.ID,
		j.OriginalID(),
		j.TargetID,
		j.Service,
	)
	if err != nil {
		return 0, fmt.Errorf("find a newer success than job %d: %w", j.ID, err)
	}
	if len(list) == 0 {
		return 0, nil
	}
	return list[0].ID, nil
}

// LastSuccess returns when a job of this service, type, action and instance last succeeded,
// and the id of the job. It returns the zero time and 0 if none ever succeeded. The result
// survives the pruning of the job.
func (r *Reader) LastSuccess(ctx context.Context, service, typ, action, instance string) (time.Time, int64, error) {
	var at, id int64
	if !r.limit.shows(service, instance) {
		return time.Time{}, 0, nil
	}
	const where = " WHERE service = ? AND type = ? AND action = ? AND instance = ?"
	err := sqlkit.Each(r.session(ctx), func(rows *sql.Rows) error {
		var rowAt, rowID int64
		if err := rows.Scan(&rowAt, &rowID); err != nil {
			return err
		}
		if rowAt > at {
			at, id = rowAt, rowID
		}
		return nil
	}, "SELECT finished_at, job_id FROM nawasync_last_success"+where+" UNION ALL SELECT last_at, last_job FROM nawasync_stat_deltas"+where+
		" AND outcome = 'success'",
		service, typ, action, instance, service, typ, action, instance)
	if err != nil {
		return time.Time{}, 0, fmt.Errorf("read last success of %s/%s/%s: %w", service, typ, action, err)
	}
	return sqlkit.FromMicros(at), id, nil
}
