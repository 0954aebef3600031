package mirror

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/schema"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/bulk"
	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/secret"
	"github.com/nawasara/nawasync/tracker"
)

// Config describes a repository. Service and Type are required.
type Config[T any] struct {
	Service, Type string
	// Remote is the API. A process without a Remote can only read the table and dispatch
	// jobs.
	Remote Lister[T]
	// Supports tells a process without a Remote what that of the workers can do, by its methods: a value of
	// the same type, such as (*remote)(nil), or of a struct that embeds the interfaces, such as
	// struct{ mirror.Lister[T]; mirror.Reader[T] }{}. No method is called. Nil means that it can do
	// everything. With a Remote, Supports is ignored.
	Supports Lister[T]
	Actions  Actions
	// Queue is the queue for changes, and SyncQueue the queue for syncs; "" is DefaultQueue. Give
	// syncs a separate queue, because they take long.
	Queue, SyncQueue string
	// Timeout limits one attempt of a change. Default DefaultTimeout.
	Timeout time.Duration
	// SyncTimeout limits one attempt of a sync. Default one hour.
	SyncTimeout time.Duration
	// Calls is how many calls of the remote one attempt of a change makes. So many are reserved before the job
	// starts, if nawasync.Config.Remotes has a remote with a budget for the service. Default 2: one to read
	// the object and one to write it. A sync reserves one call, and takes the others one at a time.
	Calls int
	// MaxAttempts is how many attempts a change may consume, and SyncMaxAttempts how many a sync. Default
	// nawasync.DefaultAttempts. Set them in all processes, also those without a Remote: they belong to the dispatch.
	MaxAttempts, SyncMaxAttempts int
	// Backoff returns how long to wait after the given attempt of a change failed, and SyncBackoff the same for a sync.
	// The first attempt is 1. nil is that of nawasync.AbstractJob. They must be safe for concurrent use.
	Backoff, SyncBackoff func(attempt int) time.Duration
	// OnSuccess runs in the transaction that ends a creation, an update, a deletion or a sync as a success, after the
	// row was written. It can write to the host's tables and dispatch jobs there. It must not call the remote, and must be
	// safe for concurrent use; after a serialization failure it runs again. If it returns an error, the transaction
	// rolls back and the attempt fails: the next one finds the change already made. ctx outlives the attempt. Optional.
	OnSuccess func(ctx context.Context, done Done[T]) error
	// Search lists the columns that Query.Search searches.
	Search []string
	// Normalise spells a value as the remote does, so that a value that a user enters and the one that
	// the remote makes of it are equal: for example names in lower case, or without a dot at their
	// end. It is called for every value that the remote returns, for every value that users ask for
	// before it is sent, and for keys and scopes, of which only the scope, key and natural fields are
	// set. It must not depend on anything else, must leave a value that it has returned as it is, and
	// must be safe for concurrent use. Maps and lists are copies that it may change. If it panics, the job
	// fails; in a method such as Create, the caller gets the panic. Set it in all processes, also those
	// without a Remote. Optional.
	Normalise func(*T)
	// NormaliseVersion is the version of Normalise: 1 at first, one more with each change of what it
	// returns. The next sync then rewrites the stored rows and their keys before it compares them,
	// which counts as no drift. Deploy a new version to all workers: one with a lower version than that
	// of the rows syncs nothing. Never lower it.
	NormaliseVersion int
	// MaskKeys are keys to mask in addition to those that nawasync.Mask always masks, as in
	// nawasync.JobOptions: in what jobs store of their arguments, results and conflicts, and in the history
	// of objects. They concern columns and the keys of documents within columns. For a single column, use
	// the tags hidden and shown, of which shown concerns no document within a column. A change with a masked value needs nawasync.Config.Sealer. Set MaskKeys
	// in all processes, also those without a Remote.
	MaskKeys []string
	// Details lists the values besides "" that Remote.List accepts as detail.
	Details []string
	// MissingRuns is the number of consecutive complete listings without an object after
	// which a job calls Get for it, and deletes its row if the object is gone. Default 2.
	MissingRuns int
	// Settle is how long the remote may show an earlier state of an object after the repository has written
	// it, for example because reads go to a replica. Until then the repository waits and reads again
	// before it reports a conflict, a missing object or a change that was not carried out; a sync leaves
	// the object's row alone. Default 5 seconds; some remotes need minutes. Negative means not at all.
	Settle time.Duration
	// Author is the name that Object.Author has after a write of this repository. Optional.
	Author string
	// Limit returns how many of the scope's rows may be missing from a listing. If more are
	// missing, or all that were known, the sync is held, and nothing is deleted until an operator
	// decides. All rows of a scope may be missing if they are three or fewer and the scope is
	// known to exist (ScopeRemote). Default DefaultLimit.
	Limit func(rows int64) int64
	// Scopes says which scopes there are. A sync of no scope, as of SyncNow and SyncArgs with the zero value of
	// T, then syncs all of them, the parent first; a schedule of it follows the scopes as they come and go. A
	// scope is synced at once when it is listed for the first time. The rows of a scope that is gone are hidden,
	// kept for 30 days and visible again, as they were, if the scope returns. Set it in all processes, also those
	// without a Remote. Default: the host decides what is synced.
	Scopes Scopes[T]
	// Spread is how long a scheduled sync of all Scopes takes to begin with the last of them: it spreads the
	// syncs evenly. Set it to a little less than the interval of the schedule. 0 means all at once, and
	// negative is an error.
	Spread time.Duration
}

