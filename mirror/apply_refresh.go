package mirror

import (
	"context"
	"errors"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/host"
)

// runRefresh copies one remote object into its row. If the object no longer exists, the row is
// marked missing.
func (r *repo) runRefresh(ctx context.Context, a host.Attempt, args *refreshArgs) error {
	row := r.model.newRow()
	if err := r.findRow(ctx, row.Addr(), "id = ?", args.Row); errors.Is(err, nawasync.ErrNotFound) {
		return nawasync.Skip("the row no longer exists")
	} else if err != nil {
		return err
	}
	current, err := r.getRemote(ctx, row)
	missing := fault.ClassOf(err) == fault.ClassGone
	if err != nil && !missing {
		return err
	}
	if missing {
		a.SetResult(map[string]any{"gone": true})
	}
	a.OnSuccess(func(tx *gorm.DB) error {
		ctx := tx.Statement.Context
		// If another job of the row waits behind this one, the row stays pending for that job.
		const idle = " WHERE id = ? AND sync_status NOT IN ('pending_create', 'pending_update', 'pending_delete')"
		if missing {
			return tx.Exec("UPDATE "+r.quoted+" SET sync_status = 'missing', sync_job_id = ?, missing_since = COALESCE(missing_since, ?)"+idle+
				" AND last_synced_at IS NOT NULL",
				a.Job().ID, nawasync.Timestamp{Time: r.engine.Store().Now()}, args.Row).Error
		}
		if err := r.writeRow(ctx, tx, rowWrite{id: args.Row, value: current.value, fields: r.fieldsRead(), fromRemote: true}); err != nil {
			return err
		}
		return tx.Exec("UPDATE "+r.quoted+" SET sync_status = 'synced', sync_error = NULL, sync_job_id = ?"+idle, a.Job().ID, args.Row).Error
	})
	return nil
}
