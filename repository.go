package nawasync

import (
	"context"
	"errors"
	"iter"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/tracker"
)

// RepositoryReader reads a snapshot table. It never calls the remote. The rows of deleted objects are
// hidden, except from a List or All whose Query.States has tracker.StateDeleted.
type RepositoryReader[T any] interface {
	// List returns one page of rows. It returns ErrInvalid for an unknown column, a Limit out
	// of range, and a Query.After that belongs to another order.
	List(ctx context.Context, q Query) (ListResult[T], error)
	// Find returns the row with the primary key, or ErrNotFound.
	Find(ctx context.Context, id int64) (T, error)
	// FindKey returns the row with the same scope and key fields as key or, if there is none, the newest
	// row of a creation with them that failed. Without a key, it returns the oldest row with the same
	// natural fields. It returns ErrNotFound.
	FindKey(ctx context.Context, key T) (T, error)
	// All yields every row that the query selects, ordered by id. It ignores the query's
	// Limit, After and Sort.
	All(ctx context.Context, q Query) iter.Seq2[T, error]
	// LastSyncedAt returns when a sync of the scope last succeeded. The zero time means
	// never. Only the scope fields of the argument matter.
	LastSyncedAt(ctx context.Context, scope T) (time.Time, error)
	// LayWishes lays the open changes over rows that List, Find or FindKey returned: in rows, it sets the fields that jobs
	// of the repository will change to their new values. It returns what it has changed, by the row's id; rows without an
	// open change are not in the map. See Query.Wishes. It runs one statement, and none if no row is pending.
	LayWishes(ctx context.Context, rows []T) (map[int64]Wish, error)
}

// RepositoryWriter turns changes into jobs. Each method marks the row as pending and adds the
// job, in one transaction. It returns the job's row. The job reads the object after it has written, and
// succeeds once the remote shows the change; a value that the remote stores in another form and says so in
// its answer is accepted. To a deleted row, each method but Create returns ErrNotFound.
type RepositoryWriter[T any] interface {
	// Create creates an object. It returns ErrExists if a row with the same name exists, and ErrBusy
	// if an open transaction creates one. The row of a missing object is used again, that of a deleted
	// object is not. An object that exists on the remote already is adopted if it has all wanted values
	// and the struct has no secrets; else the job ends with a conflict. If the creation fails, the row stays, and
	// gives up the name.
	Create(ctx context.Context, want T, o Options) (*tracker.Job, error)
	// Update changes the content and secret fields of an object. seen is the row as the user
	// saw it. If a field that change sets has changed on the remote since then, the job ends
	// with a conflict. The job does not write fields that change leaves as they are. Update
	// returns ErrUnchanged, ErrDeleting or ErrNotFound, and mirror.ErrUnseen for a field that was never
	// fetched from the remote: refresh the row first.
	Update(ctx context.Context, seen T, change func(*T), o Options) (*tracker.Job, error)
	// Delete deletes an object. Its row is hidden, and removed 30 days later; that of an object which was
	// never created is removed at once. If a field that was fetched has changed on the remote since the
	// user saw it, the job ends with a conflict. If the object no longer exists, the job succeeds.
	// Delete returns ErrDeleting or ErrNotFound.
	Delete(ctx context.Context, seen T, o Options) (*tracker.Job, error)
	// Dispatch adds a job of the host, of a kind that Register knows, on a row: for example one that resets a
	// password. The job runs in the lane of the row, after what is queued for it, its creation too, and never beside
	// another job of the row. It is bound to the object that the row stands for: if the row is deleted meanwhile, or
	// stands for another object, the job fails with fault.ClassGone, and if the object is never created, the job is
	// skipped, each without a call of Execute. In Execute, mirror.Row returns the row as it is then. A conflict or a
	// failure of an earlier update does not concern the job.
	//
	// A job of the repository's service and type has the target of the row's jobs, whatever the arguments say, and
	// is shown with them; any other has that of its arguments. JobOptions.Lane has no effect, and JobOptions.UniqueKey
	// is unique for the row. The row is not marked unless Options.MarkRow is set. Nothing follows the job's end; it
	// may call Refresh in its OnSuccess.
	//
	// Dispatch returns ErrDeleting, ErrNotFound, also if the row stands for another object than seen, ErrInvalid for
	// one of the repository's own actions, and the errors of Engine.Dispatch.
	Dispatch(ctx context.Context, seen T, args Args, o Options) (*tracker.Job, error)
}

