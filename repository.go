package nawasync

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/logger"
	"gorm.io/gorm/schema"

	"github.com/nawasara/nawasync/internal/bulk"
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

// SyncedRepository is a table that mirrors the objects of an external API. NewRepository
// makes one. It is safe for concurrent use.
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

// RepositoryConfig describes a repository. Service and Type are required.
type RepositoryConfig[T any] struct {
	Service, Type string
	// Remote is the API. A process without it reads and dispatches only.
	Remote  Remote[T]
	Actions Actions
	// Queue is where changes go, SyncQueue where syncs go; "" is DefaultQueue. Give
	// syncs one of their own: they are long.
	Queue, SyncQueue string
	// Timeout is how long one attempt of a change may take. Default DefaultTimeout.
	Timeout time.Duration
	// SyncTimeout is how long a sync may take. Default one hour.
	SyncTimeout time.Duration
	// Search are the columns that Query.Search looks into.
	Search []string
	// Details are the listings that Remote.List knows besides "".
	Details []string
	// MissingRuns is how many complete listings a row must be absent from until it is
	// deleted. Default 2.
	MissingRuns int
	// Limit is how many absent rows of so many known are believed without a person.
	// Default DefaultLimit.
	Limit func(known int64) int64
}

// Actions are the names that jobs of a repository have in lists.
type Actions struct {
	Create string   // default "create"
	Update []string // default "update" alone; several tell a suspension from a new quota
	Delete string   // default "delete"
	Sync   string   // default "sync"
}

// DefaultLimit is 30 % of the first 1,000 rows and 10 % of the others, but 10 at
// least.
func DefaultLimit(known int64) int64 {
	return max(10, min(known, 1000)*3/10+max(0, known-1000)/10)
}

// row is a snapshot struct: what does not embed SyncStatus does not compile.
type row[T any] interface {
	*T
	syncStatus() *SyncStatus
}

// NewRepository makes a repository of a table and, with a Remote, registers its
// jobs: call it before Start. It returns an error for tags that make no sense, a
// table that lacks columns, a key that the database would not tell apart byte by
// byte, and what Register returns.
func NewRepository[T any, P row[T]](e *Engine, config RepositoryConfig[T]) (SyncedRepository[T], error) {
	var sample T
	m, err := newModel(e.config.DB, &sample)
	if err != nil {
		return nil, err
	}
	r := &repo{
		engine: e, model: m, service: config.Service, typ: config.Type, actions: config.Actions.defaults(),
		queue: config.Queue, syncQueue: config.SyncQueue, timeout: config.Timeout, syncTimeout: config.SyncTimeout,
		search: config.Search, details: config.Details, missingRuns: config.MissingRuns, limit: config.Limit,
		table: bulk.New(e.config.DB, m.table), quoted: e.config.DB.Statement.Quote(m.table),
		status: func(v reflect.Value) *SyncStatus { return P(v.Addr().Interface().(*T)).syncStatus() },
	}
	if config.Remote != nil {
		r.remote = erased[T]{config.Remote}
	}
	if err := r.prepare(); err != nil {
		return nil, err
	}
	if r.remote != nil {
		err = r.register()
	}
	if err == nil {
		e.mu.Lock()
		e.repositories = append(e.repositories, r)
		e.mu.Unlock()
	}
	return &repository[T]{r}, err
}

func (a Actions) defaults() Actions {
	for to, value := range map[*string]string{&a.Create: "create", &a.Delete: "delete", &a.Sync: "sync"} {
		if *to == "" {
			*to = value
		}
	}
	if len(a.Update) == 0 {
		a.Update = []string{"update"}
	}
	return a
}

// repo is a repository without its type parameter.
type repo struct {
	engine       *Engine
	model        *model
	remote       remote // nil where this process only dispatches
	service, typ string
	actions      Actions

	queue, syncQueue     string
	timeout, syncTimeout time.Duration
	search, details      []string
	missingRuns          int
	limit                func(int64) int64

	table  *bulk.Table
	quoted string
	status func(reflect.Value) *SyncStatus
	tx     *gorm.DB // nil outside of WithTx
}

