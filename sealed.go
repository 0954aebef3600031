package nawasync

import (
	"context"
	"errors"
	"time"

	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/secret"
)

// bindingOf returns the kind, the target and the row that a job's sealed arguments are bound to. The payload
// of a tracked task is bound to no row, because asynq decides when the task gets one.
func bindingOf(j *jobstore.Job) secret.Binding {
	b := secret.Binding{Service: j.Service, Type: j.Type, Action: j.Action, Instance: j.Instance, TargetID: j.TargetID}
	if !j.Tracked() {
		b.Created = j.CreatedAt.UnixMicro()
	}
	return b
}

// openArguments returns a job's arguments. It opens them if they are sealed.
func (e *Engine) openArguments(job *jobstore.Job) ([]byte, error) {
	if len(job.Sealed) == 0 {
		return job.Payload, nil
	}
	plain, err := secret.Open(e.config.Sealer, bindingOf(job), job.Sealed)
	if err != nil && job.RetryOf != 0 && e.config.Sealer != nil {
		if copied, ok := e.openCopied(job); ok {
			return copied, nil
		}
	}
	return plain, err
}

const (
	// maxRetries is how many retries of retries openCopied follows.
	maxRetries = 100
	// openTimeout bounds how long it reads them.
	openTimeout = 5 * time.Second
)

// openCopied opens the arguments of a retry that a process without the Sealer has copied from the row of the
// original.
func (e *Engine) openCopied(job *jobstore.Job) (plain []byte, ok bool) {
	ctx, cancel := context.WithTimeout(context.Background(), openTimeout)
	defer cancel()
	binding, id := bindingOf(job), job.RetryOf
	for range maxRetries {
		original, err := e.store.Get(ctx, id)
		if err != nil {
			return nil, false
		}
		binding.Created = original.CreatedAt.UnixMicro()
		if plain, err = secret.Open(e.config.Sealer, binding, job.Sealed); err == nil {
			return plain, true
		}
		if id = original.RetryOf; id == 0 || !errors.Is(err, secret.ErrUnseal) {
			return nil, false
		}
	}
	return nil, false
}

// sealAgain binds the sealed arguments of a retry to its own row. A process that cannot open them leaves the
// copy to the worker.
func (e *Engine) sealAgain(old, job *jobstore.Job) error {
	job.Sealed = old.Sealed
	if len(old.Sealed) == 0 || e.config.Sealer == nil || job.Tracked() {
		return nil
	}
	plain, err := e.openArguments(old)
	if err != nil {
		return nil //nolint:nilerr // the key may be in other processes only
	}
	job.Sealed, err = secret.Seal(e.config.Sealer, bindingOf(job), plain)
	return err
}
