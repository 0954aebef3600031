package jobstore

import (
	"github.com/nawasara/nawasync/internal/jobrow"
	"github.com/nawasara/nawasync/internal/remotecall"
	"github.com/nawasara/nawasync/tracker"
)

// Job is a job with the columns that only the engine uses.
type Job struct {
	tracker.Job
	jobrow.Private

	Reserved *remotecall.Reserved // calls reserved when the job was claimed; not stored
	Probe    bool                 // the attempt shows whether the remote accepts the credentials again; not stored
}

func jobOf(r *jobrow.Row) *Job { return &Job{Job: tracker.JobOf(r), Private: r.Private} }

// Kind returns service/type/action.
func (j *Job) Kind() string { return j.Service + "/" + j.Type + "/" + j.Action }
