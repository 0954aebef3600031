package tracker

// SyncState is where a snapshot row stands against the remote.
type SyncState string

// Pending reports whether a job is open that changes the row.
func (s SyncState) Pending() bool {
	return s == StatePendingCreate || s == StatePendingUpdate || s == StatePendingDelete
}

// The states of a snapshot row.
const (
	StateSynced        SyncState = "synced"         // as the remote last said
	StatePendingCreate SyncState = "pending_create" // a job is to make it there
	StatePendingUpdate SyncState = "pending_update" // a job is to change it there
	StatePendingDelete SyncState = "pending_delete" // a job is to delete it there
	StateFailed        SyncState = "failed"         // its last change failed; sync_error says why
	StateConflict      SyncState = "conflict"       // somebody else changed it there; a person decides
	StateMissing       SyncState = "missing"        // the last complete listing did not have it
)

// RefreshAction is the action of jobs that read one object anew.
const RefreshAction = "refresh"
