// Package migrations holds the schema of nawasync for SQLite, PostgreSQL and
// MySQL/MariaDB, and applies it.
//
// Rule for every later migration (expand, deploy, contract): a release must work
// with the schema of the release after it, so a migration only adds; what is no
// longer used is dropped one release later. Columns that are added are nullable or
// have a default. Each file sets schema_version in nawasync_settings, so that the
// engine can tell the version whichever tool applied the file.
package migrations

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
	"gorm.io/gorm"
)

// FS holds the files, in the folders postgres, mysql and sqlite, for hosts that
// apply them with a tool of their own. They are written for goose: the part
// between "-- +goose Up" and "-- +goose Down" is what another tool would run.
//
//go:embed postgres/*.sql mysql/*.sql sqlite/*.sql
var FS embed.FS

// Version is the schema version this release needs. A newer one is accepted.
const Version = 4

// Table is goose's version table; it is nawasync's own and leaves a host's alone.
const Table = "nawasync_migrations"

// ErrOldSchema says that the database lacks what this release needs.
var ErrOldSchema = errors.New("the database schema is too old")

// lockName is the name of MySQL's lock for these migrations, after the database's.
const lockName = "nawasync_migrations"

// lockID is PostgreSQL's advisory lock for these migrations; any fixed number
// that a host is unlikely to use itself will do.
const lockID = 7_305_806_118_442

// Up applies what is missing. Processes that start at once wait for each other.
// It needs a direct connection: a transaction-pooling proxy breaks the lock. It returns the
// database's error, and one for another process that held the lock for 5 minutes.
func Up(ctx context.Context, db *gorm.DB) error {
	return apply(ctx, db, func(p *goose.Provider) error {
		_, err := p.Up(ctx)
		return err
	})
}

// Down removes every table of nawasync, with all that is in them: the jobs, the audit log,
// the policies. It does not ask. It returns the database's error.
func Down(ctx context.Context, db *gorm.DB) error {
	return apply(ctx, db, func(p *goose.Provider) error {
		_, err := p.DownTo(ctx, 0)
		return err
	})
}

// Check returns ErrOldSchema, with what to do, when the schema is missing or
// older than Version.
func Check(ctx context.Context, db *gorm.DB) error {
	var value string
	row := db.Session(&gorm.Session{NewDB: true, Logger: db.Logger.LogMode(1)}).WithContext(ctx).
		Raw("SELECT value FROM nawasync_settings WHERE name = 'schema_version'").Row()
	found := 0
	if row != nil {
		if err := row.Scan(&value); err == nil {
			found, _ = strconv.Atoi(value)
		} else if ctx.Err() != nil {
			return fmt.Errorf("read the schema version: %w", ctx.Err())
		} else if pool, poolErr := db.DB(); poolErr != nil || pool.PingContext(ctx) != nil {
			return fmt.Errorf("read the schema version: %w", err)
		}
	}
	if found < Version {
		return fmt.Errorf("%w: it has version %d and this release needs %d; call migrations.Up(ctx, db) once per deploy, before the processes start, or apply the files in migrations/%s with your own tool",
			ErrOldSchema, found, Version, db.Name())
	}
	return nil
}

func apply(ctx context.Context, db *gorm.DB, run func(*goose.Provider) error) error {
	pool, err := db.DB()
	if err != nil {
		return fmt.Errorf("open the migrations: %w", err)
	}
	dialect, options, err := dialectOf(db.Name())
	if err != nil {
		return err
	}
	files, err := fs.Sub(FS, db.Name())
	if err != nil {
		return fmt.Errorf("open the migrations: %w", err)
	}
	options = append(options, goose.WithTableName(Table), goose.WithDisableGlobalRegistry(true))
	// SQLite has no lock to hold across migrations: two starters may trip over each
	// other's version table. Files are re-runnable, so the loser tries again.
	attempts := 1
	if db.Name() == "sqlite" {
		attempts = 20
	}
	for attempt := 1; ; attempt++ {
		provider, err := goose.NewProvider(dialect, pool, files, options...)
		if err == nil {
			err = run(provider)
		}
		if err == nil {
			return nil
		}
		if attempt >= attempts || ctx.Err() != nil {
			return fmt.Errorf("apply the migrations: %w", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(20+rand.IntN(80)) * time.Millisecond):
		}
	}
}

func dialectOf(name string) (goose.Dialect, []goose.ProviderOption, error) {
	switch name {
	case "postgres":
		locker, err := lock.NewPostgresSessionLocker(lock.WithLockID(lockID), lock.WithLockTimeout(1, 300))
		if err != nil {
			return "", nil, fmt.Errorf("make the lock of the migrations: %w", err)
		}
		return goose.DialectPostgres, []goose.ProviderOption{goose.WithSessionLocker(locker)}, nil
	case "mysql":
		return goose.DialectMySQL, []goose.ProviderOption{goose.WithSessionLocker(mysqlLock{})}, nil
	case "sqlite":
		return goose.DialectSQLite3, nil, nil
	}
	return "", nil, fmt.Errorf("no migrations for dialect %q; there are some for postgres, mysql (MariaDB too) and sqlite", name)
}

// mysqlLock is goose's session lock on GET_LOCK, which the server gives back by
// itself when the session dies.
type mysqlLock struct{}

func (mysqlLock) SessionLock(ctx context.Context, conn *sql.Conn) error {
	var got sql.NullInt64
	if err := conn.QueryRowContext(ctx, "SELECT GET_LOCK(CONCAT(DATABASE(), '.', ?), 300)", lockName).Scan(&got); err != nil {
		return fmt.Errorf("take the migration lock: %w", err)
	}
	if got.Int64 != 1 {
		return errors.New("another process has held the migration lock for 5 minutes")
	}
	return nil
}

func (mysqlLock) SessionUnlock(ctx context.Context, conn *sql.Conn) error {
	_, err := conn.ExecContext(ctx, "DO RELEASE_LOCK(CONCAT(DATABASE(), '.', ?))", lockName)
	return err
}