func (r *repo) kind(action string) Kind { return Kind{r.service, r.typ, action} }

func (r *repo) lane(id int64) int64 { return hash("row", r.model.table, fmt.Sprint(id)) }

// db is where reads go: without the host's conditions, hooks and log.
func (r *repo) db(ctx context.Context) *gorm.DB {
	if r.tx != nil {
		return quiet(ctx, r.tx)
	}
	return quiet(ctx, r.engine.config.DB)
}

func quiet(ctx context.Context, tx *gorm.DB) *gorm.DB {
	return tx.Session(&gorm.Session{NewDB: true, Context: ctx, Logger: logger.Discard, SkipHooks: true})
}

// inTx runs fn in the host's transaction, or one of its own.
func (r *repo) inTx(ctx context.Context, fn func(tx *gorm.DB) error) error {
	if r.tx != nil {
		return fn(r.tx)
	}
	return r.engine.repeated(ctx, fn)
}

// prepare checks what the configuration and the table say.
func (r *repo) prepare() error {
	fail := func(format string, args ...any) error {
		return fmt.Errorf("nawasync: repository %s/%s: "+format, append([]any{r.service, r.typ}, args...)...)
	}
	for _, action := range append([]string{r.actions.Create, r.actions.Delete, r.actions.Sync, tracker.RefreshAction}, r.actions.Update...) {
		if err := validateKind(r.kind(action)); err != nil {
			return err
		}
	}
	if r.missingRuns < 0 || r.timeout < 0 || r.syncTimeout < 0 {
		return fail("a setting is negative")
	}
	if r.missingRuns == 0 {
		r.missingRuns = 2
	}
	if r.syncTimeout == 0 {
		r.syncTimeout = time.Hour
	}
	if r.limit == nil {
		r.limit = DefaultLimit
	}
	for _, column := range r.search {
		if r.model.schema.FieldsByDBName[column] == nil {
			return fail("Search names %q, which is no column of %s", column, r.model.table)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	sample := reflect.New(reflect.SliceOf(r.model.schema.ModelType))
	if err := quiet(ctx, r.engine.config.DB).Table(r.model.table).Select(r.columns()).Where("1 = 0").Find(sample.Interface()).Error; err != nil {
		return fail("table %s is not as its struct says: %w; make it in a migration of yours, StatusColumns has the statements for SyncStatus", r.model.table, err)
	}
	return r.checkKey(ctx)
}

// checkKey refuses a key of which MySQL would take two for one.
func (r *repo) checkKey(ctx context.Context) error {
	db := quiet(ctx, r.engine.config.DB)
	if db.Name() == "sqlite" {
		var made string
		if err := db.Raw("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?", r.model.table).Row().Scan(&made); err == nil && !strings.Contains(strings.ToUpper(made), "AUTOINCREMENT") {
			return fmt.Errorf("nawasync: repository %s/%s: %s.id must be INTEGER PRIMARY KEY AUTOINCREMENT: otherwise SQLite gives the id of a deleted row to another, and a late job would change that", r.service, r.typ, r.model.table)
		}
	}
	if db.Name() != "mysql" {
		return nil
	}
	if slices.ContainsFunc(r.model.schema.Fields, func(f *schema.Field) bool {
		return f.DBName != "" && f.IndirectFieldType == reflect.TypeFor[time.Time]()
	}) {
		var moment time.Time
		if err := db.Raw("SELECT TIMESTAMP('2026-01-02 03:04:05')").Row().Scan(&moment); err != nil {
			return fmt.Errorf("nawasync: repository %s/%s has a time.Time, which the MySQL driver reads only with parseTime=true&loc=UTC in the DSN: %w", r.service, r.typ, err)
		}
	}
	table := r.model.table[strings.LastIndexByte(r.model.table, '.')+1:]
	for _, f := range append(r.model.identity(), r.model.natural...) {
		var collation *string
		err := db.Raw("SELECT collation_name FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = ? AND column_name = ?", table, f.column).Row().Scan(&collation)
		if err != nil {
			return fmt.Errorf("nawasync: read the collation of %s.%s: %w", r.model.table, f.column, err)
		}
		if collation != nil {
			return fmt.Errorf("nawasync: repository %s/%s: the collation %s of %s.%s takes different keys for one (trailing spaces, perhaps case and accents); declare the column VARBINARY", r.service, r.typ, *collation, r.model.table, f.column)
		}
	}
	return nil
}

// columns are all that a repository reads and writes.
func (r *repo) columns() []string {
	list := []string{"id"}
	for _, f := range append(r.model.identity(), r.model.mirrored()...) {
		list = append(list, f.column)
	}
	return append(list, "sync_status", "sync_error", "last_synced_at", "content_hash", "hash_version", "sync_job_id", "missing_since", "missing_runs")
}

// repository is a repo with its type parameter.
type repository[T any] struct{ *repo }

func (r *repository[T]) WithTx(tx *gorm.DB) SyncedRepository[T] {
	inside := *r.repo
	inside.tx = tx
	return &repository[T]{&inside}
}

func (r *repository[T]) Create(ctx context.Context, want T, o Options) (*tracker.Job, error) {
	return r.create(ctx, reflect.ValueOf(&want).Elem(), o)
}

func (r *repository[T]) Update(ctx context.Context, seen T, change func(*T), o Options) (*tracker.Job, error) {
	from := reflect.ValueOf(&seen).Elem()
	want := deepCopy(from)
	change(want.Addr().Interface().(*T))
	return r.update(ctx, from, want, o)
}

func (r *repository[T]) Delete(ctx context.Context, seen T, o Options) (*tracker.Job, error) {
	return r.remove(ctx, reflect.ValueOf(&seen).Elem(), o)
}

func (r *repository[T]) SyncNow(ctx context.Context, scope T, detail string, o Options) (*tracker.Job, error) {
	return r.syncNow(ctx, reflect.ValueOf(&scope).Elem(), detail, o)
}

func (r *repository[T]) Refresh(ctx context.Context, id int64, o Options) (*tracker.Job, error) {
	return r.refresh(ctx, id, o)
}

func (r *repository[T]) Plan(ctx context.Context, scope T, detail string) (SyncResult, error) {
	return r.plan(ctx, reflect.ValueOf(&scope).Elem(), detail)
}

func (r *repository[T]) List(ctx context.Context, q Query) (List[T], error) {
	page, err := r.list(ctx, q)
	if err != nil {
		return List[T]{}, err
	}
	return List[T]{Items: page.items.Elem().Interface().([]T), Next: page.next, Total: page.total, More: page.more}, nil
}

func (r *repository[T]) Find(ctx context.Context, id int64) (T, error) {
	var found T
	err := r.find(ctx, reflect.ValueOf(&found), "id = ?", id)
	return found, err
}

func (r *repository[T]) FindKey(ctx context.Context, key T) (T, error) {
	var found T
	where, args := r.locate(reflect.ValueOf(&key).Elem())
	err := r.find(ctx, reflect.ValueOf(&found), where, args...)
	return found, err
}

func (r *repository[T]) All(ctx context.Context, q Query) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		for batch, err := range r.all(ctx, q) {
			if err != nil {
				yield(none, err)
				return
			}
			for _, item := range batch.Elem().Interface().([]T) {
				if !yield(item, nil) {
					return
				}
			}
		}
	}
}

func (r *repository[T]) LastSyncedAt(ctx context.Context, scope T) (time.Time, error) {
	at, _, err := r.engine.store.LastSuccess(ctx, r.service, r.typ, r.actions.Sync, r.model.instance(reflect.ValueOf(&scope).Elem()))
	return at, err
}
