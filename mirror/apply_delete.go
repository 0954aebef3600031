package mirror

import (
	"context"
	"maps"
	"slices"
	"strings"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/host"
)

// runDelete deletes what still is as the user saw it. What is gone is a success.
func (r *repo) runDelete(ctx context.Context, a host.Attempt, m *mutation) error {
	key, err := r.keyOf(m)
	if err != nil {
		return err
	}
	a.OnSuccess(func(tx *gorm.DB) error {
		return tx.Exec("DELETE FROM "+r.quoted+" WHERE id = ?", a.Job().SnapshotRow).Error
	})
	known, err := r.everSynced(ctx, a)
	if err != nil {
		return err
	}
	if !known {
		a.SetResult(map[string]any{"row_only": true})
		return nil // what has that name at the remote, if anything, is not ours
	}
	now, err := r.getRemote(ctx, key)
	if fault.ClassOf(err) == fault.ClassGone {
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
		seen, err := r.userKnew(now.value, f, m.Seen[column])
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
	if err := r.remote.remove(ctx, key); err != nil && fault.ClassOf(err) != fault.ClassGone {
		return err
	}
	return nil
}
