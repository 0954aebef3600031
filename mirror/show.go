package mirror

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/tracker"
)

var _ host.RowShower = attached{}

// ShowRow implements host.RowShower.
func (r attached) ShowRow(ctx context.Context, instance, id string) (*host.ShownRow, error) {
	m := r.model
	key, err := m.scopeOf(instance)
	// The pages have checked the right to this instance, so it must be the one of the row.
	if err != nil || m.instance(key) != instance || !setParts(key, m.key, id) {
		return nil, fmt.Errorf("%s of %s: %w", id, m.table, tracker.ErrNotFound) // no row can have these texts
	}
	m.respell(key)
	row := m.newRow()
	if err := r.findRow(ctx, row.Addr(), "identity = ?", m.keyIdentity(key)); err != nil {
		return nil, err
	}
	status := r.status(row)
	shown := &host.ShownRow{
		ID: m.idOf(row), State: status.State, Error: status.SyncError, SyncedAt: status.LastSyncedAt.Time, MissingSince: status.MissingSince.Time,
	}
	var fields []*field
	for _, f := range m.mirrored() {
		if status.State == nawasync.StatePendingCreate || m.fetched(status, f) || f.role != roleContent && f.role != roleNatural {
			fields = append(fields, f)
			shown.Columns = append(shown.Columns, f.column)
		}
	}
	values, err := encodeFields(row, fields)
	if err != nil {
		return nil, err
	}
	document, err := json.Marshal(values)
	if err != nil {
		return nil, fmt.Errorf("marshal %s of %s: %w", id, m.table, err)
	}
	masked := r.engine.Redact(string(nawasync.Mask(document, r.maskKeys...)))
	if err := json.Unmarshal([]byte(masked), &shown.Values); err != nil {
		return nil, fmt.Errorf("read the masked values of %s of %s: %w", id, m.table, err)
	}
	return shown, nil
}

// RefreshRow implements host.RowShower.
func (r attached) RefreshRow(ctx context.Context, row int64, by string) (*tracker.Job, error) {
	return r.refreshRow(ctx, row, nawasync.Options{By: by})
}
