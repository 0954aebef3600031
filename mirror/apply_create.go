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

// runCreate reads first, so that nobody's object is taken for ours; after a write
// whose outcome is not known it looks for what it made.
func (r *repo) runCreate(ctx context.Context, a host.Attempt, m *mutation) error {
	want, err := r.keyOf(m)
	if err == nil {
		err = nawasync.Permanent(r.model.decode(want, m.Want))
	}
	if err != nil {
		return err
	}
	there, err := r.getRemote(ctx, want)
	if err == nil {
		return r.adopt(a, there, want, m)
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
	made, err := r.remote.create(ctx, sent)
	if nothingWritten(fault.ClassOf(err)) && err != nil {
		a.RetractWrite(ctx)
	}
	if fault.ClassOf(err) == fault.ClassAlreadyExists {
		// It was not there a moment ago: somebody else was faster, or our own request
		// came through twice.
		if there, getErr := r.getRemote(ctx, want); getErr == nil {
			return r.adopt(a, there, want, m)
		}
	}
	if err != nil {
		return err
	}
	r.model.normalise(made.value)
	return r.createdOnSuccess(a, made, "created")
}

// nothingWritten reports whether an error of the class says that nothing was written.
func nothingWritten(class fault.Class) bool {
	switch class {
	case fault.ClassConfig, fault.ClassPermanent, fault.ClassCredentials, fault.ClassRateLimited, fault.ClassAlreadyExists, fault.ClassConflict, fault.ClassGone:
		return true
	default:
		return false
	}
}

// adopt takes an object that is there already for ours where that is safe.
func (r *repo) adopt(a host.Attempt, there erasedObject, want reflect.Value, m *mutation) error {
	var differ []string
	for _, f := range r.model.content {
		wanted := f.value(want)
		if wanted.Kind() == reflect.Pointer && wanted.IsNil() {
			continue // left to the remote
		}
		if !f.equal(there.value, want) {
			differ = append(differ, f.column)
		}
	}
	changes := map[string]*fieldChange{}
	for _, f := range r.model.content {
		changes[f.column] = &fieldChange{From: json.RawMessage("null"), To: m.Want[f.column]}
	}
	switch {
	case len(differ) > 0:
		return r.conflict("an object of that name is there already, with another "+strings.Join(differ, " and ")+"; it was left as it is", there.value, changes)
	case !a.EarlierWrite() && len(r.model.secrets) > 0:
		return r.conflict("an object of that name is there already; whether it is ours cannot be told, for its secrets cannot be read, so it was left as it is",
			there.value, changes)
	}
	if a.EarlierWrite() {
		a.Logf("an earlier attempt has made it; adopted")
	}
	return r.createdOnSuccess(a, there, "adopted")
}

func (r *repo) createdOnSuccess(a host.Attempt, made erasedObject, how string) error {
	id := a.Job().SnapshotRow
	a.SetResult(map[string]any{how: r.model.target(made.value)})
	a.OnSuccess(func(tx *gorm.DB) error {
		ctx := tx.Statement.Context
		var there int64
		if err := sqlkit.Session(ctx, tx).Table(r.model.table).Where("id = ?", id).Count(&there).Error; err != nil {
			return err
		}
		fields := append(r.model.identity(), r.model.mirrored()...)
		if there > 0 {
			return r.writeRow(ctx, tx, id, made.value, fields, true)
		}
		// Its row was deleted meanwhile, by hand or by a cancelled job before this one.
		return r.insertRow(ctx, tx, made.value)
	})
	return nil
}

// insertRow adds a row that is as the remote has it, unless there is one of that key.
func (r *repo) insertRow(ctx context.Context, tx *gorm.DB, value reflect.Value) error {
	columns, rows := r.newRows(r.model.mirrored(), []listedItem{{value: value}})
	_, err := r.table.Insert(sqlkit.Session(ctx, tx), columns, rows)
	return err
}
