package mirror

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/host"
)

// runUpdate reads the remote object and writes the changed fields, unless one of them has
// changed on the remote since the user saw it. If an earlier attempt has written them, it only verifies
// the write.
func (r *repo) runUpdate(ctx context.Context, a host.Attempt, m *mutation) error {
	w, err := r.resume(ctx, a, m)
	if err != nil {
		return err
	}
	if w.key, w.row, err = r.boundKey(ctx, a, m); err != nil {
		return err
	}
	if w.state.Answered {
		return w.verifyUpdate(ctx)
	}
	current, err := r.getBound(ctx, w.key)
	if fault.ClassOf(err) == fault.ClassGone {
		return w.unlessSettling(ctx, true, err)
	}
	if err != nil {
		return err
	}
	merged, err := w.merge(ctx, current)
	switch {
	case isConflict(err):
		return w.unlessSettling(ctx, true, err)
	case err != nil:
		return err
	case len(merged.touched) == 0:
		if err := w.unlessSettling(ctx, false, nil); err != nil {
			return err
		}
		return w.alreadyDone(ctx, current, merged)
	}
	return w.update(ctx, current, merged)
}

// alreadyDone ends an update whose values the remote has already.
func (w *remoteWrite) alreadyDone(ctx context.Context, current erasedObject, merged merged) error {
	result := map[string]any{"already": true}
	w.noteAdjusted(result, merged.adjusted)
	if err := w.noteDigests(ctx, result, current.value, sortedKeys(merged.adjusted)); err != nil {
		return err
	}
	w.Logf("the remote already has these values; nothing was written")
	return w.repo.writeOnSuccess(w.Attempt, current, result)
}

func (w *remoteWrite) update(ctx context.Context, current erasedObject, merged merged) error {
	if err := w.begin(ctx); err != nil {
		return err
	}
	w.written(current.value, merged.touched)
	w.state.Kept = sortedKeys(merged.adjusted)
	updated, err := w.repo.remote.update(ctx, current, merged.want, merged.touched)
	if handle, accepted := acceptedHandle(err); accepted {
		return w.accept(ctx, handle)
	}
	if fault.ClassOf(err) == fault.ClassConflict && current.version != "" {
		// The next attempt reads the object again, then merges the change or ends with a conflict.
		return fault.WithClass(fault.ClassTransient, fmt.Errorf("the remote object changed between reading and writing: %w", err))
	}
	if err != nil {
		return err
	}
	if updated.version == "" && !w.repo.model.hasKey(updated.value) { // the answer had no object
		w.answered(merged.want, merged.want)
		return w.verifyUpdate(ctx)
	}
	if err := w.repo.checkObject(updated, w.key); err != nil {
		return err
	}
	if w.repo.model.keyIdentity(updated.value) != w.repo.model.keyIdentity(w.key) {
		return gone("the remote answered the update of %q with the object %q; refresh the row, and check that object on the remote", w.repo.model.target(w.key),
			w.repo.model.target(updated.value))
	}
	w.answered(updated.value, merged.want)
	if updated.version == "" {
		return w.verifyUpdate(ctx)
	}
	v := w.compare(updated.value, merged.want, true)
	if w.args.Insisted {
		w.keepStale(&v, updated.value)
	}
	if v.clean() {
		return w.succeed(ctx, updated, v.adjusted)
	}
	return w.notApplied(ctx, updated, v)
}

// verifyUpdate reads the object and compares it with what was written. Until the remote must show the
// write, a different value only makes it read the object again.
func (w *remoteWrite) verifyUpdate(ctx context.Context) error {
	if err := errors.Join(w.SetState(w.state), ctx.Err()); err != nil {
		return err
	}
	if err := w.poll(ctx); err != nil {
		return err
	}
	updated, err := w.repo.getBound(ctx, w.key)
	if fault.ClassOf(err) == fault.ClassGone && w.repo.now().Before(w.until()) {
		return w.again(w.state.BegunAt, w.until(), "the remote does not show the updated object yet")
	}
	if err != nil {
		return fmt.Errorf("read the object after the update: %w", err)
	}
	want := deepCopy(updated.value)
	if err := w.repo.applyChanges(want, w.args); err != nil {
		return err
	}
	settled := !w.repo.now().Before(w.until())
	v := w.compare(updated.value, want, w.repo.wroteLast(updated) || w.args.Force && settled)
	if settled && w.args.Insisted {
		w.keepStale(&v, updated.value)
	}
	if v.clean() {
		return w.succeed(ctx, updated, v.adjusted)
	}
	if !settled {
		return w.again(w.state.BegunAt, w.until(), "the remote does not show the new "+strings.Join(append(v.stale, v.unexpected...), " and ")+" yet")
	}
	return w.notApplied(ctx, updated, v)
}

// notApplied returns the error for a write that the remote has confirmed, although it shows other
// values.
func (w *remoteWrite) notApplied(ctx context.Context, updated erasedObject, v verification) error {
	if len(v.unexpected) > 0 {
		return w.repo.conflict(ctx, conflicting{
			reason:  "the remote has a different " + strings.Join(v.unexpected, " and ") + " than was written: another client changed the value, or the remote stores it in another form",
			current: updated, changes: w.args.Changes, columns: v.unexpected, accept: true,
		})
	}
	return nawasync.Permanent(fmt.Errorf("accepted, not applied: the remote confirmed the update and still has the earlier %s; check on the remote what prevents the change",
		strings.Join(v.stale, " and ")))
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
