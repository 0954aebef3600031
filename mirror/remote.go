package mirror

import (
	"context"
	"encoding/json"
	"iter"
	"time"
)

// Remote is the adapter of an external API, which you implement. T is the snapshot struct. In
// a scope only the scope fields are set, in a key the scope, key and natural fields.
//
// Give errors a class with fault.WithClass, above all fault.ClassGone,
// fault.ClassAlreadyExists and, when the response to a write was lost,
// fault.ClassUnknownOutcome: the next attempt reads the object before it writes again.
//
// A Remote must be safe for concurrent use.
type Remote[T any] interface {
	// List yields the objects of a scope, page by page. An error ends the listing, and the
	// sync then deletes nothing. detail is "" or one of Config.Details; it selects how much
	// of each object to fetch.
	List(ctx context.Context, scope T, detail string) iter.Seq2[Page[T], error]
	// Get reads one object by its key or, if the key is empty, by its natural fields. If
	// the object does not exist, return an error of fault.ClassGone.
	Get(ctx context.Context, key T) (Object[T], error)
	// Create creates an object and returns it as the remote stored it, with its key. If the
	// object exists already, return an error of fault.ClassAlreadyExists.
	Create(ctx context.Context, want T) (Object[T], error)
	// Update changes the touched fields. current was read immediately before; want is a copy
	// of it with the new values of the touched fields and secrets. Update returns the object
	// as the remote stored it. If that object has no Version, the repository calls Get to
	// verify the update. Call BeginWrite before a second write.
	Update(ctx context.Context, current Object[T], want T, touched FieldDiff) (Object[T], error)
	// Delete deletes the object. If the object does not exist, return an error of
	// fault.ClassGone: the job then succeeds.
	Delete(ctx context.Context, key T) error
}

// Object is one object of a remote.
type Object[T any] struct {
	Value T
	// Raw is the whole document, for an API whose update needs all of it. Optional.
	Raw json.RawMessage
	// Version is the remote's version of the object, for example an ETag; "" if the remote has
	// none. If it is set, Update must fail with fault.ClassConflict when the object has a
	// newer version.
	Version string
}

// Page is a part of a listing.
type Page[T any] struct {
	Items []T
	// Fields lists the columns that were fetched; the sync leaves the others unchanged. Nil
	// means all columns.
	Fields []string
	// Proof says how complete the listing is. The last page's proof counts. All
	// totals that are not 0 must be equal.
	Proof Proof
	// Skipped reports whether a row is outside the listing, for example because its account
	// is suspended. The sync never counts such a row as missing. A row is outside the listing
	// if any page's Skipped reports it. Nil reports none.
	Skipped func(T) bool
	// RequestedAt is the time at which the page was requested. A Remote that fetches pages in
	// advance must set it. Zero means the time at which the repository asked for the page.
	RequestedAt time.Time
}

// Proof says how certain it is that a listing was complete.
type Proof struct {
	Level ProofLevel
	// Total is the number of objects in the whole listing, as the server reports it. 0 means
	// no total; ProofComplete allows 0 if one successful response contained all objects.
	Total int64
}

// ProofLevel says how certain it is that a listing was complete.
type ProofLevel int

// String returns unproven, exhausted or complete.
func (l ProofLevel) String() string {
	return [...]string{"unproven", "exhausted", "complete"}[min(max(l, 0), 2)]
}

// The levels of proof.
const (
	// ProofNone is a listing that may be incomplete. Missing rows stay.
	ProofNone ProofLevel = iota
	// ProofExhausted is a listing that was paged to its end, without a total. For each missing
	// row the sync calls Get; only rows that Get reports as fault.ClassGone count as missing.
	// They are deleted after Config.MissingRuns such listings.
	ProofExhausted
	// ProofComplete is a listing with the server's total, or one successful response with all
	// objects. Missing rows are deleted after Config.MissingRuns such listings.
	ProofComplete
)

type beginWriteKey struct{}

// BeginWrite checks that the job still has its lease. A Remote calls it before the second and
// each later write of one method. It returns nawasync.ErrLeaseLost if another process may run
// the job by now: return that error and write nothing. Outside of a job it returns nil.
func BeginWrite(ctx context.Context) error {
	if begin, ok := ctx.Value(beginWriteKey{}).(func(context.Context) error); ok {
		return begin(ctx)
	}
	return nil
}
