package nawasync

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/nawasara/nawasync/tracker"
)

// mutation is the arguments of a repository's create, update or delete.
type mutation struct {
	kind   Kind
	target Target
	queue  string

	Key     map[string]json.RawMessage `json:"key"`               // scope, key, natural
	Want    map[string]json.RawMessage `json:"want,omitempty"`    // of a create
	Changes map[string]*fieldChange    `json:"changes,omitempty"` // of an update
	Seen    map[string]*fieldChange    `json:"seen,omitempty"`    // of a delete: what the user saw, as From
	// WriteOnly are the secrets to set: they reach the remote and rest nowhere.
	WriteOnly map[string]Secret `json:"write_only,omitempty"`
	// Force writes whatever the remote has: a person's answer to a conflict.
	Force bool `json:"force,omitempty"`
}

// fieldChange is one field of a mutation.
type fieldChange struct {
	From json.RawMessage `json:"from"`
	To   json.RawMessage `json:"to,omitempty"`
	// Also are values that count as From: what jobs before this one will have written.
	Also []json.RawMessage `json:"also,omitempty"`
}

func (m *mutation) Kind() Kind     { return m.kind }
func (m *mutation) Target() Target { return m.target }
func (m *mutation) Queue() string  { return m.queue }

// refreshArgs are the arguments of a refresh; package tracker writes the same.
type refreshArgs struct {
	kind   Kind
	target Target
	queue  string
	Row    int64 `json:"row"`
}

func (a refreshArgs) Kind() Kind     { return a.kind }
func (a refreshArgs) Target() Target { return a.target }
func (a refreshArgs) Queue() string  { return a.queue }

func encodeFields(row reflect.Value, fields []*field) (map[string]json.RawMessage, error) {
	out := map[string]json.RawMessage{}
	for _, f := range fields {
		text, err := json.Marshal(f.value(row).Interface())
		if err != nil {
			return nil, fmt.Errorf("%w: field %s does not marshal: %w", ErrInvalid, f.Name, err)
		}
		out[f.column] = text
	}
	return out, nil
}

// decodeField sets a field of row to what was encoded.
func decodeField(row reflect.Value, f *field, text json.RawMessage) error {
	value := reflect.New(f.FieldType)
	if err := json.Unmarshal(text, value.Interface()); err != nil {
		return fmt.Errorf("nawasync: column %s: %q does not decode into %s: %w", f.column, text, f.FieldType, err)
	}
	f.value(row).Set(value.Elem())
	return nil
}

func (m *model) newRow() reflect.Value { return reflect.New(m.schema.ModelType).Elem() }

func (m *model) decode(into reflect.Value, fields map[string]json.RawMessage) error {
	for column, text := range fields {
		f := m.byColumn[column]
		if f == nil {
			continue // a field that a newer release had
		}
		if err := decodeField(into, f, text); err != nil {
			return err
		}
	}
	return nil
}

func (r *repo) newMutation(action string, row reflect.Value) (*mutation, error) {
	key, err := encodeFields(row, append(r.model.identity(), r.model.natural...))
	return &mutation{kind: r.kind(action), target: Target{r.model.instance(row), r.model.target(row)}, queue: r.queue, Key: key}, err
}

func (r *repo) secretsOf(row reflect.Value) map[string]Secret {
	out := map[string]Secret{}
	for _, f := range r.model.secrets {
		if s := f.value(row).Interface().(Secret); !s.IsZero() {
			out[f.column] = s
		}
	}
	return out
}

// dispatchRow adds a job that changes a row, and marks the row.
func (r *repo) dispatchRow(ctx context.Context, tx *gorm.DB, args Args, o Options, id int64, state SyncState) (*tracker.Job, error) {
	e := r.engine
	ctx, span := e.telemetry.dispatch(ctx)
	defer span.End()
	jobs, err := e.newJobs(ctx, tx, []Args{args}, o)
	if err != nil {
		return nil, err
	}
	job := jobs[0]
	job.Lane, job.SnapshotTable, job.SnapshotRow, job.SnapshotState = r.lane(id), r.model.table, id, state
	if err := e.insertTx(ctx, tx, jobs); err != nil {
		return nil, err
	}
	if err := e.store.MarkPending(ctx, tx, job); err != nil {
		return nil, fmt.Errorf("nawasync: mark row %d of %s: %w", id, r.model.table, err)
	}
	e.telemetry.dispatched(ctx, span, jobs)
	return job, nil
}

