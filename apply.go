package nawasync

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/secret"
	"github.com/nawasara/nawasync/tracker"
)

// register makes the engine serve the repository's kinds.
func (r *repo) register() error {
	var errs []error
	mutations := map[string]func(context.Context, *attempt, *mutation) error{r.actions.Create: r.runCreate, r.actions.Delete: r.runDelete}
	for _, action := range r.actions.Update {
		mutations[action] = r.runUpdate
	}
	if want := 2 + len(r.actions.Update); len(mutations) != want {
		return fmt.Errorf("nawasync: repository %s/%s: two of its Actions have one name", r.service, r.typ)
	}
	for action, run := range mutations {
		errs = append(errs, registerPlain(r, action, r.queue, r.timeout, run))
	}
	errs = append(errs,
		registerPlain(r, tracker.RefreshAction, r.queue, r.timeout, r.runRefresh),
		registerPlain(r, r.actions.Sync, r.syncQueue, r.syncTimeout, r.runSync))
	return errors.Join(errs...)
}

// registerPlain registers a kind whose arguments are A, of a repository that knows
// what its handler's author would otherwise write.
func registerPlain[A any](r *repo, action, queue string, timeout time.Duration, run func(context.Context, *attempt, *A) error) error {
	e := r.engine
	if timeout == 0 {
		timeout = DefaultTimeout
	}
	if queue == "" {
		queue = DefaultQueue
	}
	reg := &registration{kind: r.kind(action), timeout: func() time.Duration { return timeout }, backoff: AbstractJob[Args]{}.Backoff}
	reg.prepare = func(plain []byte) ([]string, func(context.Context, *attempt) error, error) {
		args := new(A)
		if err := json.Unmarshal(plain, args); err != nil {
			return nil, nil, fmt.Errorf("nawasync: the arguments of %s do not decode: %w", reg.kind, err)
		}
		_, secrets, err := e.secrets.Reveal(*args)
		return secrets, func(ctx context.Context, a *attempt) error {
			return run(context.WithValue(ctx, beforeWriteKey{}, a.BeginWrite), a, args)
		}, err
	}
	secret := len(r.model.secrets) > 0 && reflect.TypeFor[A]() == reflect.TypeFor[mutation]()
	return e.register(reg, nil, queue, secret)
}

func (r *repo) keyOf(m *mutation) (reflect.Value, error) {
	key := r.model.newRow()
	err := r.model.decode(key, m.Key)
	return key, Permanent(err)
}

func (r *repo) get(ctx context.Context, key reflect.Value) (object, error) {
	o, err := r.remote.get(ctx, key)
	if err == nil {
		r.model.normalise(o.value)
	}
	return o, err
}

// runUpdate reads, compares what it is about to touch with what the user saw, and
// writes only then.
func (r *repo) runUpdate(ctx context.Context, a *attempt, m *mutation) error {
	key, err := r.keyOf(m)
	if err != nil {
		return err
	}
	known, err := r.known(ctx, a)
	if err != nil {
		return err
	}
	if !known {
		return Permanent(errors.New("this object was never seen at the remote: its creation failed, or met somebody else's of its name; nothing was written. Resync to see what is there"))
	}
	now, err := r.get(ctx, key)
	if err != nil {
		return err
	}
	want, touched, err := r.merge(now.value, m)
	if err != nil {
		return err
	}
	if len(touched) == 0 {
		a.Logf("the remote has it so already; nothing was written")
		return r.applied(a, now, map[string]any{"already": true})
	}
	if err := a.BeginWrite(ctx); err != nil {
		return err
	}
	got, err := r.remote.update(ctx, now, want, touched)
	if fault.ClassOf(err) == fault.Conflict && now.version != "" {
		// Somebody was faster. The next attempt reads again: it merges, or it is a conflict.
		return fault.WithClass(fault.Transient, fmt.Errorf("the object was changed between our reading and our writing: %w", err))
	}
	if err != nil {
		return err
	}
	if got.version == "" {
		if got, err = r.get(ctx, key); err != nil {
			return fmt.Errorf("read back what was written: %w", err)
		}
	}
	r.model.normalise(got.value)
	return r.verify(a, got, want, touched, m)
}

// known reports whether the remote has ever had the row's object, as ours. A change
// that was queued behind a creation which then failed must not meet a stranger's.
func (r *repo) known(ctx context.Context, a *attempt) (bool, error) {
	row := r.model.newRow()
	err := r.find(ctx, row.Addr(), "id = ?", a.job.SnapshotRow)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil && !r.status(row).LastSyncedAt.IsZero(), err
}

