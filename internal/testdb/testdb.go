// Package testdb gives each test its own empty, migrated database, on each database system that
// nawasync supports. Only tests import it.
package testdb

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/glebarez/sqlite"
	drivermysql "github.com/go-sql-driver/mysql"
	"github.com/redis/go-redis/v9"
	"gorm.io/driver/mysql"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/migrations"
)

// The environment variables with the addresses of test servers. A test is skipped if the variable
// that it needs is not set.
const (
	PostgresVariable = "NAWASYNC_TEST_POSTGRES" // postgres://user@host:port/database?sslmode=disable
	MySQLVariable    = "NAWASYNC_TEST_MYSQL"    // user:password@tcp(host:port)/database
	RedisVariable    = "NAWASYNC_TEST_REDIS"    // redis://host:port/0
)

// Opener opens a database of one dialect for a test.
type Opener struct {
	Name string
	Open func(t testing.TB) *Database
}

// Database is the database of one test.
type Database struct {
	*gorm.DB
	Dialect string
	DSN     string // opens the database again, also in another process
}

// Openers returns the openers of all dialects. SQLite comes first.
func Openers() []Opener {
	return []Opener{{"sqlite", SQLite}, {"postgres", Postgres}, {"mysql", MySQL}}
}

// Each runs a test on a database of each dialect, in parallel.
func Each(t *testing.T, fn func(t *testing.T, db *Database)) {
	t.Helper()
	for _, opener := range Openers() {
		t.Run(opener.Name, func(t *testing.T) {
			t.Parallel()
			fn(t, opener.Open(t))
		})
	}
}

// SQLiteDSN returns the DSN of a SQLite file with the settings that nawasync recommends.
func SQLiteDSN(path string) string {
	return "file:" + path + sqlkit.SQLiteOptions
}

// SQLite returns a database in the test's temporary folder.
func SQLite(t testing.TB) *Database {
	t.Helper()
	return openDB(t, "sqlite", SQLiteDSN(filepath.Join(t.TempDir(), "test.db")))
}

// Postgres returns a new schema in the database that PostgresVariable names. It skips the test if
// the variable is not set.
func Postgres(t testing.TB) *Database {
	t.Helper()
	dsn := address(t, PostgresVariable)
	name := newName()
	admin, err := gorm.Open(postgres.Open(dsn), config())
	requireNoError(t, err)
	requireNoError(t, admin.Exec("CREATE SCHEMA "+name).Error)
	t.Cleanup(func() {
		_ = admin.Exec("DROP SCHEMA " + name + " CASCADE").Error
		closeDB(admin)
	})
	u, err := url.Parse(dsn)
	requireNoError(t, err)
	q := u.Query()
	q.Set("search_path", name)
	u.RawQuery = q.Encode()
	return openDB(t, "postgres", u.String())
}

// MySQL returns a new database on the server that MySQLVariable names. It skips the test if the
// variable is not set.
func MySQL(t testing.TB) *Database {
	t.Helper()
	dsn := address(t, MySQLVariable)
	name := newName()
	admin, err := gorm.Open(mysql.Open(dsn), config())
	requireNoError(t, err)
	requireNoError(t, admin.Exec("CREATE DATABASE "+name).Error)
	t.Cleanup(func() {
		_ = admin.Exec("DROP DATABASE " + name).Error
		closeDB(admin)
	})
	c, err := drivermysql.ParseDSN(dsn)
	requireNoError(t, err)
	c.DBName = name
	return openDB(t, "mysql", c.FormatDSN())
}

// Open opens a database. The dialect and the DSN have the form of those in a Database.
func Open(dialect, dsn string) (*gorm.DB, error) {
	db, err := gorm.Open(dialector(dialect, dsn), config())
	if err != nil {
		return nil, err
	}
	pool, err := db.DB()
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(8)
	pool.SetMaxIdleConns(8)
	return db, nil
}

func dialector(dialect, dsn string) gorm.Dialector {
	switch dialect {
	case "postgres":
		return postgres.Open(dsn)
	case "mysql":
		return mysql.Open(dsn)
	}
	return sqlite.Open(dsn)
}

func openDB(t testing.TB, dialect, dsn string) *Database {
	t.Helper()
	db, err := Open(dialect, dsn)
	requireNoError(t, err)
	t.Cleanup(func() { closeDB(db) })
	requireNoError(t, migrations.Up(context.Background(), db))
	return &Database{DB: db, Dialect: dialect, DSN: dsn}
}

// Redis returns a client of the server that RedisVariable names. It skips the test if the variable
// is not set.
func Redis(t testing.TB) *redis.Client {
	t.Helper()
	o, err := redis.ParseURL(address(t, RedisVariable))
	requireNoError(t, err)
	client := redis.NewClient(o)
	t.Cleanup(func() { _ = client.Close() })
	requireNoError(t, client.Ping(context.Background()).Err())
	return client
}

func address(t testing.TB, variable string) string {
	t.Helper()
	value := os.Getenv(variable)
	if value == "" {
		t.Skipf("this test needs a server: set %s", variable)
	}
	return value
}

func newName() string {
	return fmt.Sprintf("nawasync_%d_%s", time.Now().Unix(), strings.ToLower(rand.Text()[:8]))
}

func config() *gorm.Config { return &gorm.Config{Logger: logger.Discard} }

func closeDB(db *gorm.DB) {
	if pool, err := db.DB(); err == nil {
		_ = pool.Close()
	}
}

func requireNoError(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// WithIdleLimit opens the database again, with connections whose idle transactions the server ends after a minute.
func WithIdleLimit(t testing.TB, db *Database) *Database {
	t.Helper()
	settings := map[string]string{"postgres": "idle_in_transaction_session_timeout=60000", "mysql": "wait_timeout=60"}
	separator := "?"
	if strings.Contains(db.DSN, "?") {
		separator = "&"
	}
	dsn := db.DSN + separator + settings[db.Dialect]
	limited, err := Open(db.Dialect, dsn)
	requireNoError(t, err)
	t.Cleanup(func() { closeDB(limited) })
	return &Database{DB: limited, Dialect: db.Dialect, DSN: dsn}
}
