package mirror

import (
	"errors"
	"fmt"
	"slices"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/tracker"
)

// support says what a remote can do besides listing.
type support struct{ read, create, update, remove, changes bool }

// supportOf returns what the methods of a remote can do. It calls none of them, so that a nil pointer
// serves as well. Nil supports everything.
func supportOf[T any](remote Lister[T]) (can support) {
	if remote == nil {
		return support{true, true, true, true, true}
	}
	_, can.read = remote.(Reader[T])
	_, can.create = remote.(Creator[T])
	_, can.update = remote.(Updater[T])
	_, can.remove = remote.(Deleter[T])
	_, can.changes = remote.(ChangesRemote[T])
	return can
}

// checkSupport refuses a remote that can change objects and not read them.
func (r *repo) checkSupport() error {
	for method, has := range map[string]bool{"Create": r.can.create, "Update": r.can.update, "Delete": r.can.remove, "Changes": r.can.changes} {
		if has && !r.can.read {
			return r.configErrorf("the Remote has the method %s and not Get, and the repository reads an object before it changes it; implement mirror.Reader", method)
		}
	}
	return nil
}

// methodOf returns the method of the remote that an action needs, and whether the remote has it.
func (r *repo) methodOf(action string) (method string, has bool) {
	switch {
	case action == r.actions.Create:
		return "Create", r.can.create
	case action == r.actions.Delete:
		return "Delete", r.can.remove
	case action == r.actions.Changes:
		return "Changes", r.can.changes
	case action == tracker.RefreshAction:
		return "Get", r.can.read
	case slices.Contains(r.actions.Update, action):
		return "Update", r.can.update
	}
	return "List", true
}

// supports returns an error that wraps errors.ErrUnsupported if the remote cannot do what an action needs.
func (r *repo) supports(action string) error {
	if method, has := r.methodOf(action); !has {
		return fmt.Errorf("%s: the Remote has no method %s: %w", r.kind(action), method, errors.ErrUnsupported)
	}
	return nil
}

// unsupportedActions lists the actions that the remote cannot do.
func (r *repo) unsupportedActions() (list []string) {
	actions := append([]string{r.actions.Create, r.actions.Delete, r.actions.Changes, tracker.RefreshAction}, r.actions.Update...)
	for _, action := range actions {
		if r.supports(action) != nil {
			list = append(list, action)
		}
	}
	return list
}

// rowOnly reports whether a deletion of the row needs no call to the remote, because its object was never
// created.
func rowOnly(status *nawasync.SyncStatus) bool {
	return status.LastSyncedAt.IsZero() && (status.State == nawasync.StateFailed || status.State == nawasync.StateConflict)
}
