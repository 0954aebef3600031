// Package migrations contains nawasync's schema for SQLite, PostgreSQL and MySQL/MariaDB, and
// applies it.
//
// Every new migration follows the pattern expand, deploy, contract. A release must work with the
// schema of the next release, so a migration may only add tables and columns. Tables and columns
// that a release stops using are dropped by the next release. A new column is nullable or has a
// default. Each file sets schema_version in nawasync_settings, so that the engine knows the version
// no matter which tool applied the file.
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

	"github.com/nawasara/nawasync/internal/sqlkit"
)

// FS contains the migration files in the folders postgres, mysql and sqlite. Use FS to apply the
// files with another migration tool instead of Up. The files are written for goose: another tool
// must run only the part between "-- +goose Up" and "-- +goose Down".
//
//go:embed postgres/*.sql mysql/*.sql sqlite/*.sql
var FS embed.FS

// Version is the schema version that this release needs. A newer version is accepted.
const Version = 18

// first is the version of the first migration file. Earlier versions were never released.
const first = 6

// Table is the table in which goose records the applied versions. It is separate from goose's
// default table, which the host application may use.
const Table = "nawasync_migrations"

// ErrOldSchema says that the database schema is missing or older than Version.
var ErrOldSchema = errors.New("the database schema is too old")

// lockName is the name of the migration lock in MySQL, after the database's name and a dot: all
// databases of a server share their lock names.
const lockName = "nawasync_migrations"

// lockID identifies the migration lock among PostgreSQL's advisory locks. The number is arbitrary;
// the host application must not use it for another lock.
const lockID = 7_305_806_118_442

// Up applies the missing migrations. Several processes may call Up at the same time; each migration
// is still applied once. Up needs a direct connection, because a transaction-pooling proxy breaks
// the migration lock. It returns the database's error, or an error if another process holds the
// lock for more than 5 minutes.
func Up(ctx context.Context, db *gorm.DB) error {
	return apply(ctx, db, func(p *goose.Provider) error {
		_, err := p.Up(ctx)
		return err
	})
}

// Down drops every table of nawasync with its data: jobs, the audit log and policies. It does not
// ask for confirmation. It returns the database's error.
func Down(ctx context.Context, db *gorm.DB) error {
	return apply(ctx, db, func(p *goose.Provider) error {
		_, err := p.DownTo(ctx, 0)
		return err
	})
}

// Check returns ErrOldSchema if the schema is missing or older than Version. The error says how to
// apply the migrations. If the database cannot be reached, Check returns the connection's error.
func Check(ctx context.Context, db *gorm.DB) error {
	var value string
	found := 0
	// Not through gorm's callbacks: a plugin such as dbresolver would read a replica, which may be behind.
	if err := sqlkit.Connect(ctx, db).Row("SELECT value FROM nawasync_settings WHERE name = 'schema_version'").Scan(&value); err == nil {
		found, _ = strconv.Atoi(value)
	} else if ctx.Err() != nil {
		return fmt.Errorf("read the schema version: %w", ctx.Err())
	} else if pool, poolErr := db.DB(); poolErr != nil || pool.PingContext(ctx) != nil {
		return fmt.Errorf("read the schema version: %w", err)
	}
	if found > 0 && found < first {
		return fmt.Errorf("%w: it has version %d, which is from before the first release and cannot be upgraded; use a new database, or drop the tables whose names begin with nawasync_ and call migrations.Up(ctx, db)",
			ErrOldSchema, found)
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
	// SQLite has no lock that lasts across migrations: two processes that start at the same time
	// can fail on each other's changes of the version table. The files can safely run again, so Up
	// retries in the process that failed.
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

// mysqlLock implements goose's session lock with GET_LOCK. The server releases the lock when the
// session ends.
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