func (r *repo) create(ctx context.Context, want reflect.Value, o Options) (job *tracker.Job, err error) {
	m := r.model
	m.normalise(want)
	args, err := r.newMutation(r.actions.Create, want)
	if err != nil {
		return nil, err
	}
	if args.Want, err = encodeFields(want, m.content); err != nil {
		return nil, err
	}
	args.WriteOnly = r.secretsOf(want)
	if err := validateTarget(args.target); err != nil {
		return nil, fmt.Errorf("create %s: %w", r.typ, err)
	}
	err = r.inTx(ctx, func(tx *gorm.DB) error {
		id, err := r.reserve(ctx, tx, want)
		if err != nil {
			return err
		}
		job, err = r.dispatchRow(ctx, tx, args, o, id, StatePendingCreate)
		return err
	})
	return job, err
}

// reserve makes the row of an object that is to be created, so that its jobs have
// a lane from the first on; or takes over one whose object never was, or is gone.
func (r *repo) reserve(ctx context.Context, tx *gorm.DB, want reflect.Value) (int64, error) {
	now := Timestamp{r.engine.store.Now()}
	columns := []string{"sync_status", "missing_runs"}
	values := []any{StatePendingCreate, 0}
	for _, f := range append(r.model.identity(), r.model.mirrored()...) {
		value := f.param(want)
		if f.role == roleKey && len(r.model.natural) > 0 && f.value(want).IsZero() {
			value = nil // the remote will give one
		}
		columns, values = append(columns, f.column), append(values, value)
	}
	for _, f := range append(slices.Clone(r.model.created), r.model.updated...) {
		columns, values = append(columns, f.DBName), append(values, stamp(f.FieldType, now))
	}
	db := quiet(ctx, tx)
	if _, err := r.table.Insert(db, columns, [][]any{values}); err != nil {
		return 0, fmt.Errorf("nawasync: insert into %s: %w", r.model.table, err)
	}
	where, args := r.locate(want)
	there := r.model.newRow()
	if err := r.findIn(r.locking(db), there.Addr(), where, args...); err != nil {
		if errors.Is(err, ErrNotFound) {
			return 0, fmt.Errorf("%w: another row has a value that must be unique in %s", ErrExists, r.model.table)
		}
		return 0, err
	}
	id, status := r.model.idOf(there), r.status(there)
	switch {
	case status.State == StatePendingCreate && status.SyncJobID == nil:
		return id, nil // ours, of a moment ago
	case status.State == StateMissing, status.State == StateFailed && status.LastSyncedAt.IsZero():
		if err := r.write(ctx, tx, id, want, r.model.content, false); err != nil {
			return 0, err
		}
		// From now on the remote has never had it, until it is made.
		return id, db.Exec("UPDATE "+r.quoted+" SET last_synced_at = NULL, missing_since = NULL, missing_runs = 0 WHERE id = ?", id).Error
	}
	return 0, fmt.Errorf("%w: %s %q is row %d of %s, %s", ErrExists, r.typ, r.model.target(want), id, r.model.table, status.State)
}

// locking has reads lock what they find, until the transaction's end.
func (r *repo) locking(tx *gorm.DB) *gorm.DB {
	return tx.Clauses(clause.Locking{Strength: "UPDATE"})
}

// stamp is a time for a column of gorm's own.
func stamp(t reflect.Type, now Timestamp) any {
	switch t.Kind() {
	case reflect.Int, reflect.Int64, reflect.Uint, reflect.Uint64:
		return now.Unix()
	default:
		return now.Time
	}
}

func (r *repo) update(ctx context.Context, seen, want reflect.Value, o Options) (job *tracker.Job, err error) {
	m := r.model
	m.normalise(want)
	action := o.Action
	if action == "" {
		action = r.actions.Update[0]
	}
	if !slices.Contains(r.actions.Update, action) {
		return nil, fmt.Errorf("%w: Options.Action %q is none of Actions.Update: %s", ErrInvalid, action, strings.Join(r.actions.Update, ", "))
	}
	for _, f := range append(m.identity(), m.observed...) {
		if !f.equal(seen, want) {
			return nil, fmt.Errorf("%w: %s (%s) cannot be changed: only content and secrets can", ErrInvalid, f.Name, f.role)
		}
	}
	args, err := r.newMutation(action, seen)
	if err != nil {
		return nil, err
	}
	args.Changes, args.WriteOnly = map[string]*fieldChange{}, r.secretsOf(want)
	for _, f := range m.content {
		if f.equal(seen, want) {
			continue
		}
		from, fromErr := json.Marshal(f.value(seen).Interface())
		to, toErr := json.Marshal(f.value(want).Interface())
		if err := errors.Join(fromErr, toErr); err != nil {
			return nil, fmt.Errorf("%w: field %s does not marshal: %w", ErrInvalid, f.Name, err)
		}
		args.Changes[f.column] = &fieldChange{From: from, To: to}
	}
	if len(args.Changes) == 0 && len(args.WriteOnly) == 0 {
		return nil, ErrUnchanged
	}
	err = r.change(ctx, m.idOf(seen), args.Changes, func(tx *gorm.DB) error {
		job, err = r.dispatchRow(ctx, tx, args, o, m.idOf(seen), StatePendingUpdate)
		return err
	})
	return job, err
}

