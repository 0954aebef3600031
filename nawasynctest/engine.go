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

// NewDB is an SQLite database of the test's own, with nawasync's schema. It is closed when
// the test ends.
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

// NewEngine is an engine on an SQLite database of the test's own and a Redis in memory: it
// needs no server. Secrets are sealed with a random key. change sets what the test wants
// otherwise: Config.DB, for instance, to a NewDB with tables of the test's own. Register
// handlers, then Start it; it is stopped when the test ends. Its log is the test's, shown
// when the test fails.
func NewEngine(t testing.TB, change ...func(*nawasync.Config)) *nawasync.Engine {
	t.Helper()
	server := miniredis.NewMiniRedis()
	client := redis.NewClient(&redis.Options{Dialer: func(context.Context, string, string) (net.Conn, error) { return server.Dial() }})
	t.Cleanup(func() {
		_ = client.Close()
		server.Close()
	})
	key := make([]byte, secret.MinKey)
	_, _ = rand.Read(key) // never fails, by its documentation
	ring, err := secret.NewKeyring(key)
	requireNoError(t, err)
	config := nawasync.Config{Redis: client, Sealer: ring, StopGrace: time.Second, Logger: slog.New(slog.NewTextHandler(testLog{t}, nil))}
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

// testLog writes log lines to the test's own log.
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
