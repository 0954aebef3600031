package mirror

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/secret"
)

// runUpdate reads the remote object and writes the changed fields, unless one of them has
// changed on the remote since the user saw it.
func (r *repo) runUpdate(ctx context.Context, a host.Attempt, m *mutation) error {
	key, err := r.boundKey(ctx, a, m)
	if err != nil {
		return err
	}
	current, err := r.getBound(ctx, key)
	if err != nil {
		return err
	}
	want, touched, err := r.threeWayMerge(current.value, m)
	if err != nil {
		return err
	}
	if len(touched) == 0 {
		a.Logf("the remote already has these values; nothing was written")
		return r.writeOnSuccess(a, current, map[string]any{"already": true})
	}
	if err := a.BeginWrite(ctx); err != nil {
		return err
	}
	updated, err := r.remote.update(ctx, current, want, touched)
	if fault.ClassOf(err) == fault.ClassConflict && current.version != "" {
		// The next attempt reads the object again, then merges the change or ends with a conflict.
		return fault.WithClass(fault.ClassTransient, fmt.Errorf("the remote object changed between reading and writing: %w", err))
	}
	if err != nil {
		return err
	}
	if updated.version == "" {
		if updated, err = r.getBound(ctx, key); err != nil {
			return fmt.Errorf("read the object after the update: %w", err)
		}
	}
	if err := r.checkObject(updated, key); err != nil {
		return err
	}
	if r.model.keyIdentity(updated.value) != r.model.keyIdentity(key) {
		return gone("the remote answered the update of %q with the object %q; refresh the row, and check that object on the remote", r.model.target(key), r.model.target(updated.value))
	}
	return r.verify(a, updated, want, touched, m)
}

// getBound reads the object of a change. If the remote answers with another object, the one that the
// user saw no longer exists.
func (r *repo) getBound(ctx context.Context, key reflect.Value) (erasedObject, error) {
	o, err := r.getRemote(ctx, key)
	if other := (*otherObjectError)(nil); errors.As(err, &other) {
		err = gone("%q no longer exists: %w; nothing was written to that object", r.model.target(key), err)
	}
	return o, err
}

// threeWayMerge returns current with the changes of m, and the fields that are still to be
// written. It returns a conflict if the remote value of a field is neither the one that the
// user saw nor the one that the user wants.
func (r *repo) threeWayMerge(current reflect.Value, m *mutation) (want reflect.Value, touched FieldDiff, err error) {
	want = deepCopy(current)
	var conflicting []string
	for _, column := range slices.Sorted(maps.Keys(m.Changes)) {
		f, c := r.model.byColumn[column], m.Changes[column]
		if f == nil {
			return want, nil, nawasync.Permanent(fmt.Errorf("table %s no longer has the column %s", r.model.table, column))
		}
		if err := decodeField(want, f, c.To); err != nil {
			return want, nil, nawasync.Permanent(err)
		}
		if f.equal(current, want) {
			continue
		}
		seen, err := r.userKnew(current, f, c)
		if err != nil {
			return want, nil, err
		}
		if !seen && !m.Force {
			conflicting = append(conflicting, column)
		}
		touched = append(touched, FieldChange{column, f.value(current).Interface(), f.value(want).Interface()})
	}
	if len(conflicting) > 0 {
		return want, nil, r.conflict(strings.Join(conflicting, " and ")+" changed on the remote after the user read the object; nothing was written", current, m.Changes)
	}
	for _, f := range r.model.secrets {
		if value, ok := m.WriteOnly[f.column]; ok {
			f.value(want).Set(reflect.ValueOf(value))
			touched = append(touched, FieldChange{f.column, secret.Masked, value})
		}
	}
	return want, touched, nil
}

// verify checks that the remote stored the written values, and stores the object in the row.
func (r *repo) verify(a host.Attempt, updated erasedObject, want reflect.Value, touched FieldDiff, m *mutation) error {
	for _, c := range touched {
		f := r.model.byColumn[c.Field]
		if f.role != roleSecret && !f.equal(updated.value, want) {
			return r.conflict(fmt.Sprintf("the remote has a different %s than was written: another client changed the value, or the remote did not accept it", c.Field),
				updated.value, m.Changes)
		}
	}
	fields := make([]string, len(touched))
	for i, c := range touched {
		fields[i] = c.Field
	}
	return r.writeOnSuccess(a, updated, map[string]any{"written": fields})
}
