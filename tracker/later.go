package tracker

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"

	"github.com/nawasara/nawasync/internal/sqlkit"
)

// LaterJobs are the ids of jobs of one target that ask for a later change than a job of it, or retry it. A retry
// asks for the change of its Original: it is earlier than the jobs that were dispatched between the two. 0
// means that there is none. Among a host's own jobs on a row (Job.OwnJob), only own jobs count, and none of them among
// other jobs. Refreshes count only for a refresh. Deleted jobs count only if they succeeded.
type LaterJobs struct {
	Succeeded int64 // the newest that succeeded
	Failed    int64 // the newest that failed or ended in conflict
	Open      int64 // the newest that has not ended and shares the lane
	// The same for jobs of the same action.
	SameFailed, SameOpen int64
	SameDropped          int64 // the newest of the same action that was cancelled or skipped
	// Overtaken is the newest retry, dispatched after the job, of an earlier one. It has ended without success, and was
	// not retried again. It is 0 if the retry of the job would run in its turn.
	Overtaken int64
}

// Newest returns the newest of the jobs that succeeded, failed or are open, or 0.
func (l LaterJobs) Newest() int64 { return max(l.Succeeded, l.Failed, l.Open) }

// LaterJobs returns the later jobs of the targets of jobs, by the ids of jobs. The map has no entry for a
// job without any. It does not depend on what a limited Reader shows: whoever sees a job sees its target.
func (r *Reader) LaterJobs(ctx context.Context, jobs []*Job) (map[int64]LaterJobs, error) {
	found := map[int64]LaterJobs{}
	for chunk := range slices.Chunk(jobs, 500) {
		if err := r.laterEnded(ctx, chunk, found); err != nil {
			return nil, fmt.Errorf("look for later jobs of the same objects: %w", err)
		}
		if err := r.laterOpen(ctx, chunk, found); err != nil {
			return nil, fmt.Errorf("look for later open jobs of the same objects: %w", err)
		}
	}
	return found, nil
}

// newestLater returns an expression for the newest later job of j's target that a condition on r selects. Each
// is one look into the index of targets. Without the hint and the COALESCE, a query planner may read all jobs of
// a status instead, when it has last seen few of them.
func (r *Reader) newestLater(statuses, condition string) string {
	table := map[string]string{
		"postgres": "nawasync_jobs r", "mysql": "nawasync_jobs r FORCE INDEX (nawasync_jobs_target)", "sqlite": "nawasync_jobs r INDEXED BY nawasync_jobs_target",
	}[r.dialect.Name]
	return "(SELECT r.id FROM " + table + " WHERE r.target_key = j.target_key AND r.id > COALESCE(j.original, j.retry_of, j.id) AND r.finished_at IS NOT NULL AND " +
		"COALESCE(r.status, '') IN (" + statuses + ") AND " + condition + " ORDER BY r.id DESC LIMIT 1)"
}

// sameSort is the condition that r and j are both a host's own jobs on a row, or that neither is: an own job and a
// change of the object say nothing about each other.
const sameSort = "(r.snap_bound IS NULL) = (j.snap_bound IS NULL)"

// laterWish is the condition that r asks for a later change than j, or retries it.
const laterWish = sameSort + " AND COALESCE(r.original, r.retry_of, r.id) >= COALESCE(j.original, j.retry_of, j.id) AND (r.id > j.id OR COALESCE(r.original, r.retry_of, r.id) > COALESCE(j.original, j.retry_of, j.id))"

// The conditions and statuses of later jobs.
const (
	failedLater  = "'failed', 'conflict'"
	droppedLater = "'cancelled', 'skipped'"
	visibleLater = laterWish + " AND r.deleted_at IS NULL"
	sameLater    = visibleLater + " AND r.action = j.action"
	countedLater = visibleLater + " AND (r.action = j.action OR r.action <> '" + RefreshAction + "')"
)

// SameFailed returns LaterJobs.SameFailed of jobs, by their ids. It is fast for many jobs of one target if a late one
// has failed.
func (r *Reader) SameFailed(ctx context.Context, jobs []*Job) (map[int64]int64, error) {
	found := map[int64]int64{}
	err := sqlkit.Each(r.session(ctx), func(rows *sql.Rows) error {
		var id int64
		var failed sql.NullInt64
		err := rows.Scan(&id, &failed)
		if failed.Valid {
			found[id] = failed.Int64
		}
		return err
	}, "SELECT j.id, "+r.newestLater(failedLater, sameLater)+" FROM nawasync_jobs j WHERE j.id IN ?", jobIDs(jobs))
	if err != nil {
		return nil, fmt.Errorf("look for later failures of the same objects: %w", err)
	}
	return found, nil
}