// merge is now with the changes of m, and what of them is still to be written. It
// returns a conflict when a field is neither what the user saw nor what he wants.
func (r *repo) merge(now reflect.Value, m *mutation) (want reflect.Value, touched Diff, err error) {
	want = deepCopy(now)
	var foreign []string
	for _, column := range slices.Sorted(maps.Keys(m.Changes)) {
		f, c := r.model.byColumn[column], m.Changes[column]
		if f == nil {
			return want, nil, Permanent(fmt.Errorf("nawasync: %s has no column %s any more", r.model.table, column))
		}
		if err := decodeField(want, f, c.To); err != nil {
			return want, nil, Permanent(err)
		}
		if f.equal(now, want) {
			continue
		}
		seen, err := r.seen(now, f, c)
		if err != nil {
			return want, nil, err
		}
		if !seen && !m.Force {
			foreign = append(foreign, column)
		}
		touched = append(touched, Change{column, f.value(now).Interface(), f.value(want).Interface()})
	}
	if len(foreign) > 0 {
		return want, nil, r.conflict("somebody else has changed "+strings.Join(foreign, " and ")+" at the remote; nothing was written", now, m.Changes)
	}
	for _, f := range r.model.secrets {
		if value, ok := m.WriteOnly[f.column]; ok {
			f.value(want).Set(reflect.ValueOf(value))
			touched = append(touched, Change{f.column, secret.Masked, value})
		}
	}
	return want, touched, nil
}

