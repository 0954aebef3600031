package nawasync

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/tracker"
)

// A handler chooses an outcome by returning one of these errors from Execute. They may be
// wrapped.

type skipError struct{ reason string }

func (e *skipError) Error() string { return e.reason }

// Skip returns an error that ends the job as skipped, because there was nothing to do. The
// reason is stored as the job's error text.
func Skip(reason string) error { return &skipError{reason} }

// ConflictDetail shows an operator the versions of an object that differ. Each version is
// marshalled as JSON and masked. A nil version is left out.
type ConflictDetail struct {
	Base    any    `json:"base,omitempty"`    // the version that the user saw
	Desired any    `json:"desired,omitempty"` // the version that the user wants
	Remote  any    `json:"remote,omitempty"`  // the version that the remote has now
	Author  string `json:"author,omitempty"`  // who changed the object on the remote, if the remote tells
	// Answers is for package mirror. It holds what an answer to the conflict needs.
	Answers any `json:"answers,omitempty"`
}

type conflictError struct {
	reason string
	detail ConflictDetail
}

func (e *conflictError) Error() string { return e.reason }

// Conflict returns an error that ends the job as conflict. A handler returns it when the object
// on the remote has changed since the user saw it, and the handler has not overwritten it.
func Conflict(reason string, detail ConflictDetail) error {
	return &conflictError{reason: reason, detail: detail}
}

// Permanent wraps err so that the job ends as failed without a retry. Permanent(nil) is nil.
func Permanent(err error) error { return fault.WithClass(fault.ClassPermanent, err) }

type retryAfterError struct {
	after time.Duration
	err   error
}

func (e *retryAfterError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("the handler asked for a retry after %s", e.after)
	}
	return e.err.Error()
}

func (e *retryAfterError) Unwrap() error { return e.err }

// RetryAfter returns an error that requeues the job for d without consuming an attempt. err is
// the reason and may be nil. A negative d counts as 0.
func RetryAfter(d time.Duration, err error) error { return &retryAfterError{max(0, d), err} }

// outcomeOf derives the outcome of an attempt from the error of Execute alone. For real attempts,
// decideOutcome also considers why the job's context ended.
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
	case fault.ClassCredentials, fault.ClassUnavailable, fault.ClassRateLimited:
		return tracker.OutcomeParked
	case fault.ClassConflict, fault.ClassHeld:
		return tracker.OutcomeConflict
	case fault.ClassConfig, fault.ClassPermanent, fault.ClassForbidden, fault.ClassGone, fault.ClassAlreadyExists:
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
		text, _ = json.Marshal(map[string]string{"error": "the conflict's detail does not marshal: " + err.Error()})
	}
	if len(text) > tracker.MaxResult { // truncated JSON would be invalid
		text, _ = json.Marshal(map[string]any{"truncated": true, "bytes": len(text), "limit": tracker.MaxResult})
	}
	return text
}
