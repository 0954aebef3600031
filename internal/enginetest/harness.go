// Package enginetest sets up engines for this module's tests. It provides databases, Redis
// servers, logs, jobs that run a test's function, and child processes that a test can kill. Only
// tests import it.
package enginetest

import (
	"bytes"
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/migrations"
)

// Harness is one test's database, Redis and log.
type Harness struct {
	T     *testing.T
	DB    *testdb.Database
	Redis *redis.Client
	Mini  *miniredis.Miniredis // nil if Redis is a real server
	Log   *LogBuffer
	shift atomic.Int64 // nanoseconds that Skip has added to the clock
}

// Config returns a configuration with the harness's database, Redis and log.
func (h *Harness) Config() nawasync.Config {
	return nawasync.Config{
		DB: h.DB.DB, Redis: h.Redis, StopGrace: time.Second,
		Logger: slog.New(slog.NewTextHandler(h.Log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
}

// Engine returns an engine that is stopped at the end of the test. change, if not nil, changes
// its configuration.
func (h *Harness) Engine(change func(*nawasync.Config)) *nawasync.Engine {
	return h.Tuned(host.Tuning{}, change)
}

// Tuned is like Engine, but with other intervals. Zero fields keep their defaults.
func (h *Harness) Tuned(tuning host.Tuning, change func(*nawasync.Config)) *nawasync.Engine {
	h.T.Helper()
	c := h.Config()
	if change != nil {
		change(&c)
	}
	c.SetTuning(tuning)
	e, err := nawasync.New(c)
	NoError(h.T, err)
	h.T.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := e.Stop(ctx); err != nil && !strings.Contains(err.Error(), "ignored the end") {
			h.T.Error(err)
		}
	})
	return e
}

// Start starts an engine.
func (h *Harness) Start(e *nawasync.Engine) *nawasync.Engine {
	h.T.Helper()
	NoError(h.T, e.Start(h.T.Context()))
	return e
}

// Unhurried returns an engine for virtual time, with long intervals. Skip advances its clock.
func (h *Harness) Unhurried(change func(*nawasync.Config)) *nawasync.Engine {
	return h.Tuned(UnhurriedTuning, func(c *nawasync.Config) {
		c.Queues = map[string]nawasync.Queue{"default": {Slots: 2}}
		c.Now = func() time.Time { return time.Now().Add(time.Duration(h.shift.Load())) }
		if change != nil {
			change(c)
		}
	})
}

// Skip advances the clock of the engines by d, without the ticks in between. It then sleeps long
// enough for every background loop to run.
func (h *Harness) Skip(d time.Duration) {
	h.shift.Add(int64(d))
	time.Sleep(6 * time.Minute)
}

// New returns a harness on db. With SQLite it uses a new miniredis. With other databases it uses
// the server of testdb.Redis.
func New(t *testing.T, db *testdb.Database) *Harness {
	t.Helper()
	h := &Harness{T: t, DB: db, Log: &LogBuffer{}}
	if db.Dialect == "sqlite" {
		h.Mini, h.Redis = MiniRedis(t)
	} else {
		h.Redis = testdb.Redis(t)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log:\n%s", h.Log.String())
		}
	})
	return h
}

// WithVirtualTime runs a test in a synctest bubble, in which time advances as soon as all
// goroutines are blocked.
func WithVirtualTime(t *testing.T, fn func(t *testing.T, h *Harness)) {
	t.Helper()
	t.Parallel()
	path := filepath.Join(t.TempDir(), "virtual.db")
	synctest.Test(t, func(t *testing.T) {
		db, err := testdb.Open("sqlite", testdb.SQLiteDSN(path))
		NoError(t, err)
		t.Cleanup(func() {
			pool, err := db.DB()
			NoError(t, err)
			NoError(t, pool.Close())
		})
		NoError(t, migrations.Up(t.Context(), db))
		fn(t, New(t, &testdb.Database{DB: db, Dialect: "sqlite", DSN: testdb.SQLiteDSN(path)}))
	})
}

// UnhurriedTuning has long intervals, so that the background loops do not run millions of times
// during virtual weeks.
var UnhurriedTuning = host.Tuning{
	Poll: 5 * time.Second, Listen: time.Hour, Dequeue: 5 * time.Second, Sweep: time.Hour,
	Beat: 20 * time.Second, LeaseTTL: 2 * time.Minute, DeadAfter: 5 * time.Minute,
	Rollup: time.Minute, Prune: 2 * time.Minute, Schedule: 20 * time.Second, Calls: time.Minute,
}

// LogBuffer stores what is written to it. It is safe for concurrent use.
type LogBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (l *LogBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buffer.Write(p)
}

func (l *LogBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buffer.String()
}

// Store returns an engine's store, which can also write and read the columns that only the engine
// uses.
func Store(e *nawasync.Engine) *jobstore.Store { return e.Internals(host.NewKey()).Store() }

// Stored reads a job with the columns that only the engine uses.
func Stored(t testing.TB, e *nawasync.Engine, id int64) *jobstore.Job {
	t.Helper()
	job, err := Store(e).Load(context.Background(), id)
	NoError(t, err)
	return job
}
