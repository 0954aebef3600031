package mirror

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/host"
)

// runRefresh reads the object of a key, or copies one remote object into its row. If the object no longer exists, the row is
// marked missing.
func (r *repo) runRefresh(ctx context.Context, a host.Attempt, args *refreshArgs) error {
	if args.Key != nil {
		return r.runRefreshKey(ctx, a, args)
	}
	row := r.model.newRow()
	if err := r.findRow(ctx, row.Addr(), "id = ?", args.Row); errors.Is(err, nawasync.ErrNotFound) {
		return nawasync.Skip("the row no longer exists")
	} else if err != nil {
		return err
	}
	if r.status(row).LastSyncedAt.IsZero() {
		return r.refreshUncreated(ctx, a, row)
	}
	current, err := r.getRemote(ctx, row)
	if other := (*otherObjectError)(nil); errors.As(err, &other) {
		return r.refreshRenamed(ctx, a, row, other)
	}
	w := &remoteWrite{Attempt: a, repo: r, key: row, row: row}
	if fault.ClassOf(err) == fault.ClassGone {
		if err := w.unlessSettling(ctx, false, nil); err != nil {
			return err
		}
		a.SetResult(map[string]any{"gone": true})
		r.missingOnSuccess(a, args.Row, nil)
		return nil
	}
	if err != nil {
		return err
	}
	if r.model.contentHash(current.value) != r.status(row).ContentHash { // the remote may show an earlier state
		if err := w.unlessSettling(ctx, false, nil); err != nil {
			return err
		}
	}
	r.refreshedOnSuccess(a, args.Row, current)
	return nil
}

// idleRow selects a row unless another of its jobs waits behind this one: the row then stays pending
// for that job. It does not select a row that was deleted meanwhile.
const idleRow = " WHERE id = ? AND sync_status NOT IN ('pending_create', 'pending_update', 'pending_delete', 'deleted')"

// refreshedOnSuccess stores the remote object in the row.
func (r *repo) refreshedOnSuccess(a host.Attempt, id int64, current erasedObject) {
	a.OnSuccess(func(tx *gorm.DB) error {
		if err := r.writeRow(tx.Statement.Context, tx, rowWrite{id: id, value: current.value, fields: r.model.mirrored(), fromRemote: true}); err != nil {
			return err
		}
		return tx.Exec("UPDATE "+r.quoted+" SET sync_status = 'synced', sync_error = NULL, sync_job_id = ?"+idleRow, a.Job().ID, id).Error
	})
}

// missingOnSuccess marks the row missing. text is the row's error; nil leaves it unchanged.
func (r *repo) missingOnSuccess(a host.Attempt, id int64, text any) {
	a.OnSuccess(func(tx *gorm.DB) error {
		return tx.Exec("UPDATE "+r.quoted+" SET sync_status = 'missing', sync_error = COALESCE(?, sync_error), sync_job_id = ?, missing_since = COALESCE(missing_since, ?)"+idleRow,
			text, a.Job().ID, nawasync.Timestamp{Time: r.engine.Store().Now()}, id).Error
	})
}

// refreshRenamed handles a row whose key answers with another object.
func (r *repo) refreshRenamed(ctx context.Context, a host.Attempt, row reflect.Value, other *otherObjectError) error {
	joined, err := r.joinRenamed(ctx, a, row, other)
	if err != nil {
		return err
	}
	if joined {
		r.refreshedOnSuccess(a, r.model.idOf(row), other.object)
		return nil
	}
	a.SetResult(map[string]any{"gone": true, "answer": r.model.target(other.object.value)})
	r.missingOnSuccess(a, r.model.idOf(row), a.RedactText(other.Error()))
	return nil
}

// joinRenamed handles a row whose key answers with another object. If a sync has added a row for that
// object since, and nobody has touched the row, the object was renamed: both rows become one. Otherwise
// a person decides, and joinRenamed returns false.
func (r *repo) joinRenamed(ctx context.Context, a host.Attempt, row reflect.Value, other *otherObjectError) (joined bool, err error) {
	if other.remade {
		return false, nil // the next sync adds a row for it
	}
	id, identity := r.model.idOf(row), r.model.keyIdentity(other.object.value)
	err = r.findRow(ctx, r.model.newRow().Addr(), "identity = ?", identity)
	if errors.Is(err, nawasync.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	taken, err := r.takeIdentity(ctx, a, rowTake{row: id, identity: identity, object: &other.object, synced: true})
	if err != nil || taken != 0 {
		return false, err
	}
	a.Logf("the object was renamed from %q to %q; its two rows are one again", r.model.target(row), r.model.target(other.object.value))
	return true, nil
}

// refreshUncreated handles a row whose object was never created. Only a person joins an object with the
// wanted name to the row, except one with the wanted content: the creation failed, but its last write
// may have succeeded.
func (r *repo) refreshUncreated(ctx context.Context, a host.Attempt, row reflect.Value) error {
	existing, err := r.findRemote(ctx, row)
	id, person := r.model.idOf(row), a.Job().TriggeredBy != "nawasync"
	if fault.ClassOf(err) == fault.ClassGone {
		a.SetResult(map[string]any{"gone": true})
		a.OnSuccess(func(tx *gorm.DB) error { // nothing is in conflict with the creation any more
			return tx.Exec("UPDATE "+r.quoted+" SET sync_status = 'failed', sync_error = ?"+idleRow+" AND sync_status = 'conflict' AND last_synced_at IS NULL",
				"the object does not exist on the remote; create it again, or delete this row", id).Error
		})
		return nil
	}
	if err != nil {
		return err
	}
	for _, f := range r.model.content {
		wanted := f.value(row)
		if !person && (wanted.Kind() != reflect.Pointer || !wanted.IsNil()) && !f.equal(existing.value, row) {
			return nawasync.Skip(fmt.Sprintf("an object with that name exists with a different %s; it may belong to another client, so it was not joined with the row; refresh the row to join them", f.column))
		}
	}
	taken, err := r.takeIdentity(ctx, a, rowTake{row: id, identity: r.model.keyIdentity(existing.value), object: &existing})
	if err != nil {
		return err
	}
	if taken != 0 && person { // theirs is the other row
		a.SetResult(map[string]any{"row_removed": true, "other_row": taken})
		a.OnSuccess(func(tx *gorm.DB) error {
			return tx.Exec("DELETE FROM "+r.quoted+idleRow+" AND last_synced_at IS NULL", id).Error
		})
		return nil
	}
	if taken != 0 {
		return nawasync.Permanent(fmt.Errorf("the object %q is row %d of %s already; delete this row", r.model.target(existing.value), taken, r.model.table))
	}
	r.refreshedOnSuccess(a, id, existing)
	return nil
}
