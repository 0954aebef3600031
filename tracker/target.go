package tracker

import "github.com/nawasara/nawasync/internal/jobrow"

// Target names one object at a remote, with all that its id needs to be one.
type Target struct {
	Service  string `json:"service"`
	Type     string `json:"type"`
	Instance string `json:"instance"` // "" where the service has only one
	ID       string `json:"id"`
}

// Target is the object of the job.
func (j *Job) Target() Target {
	return Target{Service: j.Service, Type: j.Type, Instance: j.Instance, ID: j.TargetID}
}

// key is the hash under which the jobs of the target are found.
func (t Target) key() int64 { return jobrow.TargetKey(t.Service, t.Type, t.Instance, t.ID) }
