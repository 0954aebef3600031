package nawasync

import (
	"context"
	"errors"
	"net"
	"time"
)

// Class says what kind of failure an error is. It decides what the engine does.
type Class string

// The classes. An error without one is treated as ClassTransient, and shown as
// ClassError.
const (
	ClassConfig         Class = "config"          // wrong settings or input: not retried
	ClassPermanent      Class = "permanent"       // refused for good: not retried
	ClassCredentials    Class = "credentials"     // refused credentials: the scope is parked, nothing burned
	ClassRateLimited    Class = "rate_limited"    // over a limit: the scope is parked, nothing burned
	ClassTransient      Class = "transient"       // may pass: retried after a backoff
	ClassTimeout        Class = "timeout"         // the job's own time ran out: retried
	ClassConflict       Class = "conflict"        // the remote was changed by somebody else
	ClassGone           Class = "gone"            // the object is not there any more: not retried
	ClassAlreadyExists  Class = "already_exists"  // an object of that name is there: not retried
	ClassUnknownOutcome Class = "unknown_outcome" // a write may or may not have happened: retried, the job reads first
	ClassError          Class = "error"           // not classified: retried

	classPanic       Class = "panic"
	classExpired     Class = "expired"
	classWorkerDied  Class = "worker_died"
	classUndecodable Class = "undecodable"
	classStopped     Class = "stopped"
	classCancelled   Class = "cancelled"
)

// Error gives an error its class. Clients of a remote return it.
type Error struct {
	Class Class
	// Hint tells the person who reads the error what to do; "" is none.
	Hint string
	// RetryAfter is how long the remote asks to wait; 0 when it says nothing.
	RetryAfter time.Duration
	Err        error
}

// Error is the cause's text and the hint.
func (e *Error) Error() string {
	text := string(e.Class)
	if e.Err != nil {
		text = e.Err.Error()
	}
	if e.Hint != "" {
		text += " (" + e.Hint + ")"
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// WithClass gives err a class; nil stays nil.
func WithClass(class Class, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Class: class, Err: err}
}

// ClassOf is the class of an error: that of the outermost Error in its chain, or
// what can be seen of timeouts and network failures, or ClassError.
func ClassOf(err error) Class {
	var classified *Error
	if errors.As(err, &classified) && classified.Class != "" {
		return classified.Class
	}
	var network net.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return ClassTimeout
	case errors.As(err, &network):
		return ClassTransient
	}
	return ClassError
}
