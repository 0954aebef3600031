package tracker

// Status is where a job stands. A terminal row never changes again, except to
// lose its arguments or its texts.
type Status string

// The statuses of a job.
const (
	StatusQueued    Status = "queued"    // waiting: for its time, its lane, its scope or a worker
	StatusRunning   Status = "running"   // claimed by one worker, under one epoch
	StatusSuccess   Status = "success"   // done
	StatusFailed    Status = "failed"    // gave up: out of attempts, permanent, or expired
	StatusConflict  Status = "conflict"  // the remote was changed by somebody else; nothing was overwritten
	StatusSkipped   Status = "skipped"   // the job found that there was nothing to do
	StatusCancelled Status = "cancelled" // a person called it off
)

// Statuses lists every status, in the order of a job's life.
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
