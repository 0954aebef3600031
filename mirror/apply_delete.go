package mirror

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/host"
)

// runDelete deletes the remote object if it has not changed since the user saw it. If the object
// no longer exists, the job succeeds. The row is marked as deleted.
func (r *repo) runDelete(ctx context.Context, a host.Attempt, m *mutation) error {
	r.deletedOnSuccess(a)
	w, err := r.resume(ctx, a, m)
	if err != nil {
		return err
	}
	w.key, w.row, err = r.boundKey(ctx, a, m)
	if errors.Is(err, errNeverCreated) || errors.Is(err, errSameObject) {
		r.removedOnSuccess(a)
		a.SetResult(map[string]any{"row_only": true})
		return nil // an object with that name on the remote, if any, belongs to another client or row
	}
	if err != nil {
		return err
	}
	if w.state.Answered {
		return w.verifyDelete(ctx)
	}
	current, err := r.getRemote(ctx, w.key)
	if other := (*otherObjectError)(nil); errors.As(err, &other) {
		return gone("%q no longer exists: %w; nothing was deleted", r.model.target(w.key), err)
	}
	if fault.ClassOf(err) == fault.ClassGone {
		since, err := w.settling(ctx, false)
		if err != nil {
			return err
		}
		if !since.IsZero() {
			return w.remove(ctx) // the remote may just not show the object yet
		}
		if !w.EarlierWrite() { // else it is probably our own deletion
			if err := w.checkGone(ctx); err != nil {
				return err
			}
		}
		a.SetResult(map[string]any{"already": true})
		return nil
	}
	if err != nil {
		return err
	}
	if err := w.checkUnchanged(ctx, current); err != nil {
		return w.unlessSettling(ctx, true, err)
	}
	return w.remove(ctx)
}

// checkGone checks that the remote finds an object of the scope that was listed. If it does not, it may
// answer "gone" for every object, for example because of a wrong address.
func (w *remoteWrite) checkGone(ctx context.Context) error {
	c := &confirmation{reconcile: &reconcile{repo: w.repo, attempt: w.Attempt, scope: w.row, args: &syncArgs{}}}
	found, err := c.askWitnesses(ctx)
	if err == nil && !found && len(c.witnesses) > 0 {
		err = fault.WithClass(fault.ClassTransient, fmt.Errorf("the remote answers that the object is gone, and also that %.80q is, which was listed; check the remote's address and the permissions of its credentials, or sync first if all of these objects were deleted",
			w.repo.model.target(c.witnesses[0])))
	}
	return err
}

// checkUnchanged returns a conflict if the object has changed since the user saw it.
func (w *remoteWrite) checkUnchanged(ctx context.Context, current erasedObject) error {
	var changed []string
	for _, column := range slices.Sorted(maps.Keys(w.args.Seen)) {
		f := w.repo.model.byColumn[column]
		if f == nil || w.args.Force {
			continue
		}
		known, err := w.knew(ctx, current.value, f, w.args.Seen[column])
		if err != nil {
			return err
		}
		if !known {
			changed = append(changed, column)
		}
	}
	if len(changed) == 0 {
		return nil
	}
	return w.repo.conflict(ctx, conflicting{
		reason:  strings.Join(changed, " and ") + " changed on the remote after the user read the object; the object was not deleted",
		current: current, changes: w.args.Seen, columns: changed,
	})
}

// remove deletes the object.
func (w *remoteWrite) remove(ctx context.Context) error {
	if err := w.begin(ctx); err != nil {
		return err
	}
	err := w.repo.remote.remove(ctx, w.key)
	if handle, accepted := acceptedHandle(err); accepted {
		return w.accept(ctx, handle)
	}
	if err != nil && fault.ClassOf(err) != fault.ClassGone {
		return err
	}
	w.state.Answered = true
	return w.verifyDelete(ctx)
}

// verifyDelete reads the object until the remote says that it is gone.
func (w *remoteWrite) verifyDelete(ctx context.Context) error {
	if err := errors.Join(w.SetState(w.state), ctx.Err()); err != nil {
		return err
	}
	if err := w.poll(ctx); err != nil {
		return err
	}
	_, err := w.repo.getRemote(ctx, w.key)
	other := (*otherObjectError)(nil)
	switch {
	case fault.ClassOf(err) == fault.ClassGone, errors.As(err, &other):
		return nil
	case err != nil:
		return fmt.Errorf("read the object after its deletion: %w", err)
	case w.repo.now().Before(w.until()):
		return w.again(w.state.BegunAt, w.until(), "the remote still shows the deleted object")
	}
	return nawasync.Permanent(errors.New("accepted, not applied: the remote confirmed the deletion and still has the object; check on the remote what prevents it"))
}
