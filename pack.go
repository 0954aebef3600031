package nawasync

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/secret"
)

// packArguments puts the arguments into the row. With a Sealer, the row holds a masked copy
// for people to read and a sealed copy for the worker. Without one, the row holds the plain
// arguments, and arguments with secrets are an error (ErrNoSealer).
func (e *Engine) packArguments(job *jobstore.Job, args Args, maskKeys []string) error {
	plain, secrets, err := e.secrets.Reveal(args)
	if err != nil {
		return fmt.Errorf("%w: the arguments of type %T do not marshal: %w", ErrInvalid, args, err)
	}
	if len(plain) > MaxArguments {
		return fmt.Errorf("%w: the arguments of type %T are %d bytes of JSON, over the limit of %d; store large data elsewhere and pass a reference to it",
			ErrInvalid, args, len(plain), MaxArguments)
	}
	if err := validateJSON(plain); err != nil {
		return fmt.Errorf("%w: the arguments of type %T %w", ErrInvalid, args, err)
	}
	masked := plain
	if e.secrets.MayHold(reflect.TypeOf(args)) {
		if masked, err = json.Marshal(args); err != nil { // MarshalJSON of Secret masks its value
			return fmt.Errorf("%w: the arguments of type %T do not marshal: %w", ErrInvalid, args, err)
		}
	}
	job.Payload = e.maskPayload(plain, Mask(masked, maskKeys...), secrets, maskKeys)
	if e.config.Sealer != nil {
		job.Sealed, err = secret.Seal(e.config.Sealer, bindingOf(job), plain)
		return err
	}
	// Without a Sealer, masking must not have changed anything.
	same, err := secret.SameJSON(job.Payload, plain)
	if err != nil {
		return err
	}
	if !same || len(secrets) > 0 {
		return ErrNoSealer
	}
	job.Payload = plain
	return nil
}

// maskPayload removes the values of the secrets from the masked form of the arguments: the same text may be in
// another field, and a MarshalJSON may show a Secret.
func (e *Engine) maskPayload(plain, masked []byte, secrets, maskKeys []string) []byte {
	if len(secrets) > 0 || bytes.Contains(masked, []byte(secret.Masked)) {
		return secret.MaskShort(e.newRedactor(plain, masked, secrets, maskKeys).JSON(masked), secrets)
	}
	if len(e.ownSecrets) == 0 || bytes.Equal(e.redactor.JSON(masked), masked) {
		return masked
	}
	return e.newRedactor(nil, nil, nil, maskKeys).JSON(masked)
}

// MaxArguments is the largest size of a job's arguments as JSON, in bytes.
const MaxArguments = 1 << 20
