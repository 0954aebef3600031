package tracker

import "github.com/nawasara/nawasync/internal/jobrow"

// Target identifies one object at a remote. The id alone is unique only within its service,
// type and instance.
type Target struct {
	Service  string `json:"service"`
	Type     string `json:"type"`
	Instance string `json:"instance"` // "" if the service has only one
	ID       string `json:"id"`
}

// Target returns the object that the job concerns.
func (j *Job) Target() Target {
	return Target{Service: j.Service, Type: j.Type, Instance: j.Instance, ID: j.TargetID}
}

// key returns the hash by which the jobs of the target are indexed.
func (t Target) key() int64 { return jobrow.TargetKey(t.Service, t.Type, t.Instance, t.ID) }
