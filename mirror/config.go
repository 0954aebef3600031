package mirror

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

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

// DefaultLimit is 30 % of the first 1,000 rows and 10 % of the others, but 10 at
// least.
func DefaultLimit(known int64) int64 {
	return max(10, min(known, 1000)*3/10+max(0, known-1000)/10)
}

// snapshotRow is a snapshot struct: what does not embed SyncStatus does not compile.
type snapshotRow[T any] interface {
	*T
	SnapshotStatus() *nawasync.SyncStatus
}

// New makes a repository of a table and, with a Remote, registers its
// jobs, all or none: call it before Start. It returns nil with an error for tags that make
// no sense, a table that lacks columns, a key that the database would not tell apart byte
// by byte, a second repository of a type (nawasync.ErrRegistered), and what
// nawasync.Register returns. e must not be nil.
func New[T any, P snapshotRow[T]](e *nawasync.Engine, config Config[T]) (nawasync.SyncedRepository[T], error) {
	var sample T
	eng := engineOf(e)
	m, err := newModel(eng.DB(), &sample)
	if err != nil {
		return nil, err
	}
	r := &repo{
		engine: eng, model: m, service: config.Service, typ: config.Type, actions: config.Actions.defaults(),
		queue: config.Queue, syncQueue: config.SyncQueue, timeout: config.Timeout, syncTimeout: config.SyncTimeout,
		search: config.Search, details: config.Details, missingRuns: config.MissingRuns, limit: config.Limit,
		table: bulk.New(eng.DB(), m.table), quoted: eng.DB().Statement.Quote(m.table), revealer: &secret.Revealer{},
		status: func(v reflect.Value) *nawasync.SyncStatus { return P(v.Addr().Interface().(*T)).SnapshotStatus() },
	}
	if config.Remote != nil {
		r.remote = remoteAdapter[T]{config.Remote}
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
	return &repository[T]{r}, nil
}

// checkConfig checks what the configuration and the table say.
func (r *repo) checkConfig() error {
	fail := func(format string, args ...any) error {
		return fmt.Errorf("repository %s/%s: "+format, append([]any{r.service, r.typ}, args...)...)
	}
	actions := append([]string{r.actions.Create, r.actions.Delete, r.actions.Sync, tracker.RefreshAction}, r.actions.Update...)
	for i, action := range actions {
		if slices.Contains(actions[:i], action) {
			return fail("two of its Actions are called %q", action)
		}
		if err := r.engine.CheckKind(r.kind(action)); err != nil {
			return fail("%w", err)
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
	if err := sqlkit.Session(ctx, r.engine.DB()).Table(r.model.table).Select(r.columns()).Where("1 = 0").Find(sample.Interface()).Error; err != nil {
		return fail("table %s is not as its struct says: %w; make it in a migration of yours, StatusColumns has the statements for SyncStatus", r.model.table, err)
	}
	return r.checkKey(ctx)
}

// checkKey refuses a key of which MySQL would take two for one.
func (r *repo) checkKey(ctx context.Context) error {
	db := sqlkit.Session(ctx, r.engine.DB())
	if db.Name() == "sqlite" {
		var made string
		if err := db.Raw("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?", r.model.table).Row().Scan(&made); err == nil &&
			!strings.Contains(strings.ToUpper(made), "AUTOINCREMENT") {
			return fmt.Errorf("repository %s/%s: %s.id must be INTEGER PRIMARY KEY AUTOINCREMENT: otherwise SQLite gives the id of a deleted row to another, and a late job would change that", r.service, r.typ, r.model.table)
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
			return fmt.Errorf("repository %s/%s has a time.Time, which the MySQL driver reads only with parseTime=true&loc=UTC in the DSN: %w", r.service,
				r.typ, err)
		}
	}
	table := r.model.table[strings.LastIndexByte(r.model.table, '.')+1:]
	for _, f := range append(r.model.identity(), r.model.natural...) {
		var collation *string
		err := db.Raw("SELECT collation_name FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = ? AND column_name = ?", table,
			f.column).Row().Scan(&collation)
		if err != nil {
			return fmt.Errorf("read the collation of %s.%s: %w", r.model.table, f.column, err)
		}
		if collation != nil {
			return fmt.Errorf("repository %s/%s: the collation %s of %s.%s takes different keys for one (trailing spaces, perhaps case and accents); declare the column VARBINARY", r.service, r.typ, *collation, r.model.table, f.column)
		}
	}
	return nil
}
