package mirror

import (
	"context"
	"encoding/json"
	"reflect"
	"strings"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/sqlkit"
)

// runCreate reads the remote before it creates the object. An object that exists already may
// belong to another user, or an earlier attempt whose response was lost may have created it.
// runCreate adopts such an object only if that is safe.
func (r *repo) runCreate(ctx context.Context, a host.Attempt, m *mutation) error {
	want, err := r.keyOf(m)
	if err == nil {
		err = nawasync.Permanent(r.model.decode(want, m.Want))
	}
	if err != nil {
		return err
	}
	existing, err := r.getRemote(ctx, want)
	if err == nil {
		return r.adopt(a, existing, want, m)
	}
	if fault.ClassOf(err) != fault.ClassGone {
		return err
	}
	if err := a.BeginWrite(ctx); err != nil {
		return err
	}
	sent := deepCopy(want)
	for _, f := range r.model.secrets {
		f.value(sent).Set(reflect.ValueOf(m.WriteOnly[f.column]))
	}
	created, err := r.remote.create(ctx, sent)
	if nothingWritten(fault.ClassOf(err)) && err != nil {
		a.RetractWrite(ctx)
	}
	if fault.ClassOf(err) == fault.ClassAlreadyExists {
		// The object was created after the first read: by another client, or by a duplicate
		// of this request.
		if existing, getErr := r.getRemote(ctx, want); getErr == nil {
			return r.adopt(a, existing, want, m)
		}
	}
	if err != nil {
		return err
	}
	r.model.normalise(created.value)
	return r.createdOnSuccess(a, created, "created")
}

// nothingWritten reports whether an error of the class proves that the remote wrote nothing.
func nothingWritten(class fault.Class) bool {
	switch class {
	case fault.ClassConfig, fault.ClassPermanent, fault.ClassCredentials, fault.ClassRateLimited, fault.ClassAlreadyExists, fault.ClassConflict, fault.ClassGone:
		return true
	default:
		return false
	}
}

// adopt ends a create job for an object that exists already. It adopts an object with the wanted
// content. If the snapshot has secrets, which cannot be compared, an earlier attempt must also
// have begun to write. Otherwise the job ends with a conflict.
func (r *repo) adopt(a host.Attempt, existing erasedObject, want reflect.Value, m *mutation) error {
	var differ []string
	for _, f := range r.model.content {
		wanted := f.value(want)
		if wanted.Kind() == reflect.Pointer && wanted.IsNil() {
			continue // the remote chooses the value
		}
		if !f.equal(existing.value, want) {
			differ = append(differ, f.column)
		}
	}
	changes := map[string]*requestedChange{}
	for _, f := range r.model.content {
		changes[f.column] = &requestedChange{From: json.RawMessage("null"), To: m.Want[f.column]}
	}
	switch {
	case len(differ) > 0:
		return r.conflict("an object with that name already exists with a different "+strings.Join(differ, " and ")+"; the object was not changed",
			existing.value, changes)
	case !a.EarlierWrite() && len(r.model.secrets) > 0:
		return r.conflict("an object with that name already exists; its secrets cannot be compared, so the object was not adopted", existing.value, changes)
	}
	if a.EarlierWrite() {
		a.Logf("an earlier attempt created the object; adopted the object")
	}
	return r.createdOnSuccess(a, existing, "adopted")
}

// createdOnSuccess stores a created or adopted object in the transaction that marks the job a
// success. how is the key of the job's result.
func (r *repo) createdOnSuccess(a host.Attempt, object erasedObject, how string) error {
	id := a.Job().SnapshotRow
	a.SetResult(map[string]any{how: r.model.target(object.value)})
	a.OnSuccess(func(tx *gorm.DB) error {
		ctx := tx.Statement.Context
		var rows int64
		if err := sqlkit.Session(ctx, tx).Table(r.model.table).Where("id = ?", id).Count(&rows).Error; err != nil {
			return err
		}
		fields := append(r.model.identity(), r.model.mirrored()...)
		if rows > 0 {
			return r.writeRow(ctx, tx, rowWrite{id: id, value: object.value, fields: fields, fromRemote: true})
		}
		// The row was deleted in the meantime, by hand or because an earlier job was cancelled.
		return r.insertRow(ctx, tx, object.value)
	})
	return nil
}

// insertRow adds a row for a remote object, unless a row with the object's key exists.
func (r *repo) insertRow(ctx context.Context, tx *gorm.DB, value reflect.Value) error {
	columns, rows := r.newRows(r.model.mirrored(), []listedItem{{value: value}})
	_, err := r.table.Insert(sqlkit.Session(ctx, tx), columns, rows)
	return err
}
