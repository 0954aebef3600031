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
)

// Example is what a host sets up once, with what is to be registered before the start,
// for examples in documentation. Their wait ends with an event.
func Example(register func(*nawasync.Engine, *gorm.DB) error) (engine *nawasync.Engine, db *gorm.DB, events chan nawasync.Event, stop func()) {
	must := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	folder, err := os.MkdirTemp("", "nawasync")
	must(err)
	db, err = gorm.Open(sqlite.Open(testdb.SQLiteDSN(filepath.Join(folder, "app.db"))), &gorm.Config{})
	must(err)
	must(migrations.Up(context.Background(), db))
	memory := miniredis.NewMiniRedis()
	client := redis.NewClient(&redis.Options{Dialer: func(context.Context, string, string) (net.Conn, error) { return memory.Dial() }})
	events = make(chan nawasync.Event, 10)
	engine, err = nawasync.New(nawasync.Config{DB: db, Redis: client, OnEvent: func(_ context.Context, e nawasync.Event) { events <- e }})
	must(err)
	must(register(engine, db))
	must(engine.Start(context.Background()))
	return engine, db, events, func() {
		must(engine.Stop(context.Background()))
		_ = client.Close()
		memory.Close()
		if pool, err := db.DB(); err == nil {
			_ = pool.Close()
		}
		_ = os.RemoveAll(folder)
	}
}
