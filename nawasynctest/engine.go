package nawasynctest

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/glebarez/sqlite"
	"github.com/redis/go-redis/v9"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/migrations"
	"github.com/nawasara/nawasync/secret"
)

// NewDB returns a new SQLite database with nawasync's schema. It is closed when the test ends.
func NewDB(t testing.TB) *gorm.DB {
	t.Helper()
	dsn := "file:" + filepath.Join(t.TempDir(), "test.db") + sqlkit.SQLiteOptions
	db, err := gorm.Open(sqlite.Open(dsn), &gorm.Config{Logger: logger.Discard})
	requireNoError(t, err)
	t.Cleanup(func() {
		if pool, err := db.DB(); err == nil {
			_ = pool.Close()
		}
	})
	requireNoError(t, migrations.Up(context.Background(), db))
	return db
}

// NewEngine returns an engine with a new SQLite database and an in-memory Redis server. It seals
// secrets with a random key and logs to the test's log. Each change function may set fields of the
// Config, for example set DB to a database from NewDB to which the test has added tables. Register
// handlers and then call Drain or Start; the engine is stopped when the test ends.
func NewEngine(t testing.TB, change ...func(*nawasync.Config)) *nawasync.Engine {
	t.Helper()
	server := miniredis.NewMiniRedis()
	client := redis.NewClient(&redis.Options{Dialer: func(context.Context, string, string) (net.Conn, error) { return server.Dial() }})
	t.Cleanup(func() {
		_ = client.Close()
		server.Close()
	})
	key := make([]byte, secret.MinKey)
	_, _ = rand.Read(key) // documented never to fail
	keyring, err := secret.NewKeyring(key)
	requireNoError(t, err)
	config := nawasync.Config{Redis: client, Sealer: keyring, StopGrace: time.Second, Logger: slog.New(slog.NewTextHandler(testLog{t}, nil))}
	for _, set := range change {
		if set != nil {
			set(&config)
		}
	}
	if config.DB == nil {
		config.DB = NewDB(t)
	}
	engine, err := nawasync.New(config)
	requireNoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := engine.Stop(ctx); err != nil {
			t.Errorf("stop the engine: %v", err)
		}
	})
	return engine
}

// testLog writes log lines to the test's log.
type testLog struct{ t testing.TB }

func (l testLog) Write(p []byte) (int, error) {
	l.t.Log(strings.TrimSuffix(string(p), "\n"))
	return len(p), nil
}

func requireNoError(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
