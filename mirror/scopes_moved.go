package mirror

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/bulk"
	"github.com/nawasara/nawasync/tracker"
)

// elsewhere returns the rows of other scopes that have the keys of the given rows, those of deleted objects too. A
// database without an index of the key reads the whole table.
func (r *repo) elsewhere(tx *gorm.DB, rows []reflect.Value) (reflect.Value, error) {
	found := reflect.New(reflect.SliceOf(r.model.schema.ModelType))
	var columns []string
	for _, f := range r.model.key {
		columns = append(columns, f.column)
	}
	keys := make([][]any, len(rows))
	for i, row := range rows {
		for _, f := range r.model.key {
			keys[i] = append(keys[i], f.param(row))
		}
	}
	query, args, err := r.table.Find(tx, bulk.KeyQuery{Select: r.columns(), KeyColumns: columns, Keys: keys})
	if err == nil {
		err = r.model.readRows(tx.Raw(query, args...), found, nil)
	}
	if err != nil {
		return reflect.Value{}, fmt.Errorf("read %s: %w", r.model.table, err)
	}
	return found.Elem(), nil
}

// keyText returns the key of a row, whatever its scope.
func (m *model) keyText(row reflect.Value) string { return joinParts(parts(row, m.key)) }

// recordMoved records which of the new rows belong to objects that were in another scope before. Unlike other
// changes, they are recorded in the first load of a scope too.
func (s *reconcile) recordMoved(tx *gorm.DB, items []listedItem, out *batchResult) error {
	m := s.repo.model
	if !m.globalKey() || s.attempt == nil || len(items) == 0 || s.recordedCount.Load() >= maxRecorded {
		return nil
	}
	rows := make([]reflect.Value, len(items))
	for i, it := range items {
		rows[i] = it.value
	}
	found, err := s.repo.elsewhere(tx, rows)
	if err != nil {
		return err
	}
	newest := map[string]reflect.Value{}
	for i := range found.Len() {
		row, key := found.Index(i), m.keyText(found.Index(i))
		if old, ok := newest[key]; m.instance(row) != s.args.target.Instance && (!ok || m.idOf(row) > m.idOf(old)) {
			newest[key] = row
		}
	}
	for _, it := range items {
		if row, ok := newest[m.keyText(it.value)]; ok {
			out.changes = append(out.changes, s.movedChange(row, it.value))
		}
	}
	return nil
}

// movedChange returns the change of an object that was in another scope before.
func (s *reconcile) movedChange(old, now reflect.Value) tracker.Change {
	c := tracker.Change{Target: s.target(now), JobID: s.attempt.Job().ID, Kind: tracker.ChangeMoved}
	fields := map[string]valueChange{}
	for _, f := range s.repo.model.scope {
		if !f.equal(old, now) {
			fields[f.column] = valueChange{abbreviate(f.value(old).Interface()), abbreviate(f.value(now).Interface())}
		}
	}
	if text, err := json.Marshal(fields); err == nil {
		c.Fields = s.attempt.Redact(text)
	}
	return c
}

// MovedFrom returns the row that an object had in the scope that it was in before: of the rows of other scopes with
// the same key, the newest one that is older than row. It may be hidden, because the object, or the whole scope, is
// gone there. The host can copy its own columns from it.
//
// The key must have the option global, which says that no object of another scope has it, and repo must be a
// repository of New; else MovedFrom returns nawasync.ErrInvalid. It returns nawasync.ErrNotFound if there is no such
// row. A table with many rows needs an index of the key.
func MovedFrom[T any](ctx context.Context, repo nawasync.SyncedRepository[T], row T) (T, error) {
	var none T
	own, ok := repo.(*repository[T])
	if !ok {
		return none, fmt.Errorf("%w: MovedFrom needs a repository of mirror.New", nawasync.ErrInvalid)
	}
	old, err := own.movedFrom(ctx, reflect.ValueOf(&row).Elem())
	if err != nil {
		return none, err
	}
	return old.Interface().(T), nil
}

func (r *repo) movedFrom(ctx context.Context, row reflect.Value) (old reflect.Value, err error) {
	if !r.model.globalKey() {
		return old, fmt.Errorf(`%w: the key of %s is unique in a scope only; tag it sync:"key,global" if it is unique`, nawasync.ErrInvalid, r.model.table)
	}
	found, err := r.elsewhere(r.db(ctx), []reflect.Value{row})
	if err != nil {
		return old, err
	}
	for i := range found.Len() {
		other := found.Index(i)
		if r.model.instance(other) == r.model.instance(row) || r.model.idOf(other) >= r.model.idOf(row) {
			continue
		}
		if !old.IsValid() || r.model.idOf(other) > r.model.idOf(old) {
			old = other
		}
	}
	if !old.IsValid() {
		return old, fmt.Errorf("%s has no older row of the object in another scope: %w", r.model.table, nawasync.ErrNotFound)
	}
	return old, nil
}
