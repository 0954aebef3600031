package tracker

// Status says how far a job is. A job in a terminal status never changes again, except that
// its arguments and texts may be removed and that an operator may delete and restore it.
type Status string

// The statuses of a job.
const (
	StatusQueued    Status = "queued"    // waits for its due time, its lane, its scope or a worker
	StatusRunning   Status = "running"   // claimed by one worker, under one epoch
	StatusSuccess   Status = "success"   // done
	StatusFailed    Status = "failed"    // out of attempts, failed permanently, or expired
	StatusConflict  Status = "conflict"  // the object also changed on the remote and was not overwritten, or the sync is held
	StatusSkipped   Status = "skipped"   // the job had nothing to do
	StatusCancelled Status = "cancelled" // an operator cancelled the job
)

// Statuses returns all statuses: the open ones first, then the terminal ones.
func Statuses() []Status {
	return []Status{StatusQueued, StatusRunning, StatusSuccess, StatusFailed, StatusConflict, StatusSkipped, StatusCancelled}
}

// Terminal reports whether a job in this status has ended.
func (s Status) Terminal() bool {
	switch s {
	case StatusSuccess, StatusFailed, StatusConflict, StatusSkipped, StatusCancelled:
		return true
	case StatusQueued, StatusRunning:
	}
	return false
}
