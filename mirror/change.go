package mirror

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/jobrow"
	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

// snapshotRow names a row and the pending state that the dispatch of its job sets; "" leaves the
// row's state unchanged.
func (r *repo) snapshotRow(id int64, state nawasync.SyncState) host.SnapshotRow {
	return host.SnapshotRow{Table: r.model.table, ID: id, State: state}
}

func (r *repo) createRow(ctx context.Context, want reflect.Value, o nawasync.Options) (job *tracker.Job, err error) {
	if err := r.supports(r.actions.Create); err != nil {
		return nil, err
	}
	m := r.model
	m.normalise(want)
	args, err := r.newMutation(r.actions.Create, want)
	if err == nil {
		err = m.checkName(want)
	}
	if err != nil {
		return nil, err
	}
	if args.Want, err = encodeFields(want, m.content); err != nil {
		return nil, err
	}
	args.WriteOnly = r.secretsOf(want)
	if err := errors.Join(r.engine.CheckTarget(args.target), r.refuseGone(ctx, want)); err != nil {
		return nil, fmt.Errorf("create %s: %w", r.typ, err)
	}
	err = r.inTx(ctx, func(tx *gorm.DB) error {
		id, err := r.insertPlaceholderRow(ctx, tx, want)
		if err != nil {
			return err
		}
		job, err = r.engine.DispatchOnRow(ctx, tx, args, o, r.snapshotRow(id, nawasync.StatePendingCreate))
		return err
	})
	return job, err
}

// insertPlaceholderRow adds the row of an object that a job is about to create, so that all jobs
// of the object share the row's lane. The row of a missing object with that name is marked as deleted: the
// new object is another one. For any other row with that name it returns nawasync.ErrExists, and
// nawasync.ErrBusy if an open transaction is adding one.
func (r *repo) insertPlaceholderRow(ctx context.Context, tx *gorm.DB, want reflect.Value) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, sqlkit.StatementTimeout)
	defer cancel()
	db := sqlkit.Session(ctx, tx)
	columns, values := r.placeholderValues(want)
	identity := r.model.wantedIdentity(want)
	for range 3 {
		id, err := r.table.InsertOne(db, columns, values)
		if id > 0 || err != nil {
			return id, r.busyName(err)
		}
		row := r.model.newRow()
		switch err := r.findIn(r.forUpdate(db), row.Addr(), "identity = ?", identity); {
		case errors.Is(err, nawasync.ErrNotFound):
			continue // it was deleted meanwhile
		case err != nil:
			return 0, r.busyName(err)
		}
		id, status := r.model.idOf(row), r.status(row)
		if status.State != nawasync.StateMissing {
			return 0, fmt.Errorf("%w: %s %q is row %d of %s in state %s", nawasync.ErrExists, r.typ, r.model.target(want), id, r.model.table, status.State)
		}
		if err := r.markDeleted(db, []int64{id}); err != nil {
			return 0, err
		}
	}
	return 0, fmt.Errorf("%w: another row of %s has the same value in a unique column", nawasync.ErrExists, r.model.table)
}

// placeholderValues returns the columns and values of the row of an object that is to be created.
func (r *repo) placeholderValues(want reflect.Value) (columns []string, values []any) {
	now := nawasync.Timestamp{Time: r.engine.Store().Now()}
	columns = []string{"identity", "sync_status", "missing_runs"}
	values = []any{r.model.wantedIdentity(want), nawasync.StatePendingCreate, 0}
	for _, f := range append(r.model.keyFields(), r.model.mirrored()...) {
		value := f.param(want)
		if f.role == roleKey && len(r.model.natural) > 0 && f.value(want).IsZero() {
			value = nil // the remote assigns the key
		}
		columns, values = append(columns, f.column), append(values, value)
	}
	for _, f := range append(slices.Clone(r.model.created), r.model.updated...) {
		columns, values = append(columns, f.DBName), append(values, gormTime(f.FieldType, now))
	}
	return columns, values
}

// busyName returns nawasync.ErrBusy for a lock that another transaction held for too long.
func (r *repo) busyName(err error) error {
	if sqlkit.IsLockTimeout(err) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w: %w", nawasync.ErrBusy, err)
	}
	if err != nil {
		return fmt.Errorf("insert into %s: %w", r.model.table, err)
	}
	return nil
}

// forUpdate makes reads lock the rows that they find until the transaction ends.
func (r *repo) forUpdate(tx *gorm.DB) *gorm.DB {
	return tx.Clauses(clause.Locking{Strength: "UPDATE"})
}

// gormTime converts a time to the type of a column that gorm fills: Unix seconds or a time.
func gormTime(t reflect.Type, now nawasync.Timestamp) any {
	switch t.Kind() {
	case reflect.Int, reflect.Int64, reflect.Uint, reflect.Uint64:
		return now.Unix()
	default:
		return now.Time
	}
}