// RepositorySyncer reads the remote.
type RepositorySyncer[T any] interface {
	// SyncNow dispatches a job that copies the listing of a scope into the table. If such a
	// job is already queued, SyncNow returns it. While such a job runs, one more can be
	// queued. SyncNow returns ErrInvalid for an unknown detail, and the errors of
	// Engine.Dispatch.
	SyncNow(ctx context.Context, scope T, detail string, o Options) (*tracker.Job, error)
	// SyncArgs returns the arguments of the job that SyncNow dispatches, for Engine.Schedule.
	// It returns ErrInvalid for an unknown detail.
	SyncArgs(scope T, detail string) (Args, error)
	// OpenSync returns the sync of the scope that runs or, if none runs, the oldest one that is queued, with any detail. Its
	// job says since when (StartedAt), and how many objects are listed so far, of how many if the remote tells
	// (tracker.Job.ProgressValues). OpenSync returns ErrNotFound if no sync is open, and ErrInvalid for half a scope.
	OpenSync(ctx context.Context, scope T) (*tracker.Job, error)
	// ChangesArgs returns the arguments of a job that reads the remote's feed of a scope
	// (mirror.ChangesRemote), for Engine.Schedule and Engine.Dispatch. The job dispatches what RefreshKey does for
	// each object that the feed names, and stores where the feed goes on. The first one, and one whose place the
	// remote no longer has, dispatches a sync. Fields of the scope may be empty if the feed covers
	// several scopes. ChangesArgs returns an error that wraps errors.ErrUnsupported if the remote has no feed.
	ChangesArgs(scope T) (Args, error)
	// Refresh dispatches a job that reads one object from the remote into its row. It resolves
	// a conflict in favour of the remote. It returns ErrNotFound.
	Refresh(ctx context.Context, id int64, o Options) (*tracker.Job, error)
	// RefreshKey dispatches a job that reads an object by its key and writes its row, for example because a
	// webhook or a feed says that the object has changed. The job adds the row of an object that is unknown, as a
	// sync does, and marks the row of an object that is gone as missing: another job deletes it once it
	// has confirmed that. While such a job of the key is queued, RefreshKey returns that one; while it runs, one more
	// can be queued. The job waits for an open change of the row and no change waits for the job. RefreshKey
	// returns ErrInvalid without a key, an error that wraps errors.ErrUnsupported if the remote cannot read single
	// objects, and the errors of Engine.Dispatch.
	RefreshKey(ctx context.Context, key T, o Options) (*tracker.Job, error)
	// Plan lists the remote and returns what a sync would do. It writes nothing. It returns
	// the remote's error, or an error if this process has no Remote; PlanNow needs none.
	Plan(ctx context.Context, scope T, detail string) (SyncResult, error)
	// PlanNow dispatches a job that lists the remote and finds out what a sync would do. The job writes nothing. It is in the
	// lane of the scope's syncs. If such a job is open, PlanNow returns it. Its errors are those of SyncNow.
	PlanNow(ctx context.Context, scope T, detail string, o Options) (*tracker.Job, error)
	// PlanOf returns what a job of PlanNow has found. It returns ErrNotFound if the scope has no such job, ErrNotEnded while the
	// job is open, and the job's error if it has ended without a result.
	PlanOf(ctx context.Context, scope T, job int64) (SyncResult, error)
}

// SyncedRepository is a table that mirrors the objects of an external API. Package mirror
// creates repositories. A SyncedRepository is safe for concurrent use.
type SyncedRepository[T any] interface {
	RepositoryReader[T]
	RepositoryWriter[T]
	RepositorySyncer[T]
	// WithTx returns the repository inside a transaction of the caller. Its reads see the
	// transaction's changes. Its writes and jobs are committed or rolled back with it.
	WithTx(tx *gorm.DB) SyncedRepository[T]
}

// The errors of a repository that a caller can act on.
var (
	// ErrExists is returned by Create if a row with the same name exists.
	ErrExists = errors.New("a row with that name already exists")
	// ErrBusy is returned by Create if another open transaction is creating a row with the same
	// name. Try again after it has ended.
	ErrBusy = errors.New("another open transaction is creating a row with that name; try again after it has ended")
	// ErrUnchanged is returned by Update if the change sets no field to a new value. No job is
	// added.
	ErrUnchanged = errors.New("the change sets no field to a new value")
	// ErrDeleting is returned if a job that deletes the row is open.
	ErrDeleting = errors.New("the row is being deleted")
)

