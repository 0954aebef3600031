package mirror

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/jobrow"
	"github.com/nawasara/nawasync/tracker"
)

// deletedRetention is how long the row of a deleted object is kept.
const deletedRetention = 30 * 24 * time.Hour

// isDeleted selects deleted rows. SQLite uses the index of rows that are not synced only if a statement
// repeats the index's condition.
const isDeleted = "sync_status <> 'synced' AND sync_status = 'deleted'"

// errRowDeleted ends a job whose row was deleted.
var errRowDeleted = gone("the row was deleted; nothing was written")

// deletedColumns are the columns that mark a row as deleted or, with other values, bring it back. The
// row gives up its identity, so that a new row can have it.
var deletedColumns = []string{"identity", "sync_status", "sync_error", "deleted_at", "deleted_job_id"}

// markDeleted marks rows whose objects the remote no longer has. tx must hold their locks.
func (r *repo) markDeleted(tx *gorm.DB, ids []int64) error {
	now := nawasync.Timestamp{Time: r.engine.Store().Now()}
	rows := make([][]any, len(ids))
	for i, id := range ids {
		identity := jobrow.RowIdentity(id)
		rows[i] = []any{id, identity[:], string(tracker.StateDeleted), nil, now, nil}
	}
	if err := r.table.Update(tx, deletedColumns, rows); err != nil {
		return fmt.Errorf("mark deleted rows of %s: %w", r.model.table, err)
	}
	return nil
}

// deletedOnSuccess marks the row of an object that the job deletes. The row then belongs to no other
// job, so that what waits behind this one does not change it.
func (r *repo) deletedOnSuccess(a host.Attempt) {
	id, job := a.Job().SnapshotRow, a.Job().ID
	a.OnSuccess(func(tx *gorm.DB) error {
		identity := jobrow.RowIdentity(id)
		return tx.Exec("UPDATE "+r.quoted+" SET identity = ?, sync_status = 'deleted', sync_error = NULL, deleted_at = ?, sync_job_id = ?, deleted_job_id = ?"+
			" WHERE id = ? AND deleted_at IS NULL", tracker.Identity(identity), nawasync.Timestamp{Time: r.engine.Store().Now()}, job, job, id).Error
	})
}

// removedOnSuccess removes the row of an object that was never created.
func (r *repo) removedOnSuccess(a host.Attempt) {
	a.OnSuccess(func(tx *gorm.DB) error {
		return tx.Exec("DELETE FROM "+r.quoted+" WHERE id = ?", a.Job().SnapshotRow).Error
	})
}

// checkDeleted returns an error if a row was deleted, and nil if it exists or does not.
func (r *repo) checkDeleted(ctx context.Context, id int64) error {
	var deleted []int64
	err := r.db(ctx).Table(r.model.table).Where("id = ? AND deleted_at IS NOT NULL", id).Pluck("id", &deleted).Error
	if err != nil {
		return fmt.Errorf("read %s: %w", r.model.table, err)
	}
	if len(deleted) > 0 {
		return errRowDeleted
	}
	return nil
}
