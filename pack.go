package nawasync

import (
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/secret"
)

// packArguments puts the arguments into the row: masked for people, and sealed for the
// worker where there is something to hide or a Sealer.
func (e *Engine) packArguments(job *jobstore.Job, args Args, maskKeys []string) error {
	plain, _, err := e.secrets.Reveal(args)
	if err != nil {
		return fmt.Errorf("%w: the arguments of %T do not marshal: %w", ErrInvalid, args, err)
	}
	if len(plain) > MaxArguments {
		return fmt.Errorf("%w: the arguments of %T are %d bytes of JSON, over the limit of %d; store large data elsewhere and pass its name", ErrInvalid, args,
			len(plain), MaxArguments)
	}
	if err := validateJSON(plain); err != nil {
		return fmt.Errorf("%w: the arguments of %T %w", ErrInvalid, args, err)
	}
	shown := plain
	if e.secrets.MayHold(reflect.TypeOf(args)) {
		if shown, err = json.Marshal(args); err != nil { // Secrets are masked by their type here
			return fmt.Errorf("%w: the arguments of %T do not marshal: %w", ErrInvalid, args, err)
		}
	}
	job.Payload = Mask(shown, maskKeys...)
	if e.config.Sealer != nil {
		job.Sealed, err = secret.Seal(e.config.Sealer, bindingOf(job), plain)
		return err
	}
	// Without a Sealer the shown payload must be the arguments.
	same, err := secret.SameJSON(job.Payload, plain)
	if err != nil {
		return err
	}
	if !same {
		return fmt.Errorf("dispatch %s/%s/%s: %w", job.Service, job.Type, job.Action, ErrNoSealer)
	}
	job.Payload = plain
	return nil
}

// MaxArguments is how large a job's arguments may be as JSON, in bytes.
const MaxArguments = 1 << 20

// bindingOf is what a job's sealed arguments belong to.
func bindingOf(j *jobstore.Job) secret.Binding {
	return secret.Binding{Service: j.Service, Type: j.Type, Action: j.Action, Instance: j.Instance, TargetID: j.TargetID}
}

// openArguments returns a job's arguments in the clear: opened where they were sealed.
func (e *Engine) openArguments(job *jobstore.Job) ([]byte, error) {
	if len(job.Sealed) == 0 {
		return job.Payload, nil
	}
	return secret.Open(e.config.Sealer, bindingOf(job), job.Sealed)
}
