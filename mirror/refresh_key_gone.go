package mirror

import (
	"context"
	"fmt"
	"reflect"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

const (
	// maxCounted is how many rows of a scope are counted before a refresh by key has a row confirmed.
	maxCounted = 1000
	// goneWindow is the time in which refreshes by key have at most Limit rows of a scope confirmed. A sync decides
	// on more.
	goneWindow = 24 * time.Hour
)

// keyGone handles a key whose object is gone: its row becomes missing, and a job of its own asks the remote
// again before it deletes the row, as after a sync. If many rows wait for that or were deleted lately, only
// the next sync has the row confirmed, or is held.
func (s *reconcile) keyGone(ctx context.Context, key, row reflect.Value, known bool) error {
	w := &remoteWrite{Attempt: s.attempt, repo: s.repo, key: key, row: row}
	if err := w.unlessSettling(ctx, false, nil); err != nil {
		return err
	}
	result := keyResult{Gone: true}
	if !known || s.repo.status(row).LastSyncedAt.IsZero() {
		s.attempt.SetResult(result)
		return nil
	}
	var err error
	if result.Confirming, err = s.mayConfirm(ctx); err != nil {
		return err
	}
	s.attempt.SetResult(result)
	id, read := s.repo.model.idOf(row), *s.repo.status(row)
	s.attempt.OnSuccess(func(tx *gorm.DB) error {
		return s.markGone(tx.Statement.Context, tx, id, read, result.Confirming)
	})
	return nil
}

// markGone marks a row as missing unless it has changed since it was read. If confirm is set, it also dispatches the
// job that confirms the deletion.
func (s *reconcile) markGone(ctx context.Context, tx *gorm.DB, id int64, read nawasync.SyncStatus, confirm bool) error {
	db := sqlkit.Session(ctx, tx)
	rows, finishedAt, err := s.lockRows(ctx, db, []int64{id}, true)
	if err != nil || rows.Len() == 0 {
		return err
	}
	row := rows.Index(0)
	status := s.repo.status(row)
	if !status.LastSyncedAt.Equal(read.LastSyncedAt.Time) || s.changedByJob(status, finishedAt, s.repo.now()) {
		return nil
	}
	var changes []tracker.Change
	if status.MissingSince.IsZero() {
		s.record(&changes, row, tracker.ChangeVanished, nil)
	}
	runs := 0
	if confirm && status.MissingRuns < s.repo.missingRuns { // a sync would have it confirmed by now
		runs = s.repo.missingRuns - status.MissingRuns
	}
	now := nawasync.Timestamp{Time: s.repo.now()}
	err = db.Exec("UPDATE "+s.repo.quoted+" SET sync_status = CASE WHEN sync_status = 'conflict' THEN 'conflict' ELSE 'missing' END, missing_since = COALESCE(missing_since, ?), missing_runs = missing_runs + ? WHERE id = ?",
		now, runs, id).Error
	if err != nil {
		return fmt.Errorf("write row %d of %s: %w", id, s.repo.model.table, err)
	}
	if err := s.repo.engine.Store().AddChanges(ctx, db, changes); err != nil || !confirm {
		return err
	}
	scope, err := encodeFields(row, s.repo.model.scope)
	if err != nil {
		return err
	}
	args := confirmArgs{
		kind: s.repo.kind(tracker.ConfirmAction), target: nawasync.Target{Instance: s.repo.model.instance(row), ID: "all"}, queue: s.repo.syncQueue,
		Scope: scope,
	}
	_, err = s.repo.engine.DispatchTx(ctx, tx, args, nawasync.Options{By: s.attempt.Job().TriggeredBy, Source: nawasync.SourceEvent})
	return err
}

// mayConfirm reports whether fewer rows of the scope than Config.Limit wait for their confirmation or were deleted
// within goneWindow. It counts at most maxCounted rows.
func (s *reconcile) mayConfirm(ctx context.Context) (bool, error) {
	rows, err := s.countRows(ctx, maxCounted, "last_synced_at IS NOT NULL AND deleted_at IS NULL")
	if err != nil {
		return false, err
	}
	limit := min(s.repo.limit(rows), maxCounted)
	due, err := s.countRows(ctx, limit, "sync_status = 'missing' AND missing_runs >= ?", s.repo.missingRuns)
	if err != nil || due >= limit {
		return false, err
	}
	since := nawasync.Timestamp{Time: s.repo.now().Add(-goneWindow)}
	deleted, err := s.countRows(ctx, limit-due, "sync_status = 'deleted' AND deleted_at >= ? AND deleted_job_id IS NULL", since)
	return err == nil && due+deleted < limit, err
}

// countRows counts rows of the scope up to most.
func (s *reconcile) countRows(ctx context.Context, most int64, condition string, args ...any) (n int64, err error) {
	where, scope := s.inScope()
	query := "SELECT COUNT(*) FROM (SELECT 1 FROM " + s.repo.quoted + " WHERE " + where + condition + " LIMIT ?) c"
	if err := s.repo.db(ctx).Raw(query, append(append(scope, args...), most)...).Row().Scan(&n); err != nil {
		return 0, fmt.Errorf("count the rows of %s: %w", s.repo.model.table, err)
	}
	return n, nil
}