// Actions holds the action names of a repository's jobs. Job lists show them.
type Actions struct {
	Create string   // default "create"
	Update []string // default "update" alone; use several to distinguish, for example, a suspension from a new quota
	Delete string   // default "delete"
	Sync   string   // default "sync"
	// Changes reads the feed of a remote with the interface ChangesRemote. Default "changes".
	Changes string
}

func (a Actions) defaults() Actions {
	for name, value := range map[*string]string{&a.Create: "create", &a.Delete: "delete", &a.Sync: "sync", &a.Changes: "changes"} {
		if *name == "" {
			*name = value
		}
	}
	if len(a.Update) == 0 {
		a.Update = []string{"update"}
	}
	return a
}

// ownActions lists the actions of the repository's jobs.
func (r *repo) ownActions() []string {
	a := r.actions
	list := append([]string{a.Create, a.Delete, a.Sync, a.Changes, tracker.RefreshAction, tracker.ConfirmAction, tracker.PlanAction}, a.Update...)
	if r.scopes != nil {
		list = append(list, tracker.FollowAction, tracker.RetireAction)
	}
	return list
}

// DefaultLimit returns 30 % of the first 1,000 rows plus 10 % of the rest, and at least 10.
func DefaultLimit(rows int64) int64 {
	return max(10, min(rows, 1000)*3/10+max(0, rows-1000)/10)
}

// snapshotRow makes the compiler reject a snapshot struct that does not embed SyncStatus.
type snapshotRow[T any] interface {
	*T
	SnapshotStatus() *nawasync.SyncStatus
}

// New returns a repository of a table. If Config.Remote is set, New also registers the
// handlers of the repository's jobs, so call it before Engine.Start. With an error it
// registers nothing and returns a nil repository.
//
// It returns an error for invalid struct tags and for a table that lacks columns. It returns
// nawasync.ErrRegistered for a second repository of the same service and type, and the
// errors of nawasync.Register. e must not be nil.
func New[T any, P snapshotRow[T]](e *nawasync.Engine, config Config[T]) (nawasync.SyncedRepository[T], error) {
	var sample T
	eng := engineOf(e)
	m, err := newModel(eng.DB(), &sample)
	if err != nil {
		return nil, err
	}
	var spell func(reflect.Value)
	if config.Normalise != nil {
		spell = func(v reflect.Value) { config.Normalise(v.Addr().Interface().(*T)) }
	}
	if err := m.useNormalise(spell, config.NormaliseVersion); err != nil {
		return nil, fmt.Errorf("repository %s/%s: %w", config.Service, config.Type, err)
	}
	r := &repo{
		engine: eng, model: m, service: config.Service, typ: config.Type, actions: config.Actions.defaults(),
		queue: config.Queue, syncQueue: config.SyncQueue, timeout: config.Timeout, syncTimeout: config.SyncTimeout, calls: config.Calls,
		search: config.Search, details: config.Details, missingRuns: config.MissingRuns, limit: config.Limit,
		getSupport: &atomic.Int32{}, settle: config.Settle, author: config.Author, maskKeys: m.allMaskKeys(config.MaskKeys),
		table: bulk.New(eng.DB(), m.table), quoted: eng.DB().Statement.Quote(m.table), revealer: &secret.Revealer{},
		scopes: config.Scopes.source, spread: config.Spread, followers: &followers{}, columnsChecked: new(atomic.Bool), tableRespelled: new(atomic.Bool),
		change: attempts{config.MaxAttempts, config.Backoff}, sync: attempts{config.SyncMaxAttempts, config.SyncBackoff}, onSuccess: eraseDone(config.OnSuccess),
		status: func(v reflect.Value) *nawasync.SyncStatus { return P(v.Addr().Interface().(*T)).SnapshotStatus() },
	}
	if config.Remote != nil {
		r.remote, r.can = remoteAdapter[T]{config.Remote}, supportOf(config.Remote)
		r.useCredentialCheck()
	} else {
		r.can = supportOf(config.Supports)
	}
	if err := r.checkConfig(); err != nil {
		return nil, err
	}
	if r.remote != nil {
		if err := r.register(); err != nil {
			return nil, err
		}
	}
	if err := eng.Attach(attached{r}); err != nil {
		return nil, err
	}
	if r.scopes != nil {
		r.scopes.parent.followers.add(r)
	}
	return &repository[T]{r}, nil
}

