// Package fault says what kind of failure an error is. A client of an external API
// returns an [Error] with a [Class], and the engine decides by the class what becomes
// of the job: it is retried, it fails at once, or all jobs of its service and instance
// wait. The package imports the standard library only.
package fault

import (
	"context"
	"errors"
	"net"
	"time"
)

// Class says what kind of failure an error is.
type Class string

// The classes that clients and handlers return. An error without a class is treated as
// Transient.
const (
	ClassConfig         Class = "config"          // wrong settings or input: not retried
	ClassPermanent      Class = "permanent"       // refused for good: not retried
	ClassCredentials    Class = "credentials"     // credentials refused: the scope is parked, no attempt is consumed
	ClassRateLimited    Class = "rate_limited"    // over a limit: the scope is parked, no attempt is consumed
	ClassTransient      Class = "transient"       // may pass: retried after a backoff
	ClassTimeout        Class = "timeout"         // the job's own time ran out: retried
	ClassConflict       Class = "conflict"        // somebody else changed the object: ends as conflict, not retried
	ClassGone           Class = "gone"            // the object no longer exists: not retried
	ClassAlreadyExists  Class = "already_exists"  // an object of that name exists: not retried
	ClassUnknownOutcome Class = "unknown_outcome" // a write may or may not have happened: retried, and the job reads first
	ClassUnclassified   Class = "error"           // none: what ClassOf says of an error without a class; retried
)

// The classes that the engine itself gives to endings.
const (
	ClassPanic       Class = "panic"       // the handler panicked: retried
	ClassExpired     Class = "expired"     // not finished within Config.Expiry: ends as failed
	ClassWorkerDied  Class = "worker_died" // the process died while it ran the job: retried
	ClassUndecodable Class = "undecodable" // the arguments do not open or decode: not retried
	ClassStopped     Class = "stopped"     // the process stopped: run again, no attempt is consumed
	ClassCancelled   Class = "cancelled"   // a person cancelled the job: ends as cancelled
	ClassHeld        Class = "held"        // a sync would delete too much: ends as conflict, and waits for a person
)

// Error gives an error its class. Its fields are not changed after it is returned.
type Error struct {
	// Class is the kind of failure; "" counts as no class.
	Class Class
	// Hint tells the person who reads the error what to do; "" is none.
	Hint string
	// RetryAfter is how long the remote asks to wait; 0 when it says nothing.
	RetryAfter time.Duration
	// Err is the cause; nil is fine, the class is the text then.
	Err error
}

// Error is the cause's text and the hint.
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

// WithClass gives err a class; nil stays nil.
func WithClass(class Class, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Class: class, Err: err}
}

// ClassOf is the class of an error: that of the outermost Error in its chain that has
// one; else Timeout for a deadline that passed, Transient for a failure of the network,
// and Unclassified. The class of nil is "".
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

// Outermost is the first Error with a class in the tree of err, in the order of errors.As,
// or nil. A hint around a classified error is passed over.
func Outermost(err error) *Error {
	if e, ok := err.(*Error); ok && e != nil && e.Class != "" { //nolint:errorlint // the walk is done here
		return e
	}
	switch wrapper := err.(type) { //nolint:errorlint // the walk is done here
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
