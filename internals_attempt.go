package nawasync

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/secret"
)

// hostAttempt is an attempt with the methods that a Run does not have; see host.Attempt.
type hostAttempt struct {
	*attempt

	engine *Engine
}

func (a hostAttempt) Redact(document []byte) []byte { return a.redactor().JSON(document) }

func (a hostAttempt) RedactText(text string) string { return a.redactor().Text(text) }

func (a hostAttempt) RetractWrite(ctx context.Context) { a.retractWrite(ctx) }

func (a hostAttempt) State(ctx context.Context, v any) (bool, error) {
	a.mu.Lock()
	sealed := a.state
	a.mu.Unlock()
	if sealed == nil && a.job.Epoch > 0 { // the first attempt saves the statement
		var err error
		if sealed, err = a.store.State(ctx, a.job.ID); err != nil {
			return false, host.DatabaseFailure(err)
		}
	}
	if len(sealed) == 0 {
		return false, nil
	}
	plain := sealed
	var err error
	if a.engine.config.Sealer != nil {
		if plain, err = secret.Open(a.engine.config.Sealer, a.stateBinding(), sealed); err != nil {
			return false, fmt.Errorf("open the state of job %d: %w", a.job.ID, err)
		}
	}
	if err := json.Unmarshal(plain, v); err != nil {
		return false, fmt.Errorf("decode the state of job %d into %T: %w", a.job.ID, v, err)
	}
	return true, nil
}

func (a hostAttempt) SetState(v any) error {
	sealed, err := a.sealState(v)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.state = sealed
	return nil
}

func (a hostAttempt) StoreState(ctx context.Context, v any) error {
	sealed, err := a.sealState(v)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	stored, err := a.store.SetState(ctx, a.job, sealed)
	if err != nil {
		return fmt.Errorf("store the state of job %d: %w", a.job.ID, host.DatabaseFailure(err))
	}
	if !stored {
		return ErrLeaseLost
	}
	a.state = sealed
	return nil
}

// sealState returns v as it is stored. It returns empty bytes, and not nil, for nil.
func (a hostAttempt) sealState(v any) ([]byte, error) {
	if v == nil {
		return []byte{}, nil
	}
	plain, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("marshal the state of job %d, a %T: %w", a.job.ID, v, err)
	}
	if len(plain) > host.MaxState {
		return nil, fmt.Errorf("store the state of job %d: %w: %T is %d bytes of JSON, over the limit of %d", a.job.ID, host.ErrStateTooLarge, v, len(plain), host.MaxState)
	}
	if a.engine.config.Sealer == nil {
		return plain, nil
	}
	return secret.Seal(a.engine.config.Sealer, a.stateBinding(), plain)
}

// stateBinding binds a state to its job. No kind has an action with a space, so a state cannot pass
// for arguments.
func (a hostAttempt) stateBinding() secret.Binding {
	binding := bindingOf(a.job)
	binding.Action = fmt.Sprintf("%s state %d", binding.Action, a.job.ID)
	return binding
}
