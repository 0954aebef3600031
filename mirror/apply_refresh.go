package mirror

import (
	"context"
	"errors"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/host"
)

// runRefresh reads one object into its row.
func (r *repo) runRefresh(ctx context.Context, a host.Attempt, args *refreshArgs) error {
	there := r.model.newRow()
	if err := r.findRow(ctx, there.Addr(), "id = ?", args.Row); errors.Is(err, nawasync.ErrNotFound) {
		return nawasync.Skip("the row is not there any more")
	} else if err != nil {
		return err
	}
	now, err := r.getRemote(ctx, there)
	gone := fault.ClassOf(err) == fault.ClassGone
	if err != nil && !gone {
		return err
	}
	if gone {
		a.SetResult(map[string]any{"gone": true})
	}
	a.OnSuccess(func(tx *gorm.DB) error {
		ctx := tx.Statement.Context
		// A job that waits behind this one keeps the row pending, and its own.
		const idle = " WHERE id = ? AND sync_status NOT IN ('pending_create', 'pending_update', 'pending_delete')"
		if gone {
			return tx.Exec("UPDATE "+r.quoted+" SET sync_status = 'missing', sync_job_id = ?, missing_since = COALESCE(missing_since, ?)"+idle+
				" AND last_synced_at IS NOT NULL",
				a.Job().ID, nawasync.Timestamp{Time: r.engine.Store().Now()}, args.Row).Error
		}
		if err := r.writeRow(ctx, tx, args.Row, now.value, r.fieldsRead(), true); err != nil {
			return err
		}
		return tx.Exec("UPDATE "+r.quoted+" SET sync_status = 'synced', sync_error = NULL, sync_job_id = ?"+idle, a.Job().ID, args.Row).Error
	})
	return nil
}
