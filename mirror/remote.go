package mirror

import (
	"context"
	"encoding/json"
	"iter"
	"time"
)

// Remote is what an external API looks like to a repository: the one thing the
// author of a module writes. T is the snapshot's struct; of a scope only the scope fields
// are set, of a key the scope and key fields. Errors carry a Class, above all fault.ClassGone,
// fault.ClassAlreadyExists and fault.ClassUnknownOutcome: a write whose answer got lost is read
// before it is repeated. It must be safe for concurrent use.
type Remote[T any] interface {
	// List yields the objects of a scope, page by page. An error ends the listing,
	// and nothing is deleted for it. detail says how much to fetch: "" or one of
	// Config.Details.
	List(ctx context.Context, scope T, detail string) iter.Seq2[Page[T], error]
	// Get reads one object, by its key, or by its natural fields where that is empty.
	// What is not there is an error of fault.ClassGone.
	Get(ctx context.Context, key T) (Object[T], error)
	// Create makes an object and returns it as it is there now, with its key.
	Create(ctx context.Context, want T) (Object[T], error)
	// Update changes the touched fields. now was read a moment ago; want is the same
	// with the touched fields and secrets as they are to be. It returns the object as
	// it is then; an object that comes without a Version is read again. Call BeginWrite before a second
	// write.
	Update(ctx context.Context, now Object[T], want T, touched Diff) (Object[T], error)
	// Delete deletes it. Return fault.ClassGone where it is not there: the job takes
	// that for a success.
	Delete(ctx context.Context, key T) error
}

// Object is one object of a remote.
type Object[T any] struct {
	Value T
	// Raw is the whole document, for APIs that want it back whole. Nil is fine.
	Raw json.RawMessage
	// Version is the remote's precondition (an ETag), "" where it has none. With one,
	// Update must fail with fault.ClassConflict when the object is another by then.
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
	// they are asked for. Zero: when the repository asked for it.
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

// String is unproven, exhausted or complete.
func (l ProofLevel) String() string {
	return [...]string{"unproven", "exhausted", "complete"}[min(max(l, 0), 2)]
}

// The levels.
const (
	ProofNone      ProofLevel = iota // nobody knows whether it was all: absent rows stay
	ProofExhausted                   // paged to the end, without a total: an absent row is deleted once Get says that it is gone
	ProofComplete                    // with the server's total, or one whole answer: absent rows are deleted after Config.MissingRuns such listings
)

type beginWriteKey struct{}

// BeginWrite checks that the job still has its lease; a Remote calls it before the
// second and later writes of one method. It returns nawasync.ErrLeaseLost when the job may
// run elsewhere: then return it, and write nothing. Outside of a job it returns nil.
func BeginWrite(ctx context.Context) error {
	if begin, ok := ctx.Value(beginWriteKey{}).(func(context.Context) error); ok {
		return begin(ctx)
	}
	return nil
}
