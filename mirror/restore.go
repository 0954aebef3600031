package mirror

import (
	"context"
	"fmt"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

// DeletedRow names a deleted row.
type DeletedRow struct {
	Service, Type string // of a repository of this process
	ID            int64  // the row's primary key
}

// Restore makes a deleted row visible again, with its id and the host's columns. It creates nothing on
// the remote: the row is missing until the job that Restore returns has read the object, and syncs mark
// it as deleted again if the remote does not have it.
//
// Restore adds an audit entry. It returns nawasync.ErrNotFound if no such row is deleted,
// nawasync.ErrExists if another row has the object's name by now, ErrScopeGone if the row's scope is gone, and
// nawasync.ErrNoRepository.
func Restore(ctx context.Context, e *nawasync.Engine, row DeletedRow, o nawasync.OperatorOptions) (*tracker.Job, error) {
	var job *tracker.Job
	eng := engineOf(e)
	err := eng.Operate(ctx, "restore_row", o, func(entry *tracker.AuditEntry) error {
		entry.Service, entry.Type = row.Service, row.Type
		found, err := eng.Attached(row.Service, row.Type)
		if err != nil {
			return err
		}
		r, ok := found.(attached)
		if !ok {
			return fmt.Errorf("%s/%s: %w", row.Service, row.Type, nawasync.ErrNoRepository)
		}
		if job, err = r.restoreRow(ctx, row.ID, o.By); err != nil {
			return fmt.Errorf("restore row %d of %s: %w", row.ID, r.model.table, err)
		}
		entry.Instance, entry.JobID = job.Instance, job.ID
		entry.Detail = fmt.Sprintf("row %d of %s", row.ID, r.model.table)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return job, nil
}

// restoreRow restores a deleted row, and dispatches the job that reads its object.
func (r *repo) restoreRow(ctx context.Context, id int64, by string) (job *tracker.Job, err error) {
	if err := r.supports(tracker.RefreshAction); err != nil {
		return nil, err
	}
	deleted := r.model.newRow()
	if err := r.findIn(r.db(ctx).Unscoped(), deleted.Addr(), "id = ? AND deleted_at IS NOT NULL", id); err != nil {
		return nil, err
	}
	if err := r.refuseGone(ctx, deleted); err != nil { // nothing would ever read the object
		return nil, err
	}
	err = r.engine.InTx(ctx, func(tx *gorm.DB) error {
		db := sqlkit.Session(ctx, tx)
		row := r.model.newRow()
		if err := r.findIn(r.forUpdate(db).Unscoped(), row.Addr(), "id = ? AND deleted_at IS NOT NULL", id); err != nil {
			return err
		}
		identity := r.model.keyIdentity(row)
		var others []int64
		if err := db.Table(r.model.table).Where("identity = ?", identity).Pluck("id", &others).Error; err != nil {
			return fmt.Errorf("read %s: %w", r.model.table, err)
		}
		if len(others) > 0 {
			return fmt.Errorf("%w: %q is row %d by now", nawasync.ErrExists, r.model.target(row), others[0])
		}
		err := db.Exec("UPDATE "+r.quoted+" SET identity = ?, sync_status = 'missing', sync_error = NULL, deleted_at = NULL, deleted_job_id = NULL,"+
			" missing_since = COALESCE(missing_since, ?), missing_runs = 0 WHERE id = ?", identity, nawasync.Timestamp{Time: r.engine.Store().Now()}, id).Error
		if sqlkit.IsUniqueViolation(err) {
			return fmt.Errorf("%w: another row of %s has the same value in a unique column", nawasync.ErrExists, r.model.table)
		}
		if err != nil {
			return err
		}
		job, err = r.engine.DispatchOnRow(ctx, tx, r.refreshOf(row), nawasync.Options{By: by}, r.snapshotRow(id, ""))
		return err
	})
	return job, err
}