func (r *repo) updateRow(ctx context.Context, seen, want reflect.Value, o nawasync.Options) (job *tracker.Job, err error) {
	m := r.model
	m.respell(seen) // the row may have an older spelling
	m.normalise(want)
	action := o.Action
	if action == "" {
		action = r.actions.Update[0]
	}
	if !slices.Contains(r.actions.Update, action) {
		return nil, fmt.Errorf("%w: Options.Action is %q; use one of Actions.Update: %s", nawasync.ErrInvalid, action, strings.Join(r.actions.Update, ", "))
	}
	if err := r.supports(action); err != nil {
		return nil, err
	}
	for _, f := range append(m.keyFields(), m.observed...) {
		if !f.equal(seen, want) {
			return nil, fmt.Errorf("%w: field %s has the role %s; only content and secret fields can be changed", nawasync.ErrInvalid, f.Name, f.role)
		}
	}
	if err := r.readStatus(ctx, seen); err != nil {
		return nil, err
	}
	args, err := r.newMutation(action, seen)
	if err != nil {
		return nil, err
	}
	args.Changes, args.WriteOnly = map[string]*requestedChange{}, r.secretsOf(want)
	for _, f := range m.content {
		if f.equal(seen, want) {
			continue
		}
		if asSeen, err := r.isAsSeen(ctx, seen, want, f); err != nil {
			return nil, err
		} else if asSeen {
			continue
		}
		if err := r.checkSeen(seen, f); err != nil {
			return nil, err
		}
		change, fromErr := r.seenValue(ctx, seen, f)
		to, toErr := json.Marshal(f.value(want).Interface())
		if err := errors.Join(fromErr, toErr); err != nil {
			return nil, fmt.Errorf("%w: marshal field %s: %w", nawasync.ErrInvalid, f.Name, err)
		}
		change.To = to
		args.Changes[f.column] = change
	}
	if len(args.Changes) == 0 && len(args.WriteOnly) == 0 {
		return nil, nawasync.ErrUnchanged
	}
	if args.Seen, err = r.seenInGroups(ctx, seen, args.Changes); err != nil {
		return nil, err
	}
	err = r.changeFields(ctx, m.idOf(seen), args, func(tx *gorm.DB) error {
		job, err = r.engine.DispatchOnRow(ctx, tx, args, o, r.snapshotRow(m.idOf(seen), nawasync.StatePendingUpdate))
		return err
	})
	return job, err
}

// seenValue returns what the user saw of a field. Arguments must not contain NUL, so a document with one is
// compared by its digest.
func (r *repo) seenValue(ctx context.Context, seen reflect.Value, f *field) (*requestedChange, error) {
	if token := r.engine.SeenOf(r.status(seen)); token != nil && token.Digests[f.column] != "" {
		return &requestedChange{Seen: token.Digests[f.column]}, nil
	}
	text, err := json.Marshal(f.value(seen).Interface())
	if err != nil {
		return nil, fmt.Errorf("%w: marshal field %s: %w", nawasync.ErrInvalid, f.Name, err)
	}
	if !bytes.Contains(text, []byte(`\u0000`)) {
		return &requestedChange{From: text}, nil
	}
	key, err := r.engine.DigestKey(ctx)
	if err != nil {
		return nil, err
	}
	return &requestedChange{Digest: f.keyedDigest(key, seen)}, nil
}

// seenInGroups returns what the user saw of the fields that are in a group with a changed field.
func (r *repo) seenInGroups(ctx context.Context, seen reflect.Value, changes map[string]*requestedChange) (list map[string]*requestedChange, err error) {
	groups := map[string]bool{}
	for column := range changes {
		groups[r.model.byColumn[column].group] = true
	}
	for _, f := range r.model.content {
		if f.group == "" || !groups[f.group] || changes[f.column] != nil || r.checkSeen(seen, f) != nil {
			continue
		}
		c, err := r.seenValue(ctx, seen, f)
		if err != nil {
			return nil, err
		}
		if list == nil {
			list = map[string]*requestedChange{}
		}
		list[f.column] = c
	}
	return list, nil
}

func (r *repo) deleteRow(ctx context.Context, seen reflect.Value, o nawasync.Options) (job *tracker.Job, err error) {
	m := r.model
	if err := r.readStatus(ctx, seen); err != nil {
		return nil, err
	}
	if err := r.supports(r.actions.Delete); err != nil && (!r.can.create || !rowOnly(r.status(seen))) {
		return nil, err
	}
	m.respell(seen)
	args, err := r.newMutation(r.actions.Delete, seen)
	if err != nil {
		return nil, err
	}
	args.Seen = map[string]*requestedChange{}
	for _, f := range m.content {
		if r.checkSeen(seen, f) != nil {
			continue // nobody can have seen the value
		}
		if args.Seen[f.column], err = r.seenValue(ctx, seen, f); err != nil {
			return nil, err
		}
	}
	err = r.changeFields(ctx, m.idOf(seen), args, func(tx *gorm.DB) error {
		job, err = r.engine.DispatchOnRow(ctx, tx, args, o, r.snapshotRow(m.idOf(seen), nawasync.StatePendingDelete))
		return err
	})
	return job, err
}