// configErrorf returns an error that names the repository.
func (r *repo) configErrorf(format string, args ...any) error {
	return fmt.Errorf("repository %s/%s: "+format, append([]any{r.service, r.typ}, args...)...)
}

// checkConfig checks the configuration and the table, and sets the defaults.
func (r *repo) checkConfig() error {
	if err := r.checkSupport(); err != nil {
		return err
	}
	actions := r.ownActions()
	for i, action := range actions {
		if slices.Contains(actions[:i], action) {
			return r.configErrorf("two actions are named %q", action)
		}
		if err := r.engine.CheckKind(r.kind(action)); err != nil {
			return r.configErrorf("%w", err)
		}
	}
	if r.missingRuns < 0 || r.timeout < 0 || r.syncTimeout < 0 || r.calls < 0 || r.change.max < 0 || r.sync.max < 0 {
		return r.configErrorf("MissingRuns, Timeout, SyncTimeout, Calls, MaxAttempts and SyncMaxAttempts must not be negative")
	}
	if r.calls == 0 {
		r.calls = 2
	}
	if r.missingRuns == 0 {
		r.missingRuns = 2
	}
	if r.syncTimeout == 0 {
		r.syncTimeout = time.Hour
	}
	switch {
	case r.settle == 0:
		r.settle = defaultSettle
	case r.settle < 0:
		r.settle = 0
	case r.settle > maxSettle:
		return r.configErrorf("Settle is %s; it must be at most %s", r.settle, maxSettle)
	}
	if r.limit == nil {
		r.limit = DefaultLimit
	}
	if err := errors.Join(r.checkMaskKeys(), r.checkScopes()); err != nil {
		return err
	}
	for _, column := range r.search {
		if r.model.schema.FieldsByDBName[column] == nil {
			return r.configErrorf("Search names column %q, which table %s does not have", column, r.model.table)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	sample := reflect.New(reflect.SliceOf(r.model.schema.ModelType))
	if err := sqlkit.Primary(ctx, r.engine.DB()).Table(r.model.table).Select(r.columns()).Where("1 = 0").Find(sample.Interface()).Error; err != nil {
		return r.configErrorf("table %s does not match its snapshot struct: %w; add the missing columns in a migration (StatusColumns returns the statements for SyncStatus)",
			r.model.table, err)
	}
	return r.checkTable(ctx)
}

// checkTable rejects database settings with which a job could change the wrong row or a read
// would fail.
func (r *repo) checkTable(ctx context.Context) error {
	db := sqlkit.Primary(ctx, r.engine.DB())
	if err := r.readTableColumns(db); err != nil {
		return err
	}
	switch db.Name() {
	case "sqlite":
		return r.checkAutoincrement(db)
	case "mysql":
		if err := r.checkParseTime(db); err != nil {
			return err
		}
	}
	return r.checkColumns(db)
}

func (r *repo) checkAutoincrement(db *gorm.DB) error {
	var statement string
	err := db.Raw("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?", r.model.table).Row().Scan(&statement)
	if err == nil && !strings.Contains(strings.ToUpper(statement), "AUTOINCREMENT") {
		return r.configErrorf("%s.id must be INTEGER PRIMARY KEY AUTOINCREMENT: without AUTOINCREMENT, SQLite reuses the ids of deleted rows, and a late job could change the wrong row",
			r.model.table)
	}
	return nil
}

func (r *repo) checkParseTime(db *gorm.DB) error {
	if !slices.ContainsFunc(r.model.schema.Fields, func(f *schema.Field) bool {
		return f.DBName != "" && f.IndirectFieldType == reflect.TypeFor[time.Time]()
	}) {
		return nil
	}
	var moment time.Time
	if err := db.Raw("SELECT TIMESTAMP('2026-01-02 03:04:05')").Row().Scan(&moment); err != nil {
		return r.configErrorf("the snapshot has a time.Time field, which the MySQL driver reads only with parseTime=true&loc=UTC in the DSN: %w", err)
	}
	return nil
}
