// Package fault classifies errors. A client of an external API returns an [Error] with a
// [Class]. Depending on the class, the engine retries the job, fails it at once, or parks the
// limit scope so that all of its jobs wait. The package imports only the
// standard library.
package fault

import (
	"context"
	"errors"
	"net"
	"time"
)

// Class is a kind of failure.
type Class string

// The classes that clients and handlers return. An error without a class is retried like
// ClassTransient.
const (
	ClassConfig         Class = "config"          // wrong settings or input: not retried
	ClassPermanent      Class = "permanent"       // retrying cannot help: not retried
	ClassForbidden      Class = "forbidden"       // the credentials are valid and may not do this to the object or scope: not retried, proves nothing about the object
	ClassCredentials    Class = "credentials"     // the remote refused the credentials: the limit scope is parked until a probe succeeds, no attempt is consumed
	ClassUnavailable    Class = "unavailable"     // the remote cannot be reached, and nothing was sent: the limit scope is parked until a probe succeeds, no attempt is consumed
	ClassRateLimited    Class = "rate_limited"    // over a rate limit: the limit scope is parked, no attempt is consumed
	ClassTransient      Class = "transient"       // may succeed later: retried after a backoff
	ClassTimeout        Class = "timeout"         // the attempt exceeded its timeout: retried
	ClassConflict       Class = "conflict"        // the object also changed on the remote: ends as conflict, not retried
	ClassGone           Class = "gone"            // the object no longer exists: not retried
	ClassAlreadyExists  Class = "already_exists"  // an object with the same name already exists: not retried
	ClassUnknownOutcome Class = "unknown_outcome" // it is unknown whether a write happened: retried; the next attempt must read first
	ClassUnclassified   Class = "error"           // returned by ClassOf for an error without a class: retried
)

// The classes that the engine itself sets.
const (
	ClassPanic       Class = "panic"       // the handler panicked: retried
	ClassExpired     Class = "expired"     // the job did not finish within Config.Expiry: ends as failed
	ClassWorkerDied  Class = "worker_died" // the process died while it ran the job: retried
	ClassUndecodable Class = "undecodable" // the arguments cannot be decrypted or decoded: not retried
	ClassStopped     Class = "stopped"     // the process stopped: runs again, no attempt is consumed
	ClassDatabase    Class = "database"    // the engine's database was unreachable: runs again, no attempt is consumed
	ClassCancelled   Class = "cancelled"   // an operator cancelled the job: ends as cancelled
	ClassHeld        Class = "held"        // a sync would delete too many rows: ends as conflict and waits for an operator
)

// Error is an error with a class. Do not change its fields after returning it.
type Error struct {
	// Class is the kind of failure. "" means no class.
	Class Class
	// Hint tells the reader of the error what to do. It is optional.
	Hint string
	// RetryAfter is the delay that the remote requested. 0 means that it requested none.
	RetryAfter time.Duration
	// Err is the cause. If Err is nil, Error returns the class as the text.
	Err error
}

// Error returns the text of the cause, followed by the hint in parentheses.
func (e *Error) Error() string {
	if e == nil {
		return "<nil>"
	}
	text := string(e.Class)
	if e.Err != nil {
		text = e.Err.Error()
	}
	if e.Hint != "" {
		text += " (" + e.Hint + ")"
	}
	return text
}

// Unwrap returns the cause, or nil.
func (e *Error) Unwrap() error {
	if e == nil {
		return nil
	}
	return e.Err
}

// WithClass returns err wrapped with a class. It returns nil if err is nil.
func WithClass(class Class, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Class: class, Err: err}
}

// ClassOf returns the class of the outermost Error in err's tree that has one. Without such an
// Error it returns ClassTimeout for context.DeadlineExceeded, ClassTransient for a net.Error,
// and otherwise ClassUnclassified. The class of nil is "".
func ClassOf(err error) Class {
	if err == nil {
		return ""
	}
	if classified := Outermost(err); classified != nil {
		return classified.Class
	}
	var network net.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return ClassTimeout
	case errors.As(err, &network):
		return ClassTransient
	}
	return ClassUnclassified
}

// Outermost returns the first Error with a class in the tree of err, in the order of
// errors.As, or nil. It skips an Error without a class, such as one that only adds a hint.
func Outermost(err error) *Error {
	if e, ok := err.(*Error); ok && e != nil && e.Class != "" { //nolint:errorlint // this function walks the tree itself
		return e
	}
	switch wrapper := err.(type) { //nolint:errorlint // this function walks the tree itself
	case interface{ Unwrap() error }:
		return Outermost(wrapper.Unwrap())
	case interface{ Unwrap() []error }:
		for _, part := range wrapper.Unwrap() {
			if e := Outermost(part); e != nil {
				return e
			}
		}
	}
	return nil
}
