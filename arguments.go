package nawasync

import (
	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/secret"
)

// binding is what a job's sealed arguments belong to.
func binding(j *jobstore.Job) secret.Binding {
	return secret.Binding{Service: j.Service, Type: j.Type, Action: j.Action, Instance: j.Instance, TargetID: j.TargetID}
}

// arguments returns a job's arguments in the clear: opened where they were sealed.
func (e *Engine) arguments(job *jobstore.Job) ([]byte, error) {
	if len(job.Sealed) == 0 {
		return job.Payload, nil
	}
	return secret.Open(e.config.Sealer, binding(job), job.Sealed)
}
