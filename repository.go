package nawasync

import (
	"context"
	"errors"
	"iter"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/tracker"
)

// RepositoryReader reads snapshots; it never calls the remote.
type RepositoryReader[T any] interface {
	// List returns one page. It returns ErrInvalid for a column that there is not, and for a
	// Query.After of another query.
	List(ctx context.Context, q Query) (ListResult[T], error)
	// Find returns the row with that primary key, or ErrNotFound.
	Find(ctx context.Context, id int64) (T, error)
	// FindKey returns the row with the scope and key of the one given, or ErrNotFound.
	FindKey(ctx context.Context, key T) (T, error)
	// All yields every row of a query in the order of ids; Limit, After and Sort do not
	// apply.
	All(ctx context.Context, q Query) iter.Seq2[T, error]
	// LastSyncedAt is when a sync of the scope last succeeded; zero is never. Only the
	// scope's fields of the argument count.
	LastSyncedAt(ctx context.Context, scope T) (time.Time, error)
}

// RepositoryWriter turns changes into jobs: each marks the row pending and adds the
// job in one transaction, and returns the job's row.
type RepositoryWriter[T any] interface {
	// Create makes an object. It returns ErrExists when there is a row of its name.
	Create(ctx context.Context, want T, o Options) (*tracker.Job, error)
	// Update changes content and secret fields. seen is the row as the user saw it:
	// what somebody else changed since is a conflict where change touches it, and is
	// left alone elsewhere. It returns ErrUnchanged, ErrDeleting or ErrNotFound.
	Update(ctx context.Context, seen T, change func(*T), o Options) (*tracker.Job, error)
	// Delete deletes the object, unless somebody else has changed it since it was seen.
	// It returns ErrDeleting or ErrNotFound.
	Delete(ctx context.Context, seen T, o Options) (*tracker.Job, error)
}

// RepositorySyncer reads the remote, through jobs.
type RepositorySyncer[T any] interface {
	// SyncNow copies the listing of a scope into the table. While one is queued it
	// returns that; while one runs, one more may wait. It returns ErrInvalid for a detail
	// that the repository does not know, and errors as Engine.Dispatch.
	SyncNow(ctx context.Context, scope T, detail string, o Options) (*tracker.Job, error)
	// SyncArgs are the arguments of such a sync, for Engine.Schedule. It returns ErrInvalid
	// for a detail that the repository does not know.
	SyncArgs(scope T, detail string) (Args, error)
	// Refresh reads one object again: it answers a conflict with what the remote has. It
	// returns ErrNotFound.
	Refresh(ctx context.Context, id int64, o Options) (*tracker.Job, error)
	// Plan lists the remote and tells what a sync would do. It writes nothing. It returns the
	// remote's error, and one where this process has no Remote.
	Plan(ctx context.Context, scope T, detail string) (SyncResult, error)
}

// SyncedRepository is a table that mirrors the objects of an external API. Package
// mirror makes them. It is safe for concurrent use.
type SyncedRepository[T any] interface {
	RepositoryReader[T]
	RepositoryWriter[T]
	RepositorySyncer[T]
	// WithTx is the repository inside a transaction of the host's: its writes and jobs
	// stand or fall with it, its reads see it.
	WithTx(tx *gorm.DB) SyncedRepository[T]
}

// The errors of a repository that a caller can act on.
var (
	// ErrExists says that Create met a row of that name.
	ErrExists = errors.New("there is a row of that name already")
	// ErrUnchanged says that Update was to change nothing; no job was added.
	ErrUnchanged = errors.New("nothing was changed")
	// ErrDeleting says that a job deletes the row, or is about to.
	ErrDeleting = errors.New("the row is being deleted")
)

// Query says which rows, in which order. The zero value is the first 50 of all.
type Query struct {
	// Where are columns that must equal a value; Prefix columns that must begin with
	// a text, byte by byte.
	Where  map[string]any
	Prefix map[string]string
	// Search is looked for anywhere in the columns of mirror.Config.Search, without
	// regard to the case of ASCII letters. It reads every row of what else is asked for.
	Search string
	// States are the sync states to show; none is all.
	States []SyncState
	// Sort is a column, "-" before it for descending; rows without a value come last.
	// Default is the primary key. Large tables want an index for it.
	Sort string
	// After is List.Next of the page before; "" is the first page.
	After string
	// Limit is the page's size, 1 to 1000. Default 50.
	Limit int
	// Total asks for a count: 0 none, -1 an exact one, n > 0 one that stops at n.
	Total int64
}

// ListResult is one page of rows.
type ListResult[T any] struct {
	Items []T
	Next  string // for Query.After; "" at the end
	Total int64  // when it was asked for
	More  bool   // with Query.Total > 0: there are more than Total
}

// SyncResult is what a sync did, or a plan would do.
type SyncResult struct {
	Listed    int64 `json:"listed"`    // objects that came, doubles included
	Created   int64 `json:"created"`   // rows added
	Updated   int64 `json:"updated"`   // rows written
	Unchanged int64 `json:"unchanged"` // rows not written
	InFlight  int64 `json:"in_flight"` // rows left alone, for a job changes them or has just done so
	Missing   int64 `json:"missing"`   // rows that the listing did not have
	Deleted   int64 `json:"deleted"`   // of them, deleted
	Kept      int64 `json:"kept"`      // of them, kept because a person said so
	// Drifted counts, by column, content that somebody else had changed at the remote;
	// Samples are some of them.
	Drifted map[string]int64 `json:"drifted,omitempty"`
	Samples []map[string]any `json:"samples,omitempty"`
	Proof   string           `json:"proof,omitempty"` // complete, exhausted or unproven
	// Held is the hold that keeps rows from being deleted; -1 in a plan of a run that
	// would be held.
	Held int64 `json:"held,omitempty"`
}
