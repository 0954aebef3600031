package enginetest

import (
	"context"
	"net"
	"os"
	"path/filepath"

	"github.com/alicebob/miniredis/v2"
	"github.com/glebarez/sqlite"
	"github.com/redis/go-redis/v9"
	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/migrations"
	"github.com/nawasara/nawasync/secret"
)

// ExampleServers returns an empty, migrated database and a Redis. It is for documentation
// examples, which have no testing.T; it panics on errors.
func ExampleServers() (db *gorm.DB, client *redis.Client, closeAll func()) {
	folder, err := os.MkdirTemp("", "nawasync")
	panicOnError(err)
	db, err = gorm.Open(sqlite.Open(testdb.SQLiteDSN(filepath.Join(folder, "app.db"))), &gorm.Config{})
	panicOnError(err)
	panicOnError(migrations.Up(context.Background(), db))
	memory := miniredis.NewMiniRedis()
	client = redis.NewClient(&redis.Options{Dialer: func(context.Context, string, string) (net.Conn, error) { return memory.Dial() }})
	return db, client, func() {
		_ = client.Close()
		memory.Close()
		if pool, err := db.DB(); err == nil {
			_ = pool.Close()
		}
		_ = os.RemoveAll(folder)
	}
}

// Example returns a started engine on ExampleServers. It calls register before the start. Receive
// from events to wait for a job.
func Example(register func(*nawasync.Engine, *gorm.DB) error) (engine *nawasync.Engine, db *gorm.DB, events chan nawasync.Event, stop func()) {
	return ExampleWith(nil, register)
}

// ExampleWith is Example with a Sealer.
func ExampleWith(
	sealer secret.Sealer,
	register func(*nawasync.Engine, *gorm.DB) error,
) (engine *nawasync.Engine, db *gorm.DB, events chan nawasync.Event, stop func()) {
	db, client, closeAll := ExampleServers()
	events = make(chan nawasync.Event, 10)
	engine, err := nawasync.New(nawasync.Config{DB: db, Redis: client, Sealer: sealer, OnEvent: func(_ context.Context, e nawasync.Event) { events <- e }})
	panicOnError(err)
	panicOnError(register(engine, db))
	panicOnError(engine.Start(context.Background()))
	return engine, db, events, func() {
		panicOnError(engine.Stop(context.Background()))
		closeAll()
	}
}

func panicOnError(err error) {
	if err != nil {
		panic(err)
	}
}