// seen reports whether the remote's value is one that the user knew of.
func (r *repo) seen(now reflect.Value, f *field, c *fieldChange) (bool, error) {
	known := r.model.newRow()
	for _, text := range append([]json.RawMessage{c.From}, c.Also...) {
		if err := decodeField(known, f, text); err != nil {
			return false, Permanent(err)
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
	d := ConflictDetail{Base: base, Remote: remote}
	if len(desired) > 0 {
		d.Desired = desired
	}
	return Conflict(reason, d)
}

// verify makes sure that the remote has what was written.
func (r *repo) verify(a *attempt, got object, want reflect.Value, touched Diff, m *mutation) error {
	for _, c := range touched {
		f := r.model.byColumn[c.Field]
		if f.role != roleSecret && !f.equal(got.value, want) {
			return r.conflict(fmt.Sprintf("after writing, the remote has another %s than was written: it was changed in between, or not accepted", c.Field), got.value, m.Changes)
		}
	}
	fields := make([]string, len(touched))
	for i, c := range touched {
		fields[i] = c.Field
	}
	return r.applied(a, got, map[string]any{"written": fields})
}

// applied stores what the remote has now with the job's success.
func (r *repo) applied(a *attempt, now object, result any) error {
	id := a.job.SnapshotRow
	a.SetResult(result)
	a.OnSuccess(func(tx *gorm.DB) error {
		return r.write(tx.Statement.Context, tx, id, now.value, r.fieldsRead(), true)
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

// write stores fields of value in a row. When it was read at the remote, the row is
// synced as far as its content goes; sync_status is the verdict's affair.
func (r *repo) write(ctx context.Context, tx *gorm.DB, id int64, value reflect.Value, fields []*field, read bool) error {
	set := map[string]any{}
	for _, f := range fields {
		set[f.column] = f.param(value)
	}
	now := Timestamp{r.engine.store.Now()}
	for _, f := range r.model.updated {
		set[f.DBName] = stamp(f.FieldType, now)
	}
	if read {
		set["content_hash"], set["hash_version"] = r.model.contentHash(value), r.model.version
		set["last_synced_at"], set["missing_since"], set["missing_runs"] = now, nil, 0
	}
	if err := quiet(ctx, tx).Table(r.model.table).Where("id = ?", id).Updates(set).Error; err != nil {
		return fmt.Errorf("nawasync: write row %d of %s: %w", id, r.model.table, err)
	}
	return nil
}

// runCreate reads first, so that nobody's object is taken for ours; after a write
// whose outcome is not known it looks for what it made.
func (r *repo) runCreate(ctx context.Context, a *attempt, m *mutation) error {
	want, err := r.keyOf(m)
	if err == nil {
		err = Permanent(r.model.decode(want, m.Want))
	}
	if err != nil {
		return err
	}
	there, err := r.get(ctx, want)
	if err == nil {
		return r.adopt(a, there, want, m)
	}
	if fault.ClassOf(err) != fault.Gone {
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
	if definite(fault.ClassOf(err)) && err != nil {
		a.wroteNothing(ctx)
	}
	if fault.ClassOf(err) == fault.AlreadyExists {
		// It was not there a moment ago: somebody else was faster, or our own request
		// came through twice.
		if there, getErr := r.get(ctx, want); getErr == nil {
			return r.adopt(a, there, want, m)
		}
	}
	if err != nil {
		return err
	}
	r.model.normalise(made.value)
	return r.created(a, made, "created")
}

// definite reports whether an error of the class says that nothing was written.
func definite(class fault.Class) bool {
	switch class {
	case fault.Config, fault.Permanent, fault.Credentials, fault.RateLimited, fault.AlreadyExists, fault.Conflict, fault.Gone:
		return true
	default:
		return false
	}
}

// adopt takes an object that is there already for ours where that is safe.
func (r *repo) adopt(a *attempt, there object, want reflect.Value, m *mutation) error {
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
		return r.conflict("an object of that name is there already; whether it is ours cannot be told, for its secrets cannot be read, so it was left as it is", there.value, changes)
	}
	if a.EarlierWrite() {
		a.Logf("an earlier attempt has made it; adopted")
	}
	return r.created(a, there, "adopted")
}

func (r *repo) created(a *attempt, made object, how string) error {
	id := a.job.SnapshotRow
	a.SetResult(map[string]any{how: r.model.target(made.value)})
	a.OnSuccess(func(tx *gorm.DB) error {
		ctx := tx.Statement.Context
		var there int64
		if err := quiet(ctx, tx).Table(r.model.table).Where("id = ?", id).Count(&there).Error; err != nil {
			return err
		}
		fields := append(r.model.identity(), r.model.mirrored()...)
		if there > 0 {
			return r.write(ctx, tx, id, made.value, fields, true)
		}
		// Its row was deleted meanwhile, by hand or by a cancelled job before this one.
		return r.insert(ctx, tx, made.value)
	})
	return nil
}

// insert adds a row that is as the remote has it, unless there is one of that key.
func (r *repo) insert(ctx context.Context, tx *gorm.DB, value reflect.Value) error {
	columns, rows := r.newRows(r.model.mirrored(), []item{{value: value}})
	_, err := r.table.Insert(quiet(ctx, tx), columns, rows)
	return err
}

// runDelete deletes what still is as the user saw it. What is gone is a success.
func (r *repo) runDelete(ctx context.Context, a *attempt, m *mutation) error {
	key, err := r.keyOf(m)
	if err != nil {
		return err
	}
	a.OnSuccess(func(tx *gorm.DB) error {
		return tx.Exec("DELETE FROM "+r.quoted+" WHERE id = ?", a.job.SnapshotRow).Error
	})
	known, err := r.known(ctx, a)
	if err != nil {
		return err
	}
	if !known {
		a.SetResult(map[string]any{"row_only": true})
		return nil // what has that name at the remote, if anything, is not ours
	}
	now, err := r.get(ctx, key)
	if fault.ClassOf(err) == fault.Gone {
		a.SetResult(map[string]any{"already": true})
		return nil
	}
	if err != nil {
		return err
	}
	var foreign []string
	for _, column := range slices.Sorted(maps.Keys(m.Seen)) {
		f := r.model.byColumn[column]
		if f == nil || m.Force {
			continue
		}
		seen, err := r.seen(now.value, f, m.Seen[column])
		if err != nil {
			return err
		}
		if !seen {
			foreign = append(foreign, column)
		}
	}
	if len(foreign) > 0 {
		return r.conflict("somebody else has changed "+strings.Join(foreign, " and ")+" since you saw it; it was not deleted", now.value, m.Seen)
	}
	if err := a.BeginWrite(ctx); err != nil {
		return err
	}
	if err := r.remote.remove(ctx, key); err != nil && fault.ClassOf(err) != fault.Gone {
		return err
	}
	return nil
}

// runRefresh reads one object into its row.
func (r *repo) runRefresh(ctx context.Context, a *attempt, args *refreshArgs) error {
	there := r.model.newRow()
	if err := r.find(ctx, there.Addr(), "id = ?", args.Row); errors.Is(err, ErrNotFound) {
		return Skip("the row is not there any more")
	} else if err != nil {
		return err
	}
	now, err := r.get(ctx, there)
	gone := fault.ClassOf(err) == fault.Gone
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
			return tx.Exec("UPDATE "+r.quoted+" SET sync_status = 'missing', sync_job_id = ?, missing_since = COALESCE(missing_since, ?)"+idle+" AND last_synced_at IS NOT NULL",
				a.job.ID, Timestamp{r.engine.store.Now()}, args.Row).Error
		}
		if err := r.write(ctx, tx, args.Row, now.value, r.fieldsRead(), true); err != nil {
			return err
		}
		return tx.Exec("UPDATE "+r.quoted+" SET sync_status = 'synced', sync_error = NULL, sync_job_id = ?"+idle, a.job.ID, args.Row).Error
	})
	return nil
}