// Query selects and orders rows. The zero value selects the first 50 rows. Rows have to meet all
// conditions. A condition that the column cannot have, and conditions on one column that contradict each
// other, are ErrInvalid: its text says what the column can do.
type Query struct {
	// Where selects rows whose columns equal the values, texts byte by byte. A list of up to 1,000 values
	// selects rows with one of them. Nil selects NULL.
	Where map[string]any
	// From selects rows whose columns are at least the values, and To those whose columns are less. Nil is
	// the same as no entry. Texts compare as the column's collation orders them.
	From, To map[string]any
	// Prefix selects rows whose columns begin with the texts, compared byte by byte.
	Prefix map[string]string
	// Contains selects rows whose columns have a list, stored as JSON, with the value: a text, a number or
	// a boolean. It compares whole elements of the outermost list. No index helps, except on PostgreSQL
	// a GIN index of a jsonb column: else it reads all rows that the other conditions select. MySQL and
	// MariaDB refuse the query if the column has a text that is no JSON.
	Contains map[string]any
	// Search selects rows that contain the text in one of the columns of
	// mirror.Config.Search. It ignores the case of ASCII letters. No index helps: a search
	// reads all rows that the other conditions select.
	Search string
	// States selects rows with one of the sync states. Empty selects all states but
	// tracker.StateDeleted.
	States []SyncState
	// Sort lists up to 5 columns to order by, separated by commas; a "-" before a column reverses its
	// order, as in "type,-name". Rows with NULL come last. Rows that are equal so far are ordered by
	// the primary key, in the direction of the last column. Default is the primary key. A large table
	// needs an index on the columns, with their directions unless all are the same.
	Sort string
	// After is ListResult.Next of the previous page, and Before is ListResult.Prev of the following one.
	// They need the same conditions and Sort. At most one of them may be set. "" selects the first page.
	After, Before string
	// Limit is the size of a page, from 1 to 1000. Default 50.
	Limit int
	// Total selects whether to count the rows: 0 does not count, -1 counts exactly, and n > 0
	// counts up to n.
	Total int64
	// Wishes lays the open changes of the repository over the rows of a List: each row has the values that it will have once
	// its jobs have succeeded, in the order in which they run, and ListResult.Wishes says which fields that concerns. A row that
	// is being deleted is marked only. The other fields of the query, and the count, concern the stored rows. The values come from
	// the jobs' arguments as people may see them: secrets, hidden fields and masked values stay as they are stored. The rows can be
	// passed to Update as what the user saw. All ignores Wishes.
	Wishes bool
}

// ListResult is one page of rows.
type ListResult[T any] struct {
	Items []T
	Next  string // Query.After for the next page; "" on the last page
	Prev  string // Query.Before for the previous page; "" on the first page
	Total int64  // the number of rows, if Query.Total requested a count
	More  bool   // whether there are more rows than a Query.Total > 0
	// Wishes has what the open changes make of the rows, by the row's id, if Query.Wishes is set. Rows without one are not in it.
	Wishes map[int64]Wish
}

// SyncResult counts what a sync did, or what it would do according to Plan.
type SyncResult struct {
	Listed    int64 `json:"listed"`    // objects in the listing, duplicates included
	Created   int64 `json:"created"`   // rows added
	Updated   int64 `json:"updated"`   // rows written, and deleted rows whose objects are back
	Unchanged int64 `json:"unchanged"` // rows not written
	InFlight  int64 `json:"in_flight"` // rows not written because a job changes them or changed them during the sync
	Missing   int64 `json:"missing"`   // rows that are not in the listing
	// Confirming counts the missing rows that a job with tracker.ConfirmAction is to delete, if
	// the remote confirms that their objects are gone. A plan does not count them.
	Confirming int64 `json:"confirming"`
	Kept       int64 `json:"kept"` // missing rows that an operator decided to keep
	// Drifted counts, by column, the values that were changed on the remote and not by a job.
	Drifted map[string]int64 `json:"drifted,omitempty"`
	// Samples has some of the values that Drifted counts.
	Samples []map[string]any `json:"samples,omitempty"`
	Proof   string           `json:"proof,omitempty"` // whole, counted, exhausted or unproven
	// ProofNote says why the listing proves less than the remote claims, and that it was resumed.
	ProofNote string `json:"proof_note,omitempty"`
	// Refused counts the listed objects that could not be stored, and Refusals names some of
	// them with the reason.
	Refused  int64    `json:"refused,omitempty"`
	Refusals []string `json:"refusals,omitempty"`
	// Purged counts the rows that were removed, 30 days after their objects were deleted.
	Purged int64 `json:"purged,omitempty"`
	// PurgeRefused counts those that the database refuses to remove, for example because another table
	// refers to them, and PurgeRefusals names some of them with the reason.
	PurgeRefused  int64    `json:"purge_refused,omitempty"`
	PurgeRefusals []string `json:"purge_refusals,omitempty"`
	// Collided counts the rows that were not rewritten, because a new mirror.Config.NormaliseVersion
	// spells their key as that of another row. Collisions names some of them.
	Collided   int64    `json:"collided,omitempty"`
	Collisions []string `json:"collisions,omitempty"`
	// Held is the id of the hold that keeps rows from being deleted. In a plan it is -1 if the
	// sync would be held.
	Held int64 `json:"held,omitempty"`
	// Planned has, of a plan, what a sync would do to single rows: some of each kind, first what is missing, and at most 200. PlannedMore is how
	// many more changes there are.
	Planned     []PlannedChange `json:"planned,omitempty"`
	PlannedMore int64           `json:"planned_more,omitempty"`
}
