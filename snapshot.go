package nawasync

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/nawasara/nawasync/tracker"
)

// SyncState is where a snapshot row stands against the remote.
type SyncState = tracker.SyncState

// The states of a snapshot row.
const (
	StateSynced        = tracker.StateSynced
	StatePendingCreate = tracker.StatePendingCreate
	StatePendingUpdate = tracker.StatePendingUpdate
	StatePendingDelete = tracker.StatePendingDelete
	StateFailed        = tracker.StateFailed
	StateConflict      = tracker.StateConflict
	StateMissing       = tracker.StateMissing
)

// SyncStatus is embedded in a snapshot struct; StatusColumns writes its columns'
// migration. Repositories and endings of jobs keep it; read it, and leave writing
// to them. The zero value is a row nobody has synced.
type SyncStatus struct {
	State        SyncState `gorm:"column:sync_status;size:16;not null;default:synced" json:"sync_status"`
	SyncError    string    `gorm:"column:sync_error"                                  json:"sync_error,omitempty"`   // why it is failed or a conflict
	LastSyncedAt Timestamp `gorm:"column:last_synced_at"                              json:"last_synced_at"`         // when what the remote said last changed
	ContentHash  string    `gorm:"column:content_hash;size:32"                        json:"-"`                      // of the content fields
	HashVersion  int64     `gorm:"column:hash_version"                                json:"-"`                      // tells hashes of other fields apart
	SyncJobID    *int64    `gorm:"column:sync_job_id"                                 json:"sync_job_id,omitempty"`  // the last job that changed the row
	MissingSince Timestamp `gorm:"column:missing_since"                               json:"missing_since,omitzero"` // the first complete listing without it
	MissingRuns  int       `gorm:"column:missing_runs;not null"                       json:"missing_runs,omitempty"` // how many there were since
}

// SnapshotStatus returns s. It is how a repository finds the SyncStatus that a snapshot
// struct embeds.
func (s *SyncStatus) SnapshotStatus() *SyncStatus { return s }

// MarkPending puts the row into one of the pending states, for a job. It changes
// the struct only.
func (s *SyncStatus) MarkPending(state SyncState, job int64) {
	s.State, s.SyncError, s.SyncJobID = state, "", &job
}

// MarkSynced says that the row is as the remote had it at that time.
func (s *SyncStatus) MarkSynced(at time.Time) {
	s.State, s.SyncError, s.LastSyncedAt, s.MissingSince, s.MissingRuns = StateSynced, "", Timestamp{at}, Timestamp{}, 0
}

// MarkFailed says that the last change failed, and why.
func (s *SyncStatus) MarkFailed(why string) { s.State, s.SyncError = StateFailed, why }

// MarkConflict says that somebody else changed the object at the remote.
func (s *SyncStatus) MarkConflict(why string) { s.State, s.SyncError = StateConflict, why }

// IsPending reports whether a job is open that changes the row.
func (s *SyncStatus) IsPending() bool { return s.State.Pending() }

// IsSynced reports whether the row is as the remote last said.
func (s *SyncStatus) IsSynced() bool { return s.State == StateSynced }

// HasFailed reports whether the last change failed or met a conflict.
func (s *SyncStatus) HasFailed() bool { return s.State == StateFailed || s.State == StateConflict }

// Timestamp is a time that rests as whole microseconds since 1970 UTC: the same in
// every database, whatever the session's zone. The zero value is NULL.
type Timestamp struct{ time.Time }

// Value is the microseconds, or nil.
func (t Timestamp) Value() (driver.Value, error) {
	if t.IsZero() {
		return nil, nil //nolint:nilnil // NULL
	}
	return t.UnixMicro(), nil
}

// Scan reads microseconds or NULL.
func (t *Timestamp) Scan(value any) error {
	var us int64
	switch v := value.(type) {
	case nil:
	case int64:
		us = v
	case []byte:
		n, err := strconv.ParseInt(string(v), 10, 64)
		if err != nil {
			return fmt.Errorf("%q is no time in microseconds", v)
		}
		us = n
	default:
		return fmt.Errorf("a time is stored as whole microseconds, not as %T", value)
	}
	*t = Timestamp{}
	if us != 0 {
		t.Time = time.UnixMicro(us).UTC()
	}
	return nil
}

// GormDataType is the column's type where gorm makes the table.
func (Timestamp) GormDataType() string { return "bigint" }

// MarshalJSON is RFC 3339, or null for the zero value.
func (t Timestamp) MarshalJSON() ([]byte, error) {
	if t.IsZero() {
		return []byte("null"), nil
	}
	return json.Marshal(t.Time)
}
