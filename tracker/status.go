package tracker

// Status is where a job stands. A terminal row never changes again, except to
// lose its arguments or its texts.
type Status string

// The statuses of a job.
const (
	Queued    Status = "queued"    // waiting: for its time, its lane, its scope or a worker
	Running   Status = "running"   // claimed by one worker, under one epoch
	Success   Status = "success"   // done
	Failed    Status = "failed"    // gave up: out of attempts, permanent, or expired
	Conflict  Status = "conflict"  // the remote was changed by somebody else; nothing was overwritten
	Skipped   Status = "skipped"   // the job found that there was nothing to do
	Cancelled Status = "cancelled" // a person called it off
)

// Statuses lists every status, in the order of a job's life.
func Statuses() []Status {
	return []Status{Queued, Running, Success, Failed, Conflict, Skipped, Cancelled}
}

// Terminal reports whether a job in this status has ended.
func (s Status) Terminal() bool {
	switch s {
	case Success, Failed, Conflict, Skipped, Cancelled:
		return true
	case Queued, Running:
	}
	return false
}
