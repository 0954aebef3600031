package mirror

import (
	"context"
	"errors"
	"fmt"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

// rowTake gives a row the identity of an object.
type rowTake struct {
	row      int64
	identity tracker.Identity
	object   *erasedObject // is written into the row; nil writes the identity only
	synced   bool          // the row becomes synced, unless a job is changing it
}

// takeIdentity gives a row an identity, in a transaction that only the job's current attempt can commit.
// A row that a sync has added for the object since, and that nobody has touched, is merged into the row.
// If any other row has the identity, takeIdentity returns its id and writes nothing.
func (r *repo) takeIdentity(ctx context.Context, a host.Attempt, t rowTake) (other int64, err error) {
	for range 3 {
		err = r.engine.Store().RetryTx(ctx, func(tx *gorm.DB) error {
			other = 0
			state, err := r.engine.Store().LockRow(ctx, tx, r.model.table, t.row)
			if err != nil {
				return err
			}
			running, err := r.engine.Store().Fence(ctx, tx, a.Job().ID, a.Job().Epoch)
			if err == nil && !running {
				err = nawasync.ErrLeaseLost
			}
			if err != nil {
				return err
			}
			if state == tracker.StateDeleted {
				return errRowDeleted
			}
			other, err = r.takeIdentityTx(ctx, tx, t, state != "")
			return err
		})
		if !sqlkit.IsUniqueViolation(err) { // else another transaction has just added a row
			return other, err
		}
	}
	return other, err
}

// takeIdentityTx is takeIdentity in a transaction. If the row does not exist, it adds one for the
// object.
func (r *repo) takeIdentityTx(ctx context.Context, tx *gorm.DB, t rowTake, exists bool) (other int64, err error) {
	db := sqlkit.Session(ctx, tx)
	row := r.model.newRow()
	switch err := r.findIn(r.forUpdate(db), row.Addr(), "identity = ? AND id <> ?", t.identity, t.row); {
	case errors.Is(err, nawasync.ErrNotFound):
	case err != nil:
		return 0, err
	case r.model.idOf(row) < t.row || r.status(row).SyncJobID != nil:
		return r.model.idOf(row), nil
	default:
		if err := db.Exec("DELETE FROM "+r.quoted+" WHERE id = ?", r.model.idOf(row)).Error; err != nil {
			return 0, fmt.Errorf("merge row %d of %s: %w", r.model.idOf(row), r.model.table, err)
		}
	}
	switch {
	case t.object == nil:
		return 0, db.Exec("UPDATE "+r.quoted+" SET identity = ? WHERE id = ?", t.identity, t.row).Error
	case !exists: // it was deleted by hand, or because an earlier job was cancelled
		columns, rows := r.newRows(r.model.mirrored(), []listedItem{{value: t.object.value}})
		return 0, r.table.InsertNew(db, columns, rows)
	}
	err = r.writeRow(ctx, tx, rowWrite{
		id: t.row, value: t.object.value, fields: append(r.model.keyFields(), r.model.mirrored()...), identity: &t.identity, fromRemote: true,
	})
	if err == nil && t.synced {
		err = db.Exec("UPDATE "+r.quoted+" SET sync_status = 'synced', sync_error = NULL"+idleRow, t.row).Error
	}
	return 0, err
}
