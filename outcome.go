package nawasync

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/tracker"
)

// Outcomes are returned from Execute as errors. They pass through wrapping.

type skipError struct{ reason string }

func (e *skipError) Error() string { return e.reason }

// Skip ends the job as skipped: there was nothing to do, for the given reason.
func Skip(reason string) error { return &skipError{reason} }

// ConflictDetail shows a person what stood against what. Its parts are marshalled
// and masked; nil parts are left out.
type ConflictDetail struct {
	Base    any `json:"base,omitempty"`    // as the user saw it
	Desired any `json:"desired,omitempty"` // as the user wants it
	Remote  any `json:"remote,omitempty"`  // as it is there now
}

type conflictError struct {
	reason string
	detail ConflictDetail
}

func (e *conflictError) Error() string { return e.reason }

// Conflict ends the job as conflict: the remote was changed by somebody else, and
// nothing was overwritten.
func Conflict(reason string, detail ConflictDetail) error {
	return &conflictError{reason: reason, detail: detail}
}

// Permanent ends the job as failed at once: no retry can help. Nil stays nil.
func Permanent(err error) error { return fault.WithClass(fault.ClassPermanent, err) }

type retryAfterError struct {
	after time.Duration
	err   error
}

func (e *retryAfterError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("asked to run again after %s", e.after)
	}
	return e.err.Error()
}

func (e *retryAfterError) Unwrap() error { return e.err }

// RetryAfter puts the job back for d, without consuming an attempt; err says why
// and may be nil. A negative d is 0.
func RetryAfter(d time.Duration, err error) error { return &retryAfterError{max(0, d), err} }

// outcomeOf is what an error of Execute means where nothing but the error decides: judge
// also looks at why the job's context has ended.
func outcomeOf(err error, lastAttempt bool) tracker.Outcome {
	var skip *skipError
	var conflict *conflictError
	var later *retryAfterError
	switch {
	case err == nil:
		return tracker.OutcomeSuccess
	case errors.As(err, &skip):
		return tracker.OutcomeSkipped
	case errors.As(err, &conflict):
		return tracker.OutcomeConflict
	case errors.Is(err, ErrLeaseLost):
		return tracker.OutcomeStopped
	case errors.As(err, &later):
		return tracker.OutcomeRetryAfter
	}
	switch fault.ClassOf(err) {
	case fault.ClassCredentials, fault.ClassRateLimited:
		return tracker.OutcomeParked
	case fault.ClassConflict, fault.ClassHeld:
		return tracker.OutcomeConflict
	case fault.ClassConfig, fault.ClassPermanent, fault.ClassGone, fault.ClassAlreadyExists:
		return tracker.OutcomeFailed
	}
	if lastAttempt {
		return tracker.OutcomeFailed
	}
	return tracker.OutcomeRetry
}

func (e *conflictError) json() json.RawMessage {
	text, err := json.Marshal(e.detail)
	if err != nil {
		text, _ = json.Marshal(map[string]string{"error": "the detail does not marshal: " + err.Error()})
	}
	if len(text) > tracker.MaxResult { // cut in the middle it would be no JSON
		text, _ = json.Marshal(map[string]any{"truncated": true, "bytes": len(text), "limit": tracker.MaxResult})
	}
	return text
}
