package nawasync

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/tracker"
)

// SyncState says whether a snapshot row agrees with the remote object.
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

// SyncStatus is embedded in a snapshot struct. mirror.StatusColumns returns the SQL that adds its
// columns to a table. Repositories and completed jobs write the columns; the host should only
// read them. The zero value belongs to a row that was never synced.
type SyncStatus struct {
	// Identity makes the row unique in its table. It is a hash of the scope and the key; of the scope and
	// the natural fields while the object has no key; of the row's id once its creation has failed, or
	// the row is deleted.
	Identity     tracker.Identity `gorm:"column:identity;size:32;not null;uniqueIndex"       json:"-"`
	State        SyncState        `gorm:"column:sync_status;size:16;not null;default:synced" json:"sync_status"`
	SyncError    string           `gorm:"column:sync_error"                                  json:"sync_error,omitempty"` // why the row is failed or in conflict
	LastSyncedAt Timestamp        `gorm:"column:last_synced_at"                              json:"last_synced_at"`       // when the remote's values were last written to the row
	ContentHash  string           `gorm:"column:content_hash;size:32"                        json:"-"`                    // of the content fields
	HashVersion  int64            `gorm:"column:hash_version"                                json:"-"`                    // the set of fields that the hash covers
	// FetchedColumns lists the content columns that were ever fetched from the remote, separated by commas.
	// A column that is not in the list has the zero value or NULL, which says nothing about the object.
	FetchedColumns string    `gorm:"column:fetched_columns"       json:"-"`
	SyncJobID      *int64    `gorm:"column:sync_job_id"           json:"sync_job_id,omitempty"`  // the last job that changed the row
	MissingSince   Timestamp `gorm:"column:missing_since"         json:"missing_since,omitzero"` // the time of the first complete listing without the object
	MissingRuns    int       `gorm:"column:missing_runs;not null" json:"missing_runs,omitempty"` // consecutive complete listings without the object
	// DeletedAt is when the object was deleted. gorm's queries for the snapshot struct leave out such rows
	// unless they are Unscoped.
	DeletedAt tracker.DeletedAt `gorm:"column:deleted_at" json:"deleted_at,omitzero"`
	// DeletedJobID is the job that has deleted the object. Nil means that the remote no longer had it.
	DeletedJobID *int64 `gorm:"column:deleted_job_id" json:"deleted_job_id,omitempty"`

	seen *host.Seen // of a row from ParseSeen
}

// SnapshotStatus returns s. Repositories use it to get at the SyncStatus that a snapshot struct
// embeds.
func (s *SyncStatus) SnapshotStatus() *SyncStatus { return s }

// MarkPending sets one of the pending states, for a job. It changes the struct only, not the
// table.
func (s *SyncStatus) MarkPending(state SyncState, job int64) {
	s.State, s.SyncError, s.SyncJobID = state, "", &job
}

// MarkSynced sets the state of a row that equals the remote object at the given time. It changes the
// struct only.
func (s *SyncStatus) MarkSynced(at time.Time) {
	s.State, s.SyncError, s.LastSyncedAt, s.MissingSince, s.MissingRuns = StateSynced, "", Timestamp{at}, Timestamp{}, 0
}

// MarkFailed sets the state of a row whose last change failed. It changes the struct only.
func (s *SyncStatus) MarkFailed(why string) { s.State, s.SyncError = StateFailed, why }

// MarkConflict sets the state of a row whose last change ended with a conflict. It changes the
// struct only.
func (s *SyncStatus) MarkConflict(why string) { s.State, s.SyncError = StateConflict, why }

// IsPending reports whether a job that changes the row is open.
func (s *SyncStatus) IsPending() bool { return s.State.Pending() }

// IsSynced reports whether the row equals the remote object as it was last read.
func (s *SyncStatus) IsSynced() bool { return s.State == StateSynced }

// HasFailed reports whether the last change failed or ended with a conflict.
func (s *SyncStatus) HasFailed() bool { return s.State == StateFailed || s.State == StateConflict }

// Timestamp is a time that is stored as whole microseconds since 1970 UTC. The stored value is
// the same in every database and does not depend on the session's time zone. The zero value is
// stored as NULL.
type Timestamp struct{ time.Time }

// Value returns the microseconds, or nil for the zero value.
func (t Timestamp) Value() (driver.Value, error) {
	if t.IsZero() {
		return nil, nil //nolint:nilnil // NULL
	}
	return t.UnixMicro(), nil
}

// Scan reads microseconds or NULL.
func (t *Timestamp) Scan(value any) error {
	var micros int64
	switch value := value.(type) {
	case nil:
	case int64:
		micros = value
	case []byte:
		n, err := strconv.ParseInt(string(value), 10, 64)
		if err != nil {
			return fmt.Errorf("scan a Timestamp: %q is not a number of microseconds", value)
		}
		micros = n
	default:
		return fmt.Errorf("scan a Timestamp: the column has type %T; store whole microseconds in a bigint", value)
	}
	*t = Timestamp{}
	if micros != 0 {
		t.Time = time.UnixMicro(micros).UTC()
	}
	return nil
}

// GormDataType returns the type of the column, for tables that gorm creates.
func (Timestamp) GormDataType() string { return "bigint" }

// MarshalJSON returns the time in RFC 3339, or null for the zero value.
func (t Timestamp) MarshalJSON() ([]byte, error) {
	if t.IsZero() {
		return []byte("null"), nil
	}
	return json.Marshal(t.Time)
}
