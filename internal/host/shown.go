package host

import (
	"context"
	"encoding/json"
	"time"

	"github.com/nawasara/nawasync/tracker"
)

// ShownRow is a snapshot row for people: without the fields that were never fetched, and with secrets masked.
type ShownRow struct {
	ID           int64
	State        tracker.SyncState
	Error        string
	SyncedAt     time.Time // zero if the row was never synced
	MissingSince time.Time // zero if the object was in the last listing
	Columns      []string  // in the order of the struct
	Values       map[string]json.RawMessage
}

// LimitScoper is an attached repository that knows what the limits and credentials of its remote belong to.
type LimitScoper interface {
	// LimitScopeOf returns the limit scope of an instance: the instance or its first components.
	LimitScopeOf(instance string) (string, error)
}

// RowShower is an attached repository that shows its rows.
type RowShower interface {
	// ShowRow returns the row whose jobs have the given target, or tracker.ErrNotFound.
	ShowRow(ctx context.Context, instance, id string) (*ShownRow, error)
	// RefreshRow dispatches a job that reads the object of a row.
	RefreshRow(ctx context.Context, row int64, by string) (*tracker.Job, error)
}
