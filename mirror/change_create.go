package mirror

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

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

// gormTime converts a time to the type of a column that gorm fills: Unix seconds or a time.
func gormTime(t reflect.Type, now nawasync.Timestamp) any {
	switch t.Kind() {
	case reflect.Int, reflect.Int64, reflect.Uint, reflect.Uint64:
		return now.Unix()
	default:
		return now.Time
	}
}
