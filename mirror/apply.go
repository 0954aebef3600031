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

// keyOf returns a row with the scope, key and natural fields of a mutation.
func (r *repo) keyOf(m *mutation) (reflect.Value, error) {
	key := r.model.newRow()
	err := r.model.decode(key, m.Key)
	return key, nawasync.Permanent(err)
}

// getRemote reads the remote object of a key.
func (r *repo) getRemote(ctx context.Context, key reflect.Value) (erasedObject, error) {
	o, err := r.remote.get(ctx, key)
	if err == nil {
		r.model.normalise(o.value)
	}
	return o, err
}

// everSynced reports whether the row has ever been synced with its remote object. If not, an
// object with the row's key may belong to another user: a change that was queued behind a
// failed creation must not touch that object.
func (r *repo) everSynced(ctx context.Context, a host.Attempt) (bool, error) {
	row := r.model.newRow()
	err := r.findRow(ctx, row.Addr(), "id = ?", a.Job().SnapshotRow)
	if errors.Is(err, nawasync.ErrNotFound) {
		return false, nil
	}
	return err == nil && !r.status(row).LastSyncedAt.IsZero(), err
}

// userKnew reports whether the current remote value of f is the one that the user saw, or one
// that an earlier job of the row wrote.
func (r *repo) userKnew(current reflect.Value, f *field, c *requestedChange) (bool, error) {
	known := r.model.newRow()
	for _, text := range append([]json.RawMessage{c.From}, c.Also...) {
		if err := decodeField(known, f, text); err != nil {
			return false, nawasync.Permanent(err)
		}
		if f.equal(current, known) {
			return true, nil
		}
	}
	return false, nil
}

// conflict returns the error that ends a job with a conflict. It holds the values of the changed
// fields: as the user saw them, as the user wants them, and as the remote has them now.
func (r *repo) conflict(reason string, current reflect.Value, changes map[string]*requestedChange) error {
	base, desired, remote := map[string]any{}, map[string]any{}, map[string]any{}
	for column, c := range changes {
		if r.model.byColumn[column] == nil {
			continue // the job was dispatched by another release, which has this field
		}
		base[column] = c.From
		if c.To != nil {
			desired[column] = c.To
		}
		remote[column] = r.model.byColumn[column].value(current).Interface()
	}
	d := nawasync.ConflictDetail{Base: base, Remote: remote}
	if len(desired) > 0 {
		d.Desired = desired
	}
	return nawasync.Conflict(reason, d)
}

// writeOnSuccess stores the current remote object in the transaction that marks the job a
// success.
func (r *repo) writeOnSuccess(a host.Attempt, current erasedObject, result any) error {
	id := a.Job().SnapshotRow
	a.SetResult(result)
	a.OnSuccess(func(tx *gorm.DB) error {
		return r.writeRow(tx.Statement.Context, tx, rowWrite{id: id, value: current.value, fields: r.fieldsRead(), fromRemote: true})
	})
	return nil
}

// fieldsRead returns the fields to store after reading one object. If the remote assigns the
// key, they include the key.
func (r *repo) fieldsRead() []*field {
	if len(r.model.natural) > 0 {
		return append(r.model.identity(), r.model.mirrored()...)
	}
	return r.model.mirrored()
}

// rowWrite is a write of some fields of a row.
type rowWrite struct {
	id     int64
	value  reflect.Value // holds the values of fields
	fields []*field
	// fromRemote says that value was read from the remote: the write then also updates the
	// content hash and the time of the last sync.
	fromRemote bool
}

// writeRow writes fields of a row. It leaves sync_status to the job's outcome.
func (r *repo) writeRow(ctx context.Context, tx *gorm.DB, w rowWrite) error {
	set := map[string]any{}
	for _, f := range w.fields {
		set[f.column] = f.param(w.value)
	}
	now := nawasync.Timestamp{Time: r.engine.Store().Now()}
	for _, f := range r.model.updated {
		set[f.DBName] = gormTime(f.FieldType, now)
	}
	if w.fromRemote {
		for i, v := range r.model.appendRemoteStatus(nil, now, r.model.contentHash(w.value)) {
			set[remoteStatusColumns[i]] = v
		}
	}
	if err := sqlkit.Session(ctx, tx).Table(r.model.table).Where("id = ?", w.id).Updates(set).Error; err != nil {
		return fmt.Errorf("write row %d of %s: %w", w.id, r.model.table, err)
	}
	return nil
}