func (r *repo) remove(ctx context.Context, seen reflect.Value, o Options) (job *tracker.Job, err error) {
	m := r.model
	args, err := r.newMutation(r.actions.Delete, seen)
	if err != nil {
		return nil, err
	}
	args.Seen = map[string]*fieldChange{}
	for _, f := range m.content {
		text, err := json.Marshal(f.value(seen).Interface())
		if err != nil {
			return nil, fmt.Errorf("%w: field %s does not marshal: %w", ErrInvalid, f.Name, err)
		}
		args.Seen[f.column] = &fieldChange{From: text}
	}
	err = r.change(ctx, m.idOf(seen), args.Seen, func(tx *gorm.DB) error {
		job, err = r.dispatchRow(ctx, tx, args, o, m.idOf(seen), StatePendingDelete)
		return err
	})
	return job, err
}

// change locks the row, so that changes of it have an order, and has what the jobs
// before this one will write count as seen.
func (r *repo) change(ctx context.Context, id int64, changes map[string]*fieldChange, dispatch func(tx *gorm.DB) error) error {
	if id <= 0 {
		return fmt.Errorf("%w: the row has no id; pass one that List or Find returned", ErrInvalid)
	}
	store := r.engine.store
	return r.inTx(ctx, func(tx *gorm.DB) error {
		state, err := store.LockRow(ctx, tx, r.model.table, id)
		switch {
		case err != nil:
			return err
		case state == "":
			return fmt.Errorf("row %d of %s: %w", id, r.model.table, ErrNotFound)
		case state == StatePendingDelete:
			return fmt.Errorf("row %d of %s: %w", id, r.model.table, ErrDeleting)
		}
		if state.Pending() {
			open, err := store.OpenOn(ctx, tx, r.lane(id))
			if err != nil {
				return err
			}
			for _, c := range changes {
				c.Also = nil // the transaction may run again
			}
			for _, job := range open {
				r.engine.alsoFrom(job, changes)
			}
		}
		return dispatch(tx)
	})
}

// alsoFrom has what an unfinished job of the row will have written count as From.
func (e *Engine) alsoFrom(job *tracker.Job, changes map[string]*fieldChange) {
	plain, err := e.arguments(job)
	if err != nil {
		return // it will fail too, and write nothing
	}
	var before mutation
	if json.Unmarshal(plain, &before) != nil {
		return
	}
	for column, c := range changes {
		if earlier := before.Changes[column]; earlier != nil && earlier.To != nil {
			c.Also = append(c.Also, earlier.To)
		}
		if wanted := before.Want[column]; wanted != nil {
			c.Also = append(c.Also, wanted)
		}
	}
}

func (r *repo) refresh(ctx context.Context, id int64, o Options) (job *tracker.Job, err error) {
	there := r.model.newRow()
	if err := r.find(ctx, there.Addr(), "id = ?", id); err != nil {
		return nil, err
	}
	args := refreshArgs{kind: r.kind(tracker.RefreshAction), target: Target{r.model.instance(there), r.model.target(there)}, queue: r.queue, Row: id}
	err = r.inTx(ctx, func(tx *gorm.DB) error {
		job, err = r.dispatchRow(ctx, tx, args, o, id, "")
		return err
	})
	return job, err
}

// deepCopy copies what a change of the copy could reach.
func deepCopy(v reflect.Value) reflect.Value {
	out := reflect.New(v.Type()).Elem()
	out.Set(v)
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			out.Set(reflect.New(v.Type().Elem()))
			out.Elem().Set(deepCopy(v.Elem()))
		}
	case reflect.Slice:
		if !v.IsNil() {
			out.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
			for i := range v.Len() {
				out.Index(i).Set(deepCopy(v.Index(i)))
			}
		}
	case reflect.Interface:
		if !v.IsNil() {
			out.Set(deepCopy(v.Elem()))
		}
	case reflect.Array:
		for i := range v.Len() {
			out.Index(i).Set(deepCopy(v.Index(i)))
		}
	case reflect.Map:
		if !v.IsNil() {
			out.Set(reflect.MakeMapWithSize(v.Type(), v.Len()))
			for key, item := range v.Seq2() {
				out.SetMapIndex(key, deepCopy(item))
			}
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() || v.Type() == reflect.TypeFor[Secret]() {
			return out
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				out.Field(i).Set(deepCopy(v.Field(i)))
			}
		}
	default:
	}
	return out
}