func (r *Reader) laterEnded(ctx context.Context, jobs []*Job, found map[int64]LaterJobs) error {
	query := "SELECT j.id, " + r.newestLater("'success'", "r.action <> '"+RefreshAction+"' AND "+laterWish) + ", " +
		r.newestLater(failedLater, countedLater) + ", " + r.newestLater(failedLater, sameLater) + ", " + r.newestLater(droppedLater, sameLater) + ", " +
		r.newestLater(failedLater+", "+droppedLater, "r.id > j.id AND COALESCE(r.original, r.retry_of) < COALESCE(j.original, j.retry_of, j.id) AND "+sameSort+" AND r.retried_as IS NULL AND r.deleted_at IS NULL") +
		" FROM nawasync_jobs j WHERE j.id IN ?"
	return sqlkit.Each(r.session(ctx), func(rows *sql.Rows) error {
		var id int64
		var succeeded, failed, sameFailed, sameDropped, overtaken sql.NullInt64
		err := rows.Scan(&id, &succeeded, &failed, &sameFailed, &sameDropped, &overtaken)
		later := LaterJobs{
			Succeeded: succeeded.Int64, Failed: failed.Int64, SameFailed: sameFailed.Int64, SameDropped: sameDropped.Int64, Overtaken: overtaken.Int64,
		}
		if later != (LaterJobs{}) {
			found[id] = later
		}
		return err
	}, query, jobIDs(jobs))
}

// laterOpen finds open jobs by their lanes, because no index finds them by their targets. It reads each
// open job of these lanes once.
func (r *Reader) laterOpen(ctx context.Context, jobs []*Job, found map[int64]LaterJobs) error {
	byTarget := map[int64][]*Job{}
	for _, job := range jobs {
		key := job.Target().key()
		byTarget[key] = append(byTarget[key], job)
	}
	lanes, err := sqlkit.Column[int64](r.session(ctx), "SELECT DISTINCT lane FROM nawasync_jobs WHERE id IN ?", jobIDs(jobs))
	if err != nil || len(lanes) == 0 {
		return err
	}
	table, _ := r.dialect.LaneRows()
	return sqlkit.Each(r.session(ctx), func(rows *sql.Rows) error {
		var id, original, target int64
		var action string
		var own bool
		if err := rows.Scan(&id, &original, &target, &action, &own); err != nil {
			return err
		}
		for _, job := range byTarget[target] {
			isLater := original > job.OriginalID() || (original == job.OriginalID() && id > job.ID)
			if !isLater || own != job.OwnJob || (action != job.Action && action == RefreshAction) {
				continue
			}
			later := found[job.ID]
			later.Open = max(later.Open, id)
			if action == job.Action {
				later.SameOpen = max(later.SameOpen, id)
			}
			found[job.ID] = later
		}
		return nil
	}, "SELECT id, COALESCE(original, retry_of, id), target_key, action, snap_bound IS NOT NULL FROM "+table+" WHERE open_lane IN ? AND target_key IN ?", lanes, slices.Collect(maps.Keys(byTarget)))
}

func jobIDs(jobs []*Job) []int64 {
	ids := make([]int64, len(jobs))
	for i, job := range jobs {
		ids[i] = job.ID
	}
	return ids
}

// RunOutcomes counts the jobs that a bulk run has added, by status. Pruned jobs are not counted.
func (r *Reader) RunOutcomes(ctx context.Context, run int64) (map[Status]int64, error) {
	counts := map[Status]int64{}
	visible, args := r.limitCondition("j")
	err := sqlkit.Each(r.session(ctx), func(rows *sql.Rows) error {
		var status Status
		var n int64
		err := rows.Scan(&status, &n)
		counts[status] = n
		return err
	}, "SELECT j.status, COUNT(*) FROM nawasync_bulk_jobs b JOIN nawasync_jobs j ON j.id = b.job_id WHERE b.run_id = ? AND "+visible+" GROUP BY j.status",
		append([]any{run}, args...)...)
	if err != nil {
		return nil, fmt.Errorf("count the jobs of bulk run %d: %w", run, err)
	}
	return counts, nil
}
