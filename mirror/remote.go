package mirror

import (
	"context"
	"encoding/json"
	"iter"
	"time"
)

// Lister is the adapter of an external API, which you implement: the least that a repository needs. T is
// the snapshot struct. In a scope only the scope fields are set, in a key the scope, key and natural
// fields.
//
// The adapter implements Reader, Creator, Updater and Deleter as well, if the API can do it. What it
// cannot do has no handler, the methods of the repository return an error that wraps
// errors.ErrUnsupported, and the pages do not offer it. Further optional interfaces are
// ResumableRemote, ScopeRemote, PollingRemote and ChangesRemote.
//
// Give errors a class with fault.WithClass, above all fault.ClassGone,
// fault.ClassAlreadyExists and, when the response to a write was lost,
// fault.ClassUnknownOutcome: the next attempt reads the object before it writes again.
//
// A Lister must be safe for concurrent use, as must the other interfaces.
type Lister[T any] interface {
	// List yields the objects of a scope, page by page. An error ends the listing, and the
	// sync then deletes nothing; see ResumableRemote for a listing that meets a rate limit. Objects
	// whose scope fields are set must be of this scope: the sync refuses others. detail is "" or one of
	// Config.Details; it selects how much of each object to fetch.
	List(ctx context.Context, scope T, detail string) iter.Seq2[Page[T], error]
}

// Reader reads single objects. Without it, objects can neither be refreshed nor changed, and an operator
// decides on each deletion that a sync finds.
type Reader[T any] interface {
	// Get reads one object by its key or, if the key is empty, by its natural fields. If
	// the object does not exist, return an error of fault.ClassGone. If only some objects can be read,
	// return errors.ErrUnsupported for the others.
	Get(ctx context.Context, key T) (Object[T], error)
}

// Creator creates objects. It needs a Reader.
type Creator[T any] interface {
	// Create creates an object and returns it as the remote stored it, with its key. If the
	// object exists already, return an error of fault.ClassAlreadyExists. If the returned object has no
	// Version, the repository calls Get to verify the creation.
	Create(ctx context.Context, want T) (Object[T], error)
}

// Updater changes objects. It needs a Reader.
type Updater[T any] interface {
	// Update changes the touched fields. current was read immediately before; want is a copy
	// of it with the new values of the touched fields and secrets. Update returns the object
	// as the remote answered it; if the answer has no object, return want. A value that differs from
	// the one in want, and from the earlier one, counts as the remote's form of it and is accepted. If the
	// returned object has no Version, the repository calls Get to verify the update. Call BeginWrite
	// before a second write.
	Update(ctx context.Context, current Object[T], want T, touched FieldDiff) (Object[T], error)
}

// Deleter deletes objects. It needs a Reader. Without it, only the row of an object that was never
// created can be deleted.
type Deleter[T any] interface {
	// Delete deletes the object. If the object does not exist, return an error of
	// fault.ClassGone. The repository calls Get until that reports the object as gone.
	Delete(ctx context.Context, key T) error
}

// Remote is the adapter of an API that can do everything. See Lister for one that cannot.
type Remote[T any] interface {
	Lister[T]
	Reader[T]
	Creator[T]
	Updater[T]
	Deleter[T]
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
	// Author is who changed the object last, as the remote calls them; "" if it does not tell. Conflicts
	// show it. If it equals Config.Author, a value in the object that the repository did not ask for is
	// the remote's form of the value that it wrote.
	Author string
}

// Page is a part of a listing.
type Page[T any] struct {
	Items []T
	// Fields lists the columns that were fetched; the sync leaves the others unchanged. Nil
	// means all columns.
	Fields []string
	// Proof says how complete the listing is. The last page's proof counts. If the pages have
	// different totals, the listing counts as exhausted at most.
	Proof Proof
	// Cursor is where the listing goes on after this page, for example the token of the next page or
	// the last key: what ResumableRemote.ListFrom needs. It is stored sealed. "" means that the
	// listing cannot go on after this page. A Remote without ListFrom must leave it empty.
	Cursor string
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
	// no total.
	Total int64
}

// ProofLevel says how certain it is that a listing was complete.
type ProofLevel int

// String returns unproven, exhausted, counted or whole.
func (l ProofLevel) String() string {
	return [...]string{"unproven", "exhausted", "counted", "whole"}[min(max(l, 0), 3)]
}

// The levels of proof. With each of them but ProofNone, rows that are not in the listing are
// marked as missing. After Config.MissingRuns such listings, a job of its own calls Get for
// each of them, and deletes those that Get reports as fault.ClassGone.
const (
	// ProofNone is a listing that may be incomplete. Missing rows stay.
	ProofNone ProofLevel = iota
	// ProofExhausted is a listing that was paged to its end, without a total. A listing that
	// does not keep what ProofCounted or ProofWhole promises counts as exhausted at most.
	ProofExhausted
	// ProofCounted is a listing with the server's own total, which must be equal to the number
	// of different keys. Do not compute Total from the listed objects. If the server's count is
	// missing from its answer, Total is 0, and the listing proves nothing. If the server counts
	// something else than it lists, use ProofExhausted without a total.
	ProofCounted
	// ProofWhole is one single answer that contains everything, from an API that does not page.
	// A listing of several pages counts as exhausted.
	ProofWhole
)

// ScopeRemote is an optional interface of a Remote. With it, a scope whose last objects are gone
// can be told from one that the remote no longer shows, for example because a token has lost a
// permission.
type ScopeRemote[T any] interface {
	// ScopeExists reports whether the scope itself, for example the zone of DNS records, exists
	// on the remote and can be read with the same credentials as its objects. Do not answer true
	// because a list of its objects succeeds. It must be safe for concurrent use.
	ScopeExists(ctx context.Context, scope T) (bool, error)
}

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
