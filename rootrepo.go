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
	// List returns one page.
	List(ctx context.Context, q Query) (List[T], error)
	// Find returns the row with that primary key, or ErrNotFound.
	Find(ctx context.Context, id int64) (T, error)
	// FindKey returns the row with the scope and key of the one given, or ErrNotFound.
	FindKey(ctx context.Context, key T) (T, error)
	// All yields every row of a query in the order of ids; Limit, After and Sort do not
	// apply.
	All(ctx context.Context, q Query) iter.Seq2[T, error]
	// LastSyncedAt is when a sync of the scope last succeeded; zero is never.
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
	// returns that; while one runs, one more may wait.
	SyncNow(ctx context.Context, scope T, detail string, o Options) (*tracker.Job, error)
	// Refresh reads one object anew: it answers a conflict with what the remote has.
	Refresh(ctx context.Context, id int64, o Options) (*tracker.Job, error)
	// Plan lists the remote and tells what a sync would do. It writes nothing.
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
	ErrExists    = errors.New("nawasync: there is a row of that name already")
	ErrUnchanged = errors.New("nawasync: nothing was changed")
	ErrDeleting  = errors.New("nawasync: the row is being deleted")
)
