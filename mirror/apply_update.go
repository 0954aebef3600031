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

// runUpdate reads, compares what it is about to touch with what the user saw, and
// writes only then.
func (r *repo) runUpdate(ctx context.Context, a host.Attempt, m *mutation) error {
	key, err := r.keyOf(m)
	if err != nil {
		return err
	}
	known, err := r.everSynced(ctx, a)
	if err != nil {
		return err
	}
	if !known {
		return nawasync.Permanent(errors.New("this object was never seen at the remote: its creation failed, or met somebody else's of its name; nothing was written. keep theirs, to see what is there"))
	}
	now, err := r.getRemote(ctx, key)
	if err != nil {
		return err
	}
	want, touched, err := r.threeWayMerge(now.value, m)
	if err != nil {
		return err
	}
	if len(touched) == 0 {
		a.Logf("the remote has it so already; nothing was written")
		return r.writeOnSuccess(a, now, map[string]any{"already": true})
	}
	if err := a.BeginWrite(ctx); err != nil {
		return err
	}
	got, err := r.remote.update(ctx, now, want, touched)
	if fault.ClassOf(err) == fault.ClassConflict && now.version != "" {
		// Somebody was faster. The next attempt reads again: it merges, or it is a conflict.
		return fault.WithClass(fault.ClassTransient, fmt.Errorf("the object was changed between our reading and our writing: %w", err))
	}
	if err != nil {
		return err
	}
	if got.version == "" {
		if got, err = r.getRemote(ctx, key); err != nil {
			return fmt.Errorf("read back what was written: %w", err)
		}
	}
	r.model.normalise(got.value)
	return r.verify(a, got, want, touched, m)
}

// threeWayMerge is now with the changes of m, and what of them is still to be written. It
// returns a conflict when a field is neither what the user saw nor what he wants.
func (r *repo) threeWayMerge(now reflect.Value, m *mutation) (want reflect.Value, touched Diff, err error) {
	want = deepCopy(now)
	var foreign []string
	for _, column := range slices.Sorted(maps.Keys(m.Changes)) {
		f, c := r.model.byColumn[column], m.Changes[column]
		if f == nil {
			return want, nil, nawasync.Permanent(fmt.Errorf("%s has no column %s any more", r.model.table, column))
		}
		if err := decodeField(want, f, c.To); err != nil {
			return want, nil, nawasync.Permanent(err)
		}
		if f.equal(now, want) {
			continue
		}
		seen, err := r.userKnew(now, f, c)
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

// verify makes sure that the remote has what was written.
func (r *repo) verify(a host.Attempt, got erasedObject, want reflect.Value, touched Diff, m *mutation) error {
	for _, c := range touched {
		f := r.model.byColumn[c.Field]
		if f.role != roleSecret && !f.equal(got.value, want) {
			return r.conflict(fmt.Sprintf("after writing, the remote has another %s than was written: it was changed in between, or not accepted", c.Field), got.value,
				m.Changes)
		}
	}
	fields := make([]string, len(touched))
	for i, c := range touched {
		fields[i] = c.Field
	}
	return r.writeOnSuccess(a, got, map[string]any{"written": fields})
}
