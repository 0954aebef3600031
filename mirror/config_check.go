package mirror

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/schema"

	"github.com/nawasara/nawasync/internal/sqlkit"
)

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