// changeFields locks the row and dispatches a job that changes it. The lock makes
// concurrent changes of the row wait for each other. Values that earlier unfinished jobs of the
// row will write count as seen by the user.
func (r *repo) changeFields(ctx context.Context, id int64, args *mutation, dispatch func(tx *gorm.DB) error) error {
	if id <= 0 {
		return fmt.Errorf("%w: the row has no id; pass a row that List or Find returned", nawasync.ErrInvalid)
	}
	store := r.engine.Store()
	return r.inTx(ctx, func(tx *gorm.DB) error {
		state, err := store.LockRow(ctx, tx, r.model.table, id)
		switch {
		case err != nil:
			return err
		case state == "" || state == tracker.StateDeleted:
			return fmt.Errorf("row %d of %s: %w", id, r.model.table, nawasync.ErrNotFound)
		case state == nawasync.StatePendingDelete:
			return fmt.Errorf("row %d of %s: %w", id, r.model.table, nawasync.ErrDeleting)
		}
		if state.Pending() {
			open, err := store.OpenOn(ctx, tx, jobrow.RowLane(r.model.table, id))
			if err != nil {
				return err
			}
			args.Creation, args.Behind = 0, nil
			for _, c := range args.fields() {
				c.Also = nil // a retried transaction must not add them twice
			}
			for _, job := range open {
				if job.Action == r.actions.Create {
					args.Creation = job.ID
				}
				if job.OwnJob {
					continue // the repository does not know what it changes
				}
				if job.SnapshotState != "" {
					args.Behind = append(args.Behind, job.ID)
				}
				r.acceptPendingValues(job, args)
			}
		}
		return dispatch(tx)
	})
}

// acceptPendingValues adds the values that an unfinished job of the row writes to Also.
func (r *repo) acceptPendingValues(job *jobstore.Job, args *mutation) {
	plain, err := r.engine.Arguments(job)
	if err != nil {
		return // the job cannot decode its arguments either, and writes nothing
	}
	var before mutation
	if json.Unmarshal(plain, &before) != nil {
		return
	}
	for column, c := range args.fields() {
		if earlier := before.Changes[column]; earlier != nil && earlier.To != nil {
			c.Also = append(c.Also, earlier.To)
		}
		if wanted := before.Want[column]; wanted != nil {
			c.Also = append(c.Also, wanted)
		}
	}
}

func (r *repo) refreshRow(ctx context.Context, id int64, o nawasync.Options) (job *tracker.Job, err error) {
	if err := r.supports(tracker.RefreshAction); err != nil {
		return nil, err
	}
	row := r.model.newRow()
	if err := r.findRow(ctx, row.Addr(), "id = ?", id); err != nil {
		return nil, err
	}
	r.model.respell(row)
	err = r.inTx(ctx, func(tx *gorm.DB) error {
		job, err = r.engine.DispatchOnRow(ctx, tx, r.refreshOf(row), o, r.snapshotRow(id, ""))
		return err
	})
	return job, err
}

// refreshOf returns the arguments of a job that refreshes a row.
func (r *repo) refreshOf(row reflect.Value) refreshArgs {
	return refreshArgs{
		kind: r.kind(tracker.RefreshAction), target: nawasync.Target{Instance: r.model.instance(row), ID: r.model.target(row)}, queue: r.queue,
		max: r.change.max, Row: r.model.idOf(row),
	}
}

// secretsOf returns the secrets of a row that are set, by column.
func (r *repo) secretsOf(row reflect.Value) map[string]nawasync.Secret {
	out := map[string]nawasync.Secret{}
	for _, f := range r.model.secrets {
		if s := f.value(row).Interface().(nawasync.Secret); !s.IsZero() {
			out[f.column] = s
		}
	}
	return out
}

func (r *repo) newMutation(action string, row reflect.Value) (*mutation, error) {
	if err := r.model.checkScope(row); err != nil {
		return nil, err
	}
	key, err := encodeFields(row, append(append(r.model.keyFields(), r.model.natural...), r.model.incarnation...))
	target := nawasync.Target{Instance: r.model.instance(row), ID: r.model.target(row)}
	return &mutation{kind: r.kind(action), target: target, queue: r.queue, max: r.change.max, MaskKeys: r.maskKeys, Key: key}, err
}
