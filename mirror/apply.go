package mirror

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/sqlkit"
)

func (r *repo) keyOf(m *mutation) (reflect.Value, error) {
	key := r.model.newRow()
	err := r.model.decode(key, m.Key)
	return key, nawasync.Permanent(err)
}

func (r *repo) getRemote(ctx context.Context, key reflect.Value) (erasedObject, error) {
	o, err := r.remote.get(ctx, key)
	if err == nil {
		r.model.normalise(o.value)
	}
	return o, err
}

// everSynced reports whether the remote has ever had the row's object, as ours. A change
// that was queued behind a creation which then failed must not meet a stranger's.
func (r *repo) everSynced(ctx context.Context, a host.Attempt) (bool, error) {
	row := r.model.newRow()
	err := r.findRow(ctx, row.Addr(), "id = ?", a.Job().SnapshotRow)
	if errors.Is(err, nawasync.ErrNotFound) {
		return false, nil
	}
	return err == nil && !r.status(row).LastSyncedAt.IsZero(), err
}

// userKnew reports whether the remote's value is one that the user knew of.
func (r *repo) userKnew(now reflect.Value, f *field, c *fieldChange) (bool, error) {
	known := r.model.newRow()
	for _, text := range append([]json.RawMessage{c.From}, c.Also...) {
		if err := decodeField(known, f, text); err != nil {
			return false, nawasync.Permanent(err)
		}
		if f.equal(now, known) {
			return true, nil
		}
	}
	return false, nil
}

func (r *repo) conflict(reason string, now reflect.Value, changes map[string]*fieldChange) error {
	base, desired, remote := map[string]any{}, map[string]any{}, map[string]any{}
	for column, c := range changes {
		if r.model.byColumn[column] == nil {
			continue // another release had it
		}
		base[column] = c.From
		if c.To != nil {
			desired[column] = c.To
		}
		remote[column] = r.model.byColumn[column].value(now).Interface()
	}
	d := nawasync.ConflictDetail{Base: base, Remote: remote}
	if len(desired) > 0 {
		d.Desired = desired
	}
	return nawasync.Conflict(reason, d)
}

// writeOnSuccess stores what the remote has now with the job's success.
func (r *repo) writeOnSuccess(a host.Attempt, now erasedObject, result any) error {
	id := a.Job().SnapshotRow
	a.SetResult(result)
	a.OnSuccess(func(tx *gorm.DB) error {
		return r.writeRow(tx.Statement.Context, tx, id, now.value, r.fieldsRead(), true)
	})
	return nil
}

// fieldsRead are the fields that a reading of one object writes: its id too, where the
// remote gives it.
func (r *repo) fieldsRead() []*field {
	if len(r.model.natural) > 0 {
		return append(r.model.identity(), r.model.mirrored()...)
	}
	return r.model.mirrored()
}

// writeRow stores fields of value in a row. When it was read at the remote, the row is
// synced as far as its content goes; sync_status is the outcome's affair.
func (r *repo) writeRow(ctx context.Context, tx *gorm.DB, id int64, value reflect.Value, fields []*field, read bool) error {
	set := map[string]any{}
	for _, f := range fields {
		set[f.column] = f.param(value)
	}
	now := nawasync.Timestamp{Time: r.engine.Store().Now()}
	for _, f := range r.model.updated {
		set[f.DBName] = gormTime(f.FieldType, now)
	}
	if read {
		for i, v := range r.model.appendRemoteStatus(nil, now, r.model.contentHash(value)) {
			set[remoteStatusValues[i]] = v
		}
	}
	if err := sqlkit.Session(ctx, tx).Table(r.model.table).Where("id = ?", id).Updates(set).Error; err != nil {
		return fmt.Errorf("write row %d of %s: %w", id, r.model.table, err)
	}
	return nil
}
