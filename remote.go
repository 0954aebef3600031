package nawasync

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"net"
	"time"
)

// Remote is what an external API looks like to a repository: the one thing the
// author of a module writes. T is the snapshot's struct; of a scope or key only the
// fields with these tags are set. Errors carry a Class, above all ClassGone,
// ClassAlreadyExists and ClassUnknownOutcome: a write whose answer got lost is read
// before it is repeated. It must be safe for concurrent use.
type Remote[T any] interface {
	// List yields the objects of a scope, page by page. An error ends the listing,
	// and nothing is deleted for it. detail says how much to fetch: "" or one of
	// RepositoryConfig.Details.
	List(ctx context.Context, scope T, detail string) iter.Seq2[Page[T], error]
	// Get reads one object, by its key, or by its natural fields where that is empty.
	// What is not there is an error of ClassGone.
	Get(ctx context.Context, key T) (Object[T], error)
	// Create makes an object and returns it as it is there now, with its key.
	Create(ctx context.Context, want T) (Object[T], error)
	// Update changes the touched fields. now was read a moment ago; want is the same
	// with the touched fields and secrets as they are to be. It returns the object as
	// it is then; one without a Version is read back. Call BeforeWrite before a second
	// write.
	Update(ctx context.Context, now Object[T], want T, touched Diff) (Object[T], error)
	// Delete deletes it. What is gone already is an error of ClassGone, and a success.
	Delete(ctx context.Context, key T) error
}

// Object is one object of a remote.
type Object[T any] struct {
	Value T
	// Raw is the whole document, for APIs that want it back whole. Nil is fine.
	Raw json.RawMessage
	// Version is the remote's precondition (an ETag), "" where it has none. With one,
	// Update must fail with ClassConflict when the object is another by then.
	Version string
}

// Page is a part of a listing.
type Page[T any] struct {
	Items []T
	// Fields are the columns that were fetched, where it was not all of them: the
	// others are left as they are. Nil is all.
	Fields []string
	// Proof of the listing; that of the last page counts, and every total must be the
	// same.
	Proof Proof
	// Skipped says which rows the listing cannot cover, of a suspended account for
	// instance: their absence means nothing. Nil is none; those of all pages count.
	Skipped func(T) bool
	// Asked is when the page was requested, for a Remote that requests pages before
	// they are asked for. Zero is when the one before it was done with.
	Asked time.Time
}

// Proof says how sure it is that a listing was all there is.
type Proof struct {
	Level ProofLevel
	// Total is what the server counted, with Complete; 0 is that one whole answer with
	// a success envelope was the listing.
	Total int64
}

// ProofLevel is how sure a listing is.
type ProofLevel int

// The levels. What is absent from a listing is deleted after some complete runs; from
// an exhausted one only what Get answers gone; from an unproven one never.
const (
	Unproven ProofLevel = iota
	Exhausted
	Complete
)

func (l ProofLevel) String() string {
	return [...]string{"unproven", "exhausted", "complete"}[min(max(l, 0), 2)]
}

type beforeWriteKey struct{}

// BeforeWrite checks that the job still has its lease; a Remote calls it before the
// second and later writes of one method. Outside of a job it returns nil.
func BeforeWrite(ctx context.Context) error {
	if begin, ok := ctx.Value(beforeWriteKey{}).(func(context.Context) error); ok {
		return begin(ctx)
	}
	return nil
}

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
	classHeld        Class = "held"
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
