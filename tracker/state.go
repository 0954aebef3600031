package tracker

// SyncState says how a snapshot row compares with the remote object.
type SyncState string

// Pending reports whether an open job is to change the row's object.
func (s SyncState) Pending() bool {
	return s == StatePendingCreate || s == StatePendingUpdate || s == StatePendingDelete
}

// The states of a snapshot row.
const (
	StateSynced        SyncState = "synced"         // the row has the last known values of the remote
	StatePendingCreate SyncState = "pending_create" // a job is to create the object on the remote
	StatePendingUpdate SyncState = "pending_update" // a job is to update the object on the remote
	StatePendingDelete SyncState = "pending_delete" // a job is to delete the object on the remote
	StateFailed        SyncState = "failed"         // the last change failed; sync_error says why
	StateConflict      SyncState = "conflict"       // the object also changed on the remote; an operator decides
	StateMissing       SyncState = "missing"        // the last complete listing did not have the object
	StateDeleted       SyncState = "deleted"        // the object was deleted; the row is hidden, and kept for 30 days
)

// RefreshAction is the action of jobs that read one object from the remote again.
const RefreshAction = "refresh"

// ConfirmAction is the action of jobs that ask the remote for objects that were missing from
// listings, and mark the rows of those that are gone as deleted.
const ConfirmAction = "confirm"

// PlanAction is the action of jobs that find out what a sync would do. Their result is a nawasync.SyncResult.
const PlanAction = "plan_sync"

// FollowAction is the action of jobs that compare the scopes of a repository with mirror.Config.Scopes with the
// rows that stand for them.
const FollowAction = "follow_scopes"

// RetireAction is the action of jobs that hide the rows of a scope that is gone, and remove them 30 days later.
const RetireAction = "retire_scope"
