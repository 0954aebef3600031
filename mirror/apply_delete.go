package mirror

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/host"
)

// runDelete deletes the remote object if it has not changed since the user saw it. If the object
// no longer exists, the job succeeds.
func (r *repo) runDelete(ctx context.Context, a host.Attempt, m *mutation) error {
	a.OnSuccess(func(tx *gorm.DB) error {
		return tx.Exec("DELETE FROM "+r.quoted+" WHERE id = ?", a.Job().SnapshotRow).Error
	})
	key, err := r.boundKey(ctx, a, m)
	if errors.Is(err, errNeverCreated) {
		a.SetResult(map[string]any{"row_only": true})
		return nil // an object with that name on the remote, if any, belongs to another client
	}
	if err != nil {
		return err
	}
	current, err := r.getRemote(ctx, key)
	if other := (*otherObjectError)(nil); errors.As(err, &other) {
		return gone("%q no longer exists: %w; nothing was deleted", r.model.target(key), err)
	}
	if fault.ClassOf(err) == fault.ClassGone {
		a.SetResult(map[string]any{"already": true})
		return nil
	}
	if err != nil {
		return err
	}
	var changed []string
	for _, column := range slices.Sorted(maps.Keys(m.Seen)) {
		f := r.model.byColumn[column]
		if f == nil || m.Force {
			continue
		}
		seen, err := r.userKnew(current.value, f, m.Seen[column])
		if err != nil {
			return err
		}
		if !seen {
			changed = append(changed, column)
		}
	}
	if len(changed) > 0 {
		return r.conflict(strings.Join(changed, " and ")+" changed on the remote after the user read the object; the object was not deleted", current.value, m.Seen)
	}
	if err := a.BeginWrite(ctx); err != nil {
		return err
	}
	if err := r.remote.remove(ctx, key); err != nil && fault.ClassOf(err) != fault.ClassGone {
		return err
	}
	return nil
}
