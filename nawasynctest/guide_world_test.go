package nawasynctest_test

import (
	"crypto/rand"
	"net/url"
	"os"
	"strings"
	"testing"

	"gorm.io/driver/postgres"
	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/migrations"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/nawasynctest"
	"github.com/nawasara/nawasync/tracker"
)

// domain is a row of the module that the guide tests.
type domain struct {
	ID      uint64
	Name    string `sync:"key"`
	Contact string
	nawasync.SyncStatus
}

// world is a module with a remote in memory.
type world struct {
	clock   *nawasynctest.Clock
	remote  *nawasynctest.FakeRemote[domain]
	engine  *nawasync.Engine
	domains nawasync.SyncedRepository[domain]
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{clock: nawasynctest.NewClock(noon)}
	w.remote = &nawasynctest.FakeRemote[domain]{Key: func(d domain) string { return d.Name }}
	db := newDatabase(t)
	statements, err := mirror.TableStatements[domain](db.Name()) // or run the module's migrations
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range statements {
		if err := db.Exec(statement).Error; err != nil {
			t.Fatal(err)
		}
	}
	w.engine = nawasynctest.NewEngine(t, func(c *nawasync.Config) { c.DB, c.Now = db, w.clock.Now })
	w.domains, err = mirror.New(w.engine, mirror.Config[domain]{Service: "dns", Type: "domain", Remote: w.remote, Settle: -1})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// drain runs all jobs, and returns one of them as it is then.
func (w *world) drain(t *testing.T, job *tracker.Job, err error) *tracker.Job {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if err := nawasynctest.Drain(t.Context(), w.engine, w.clock); err != nil {
		t.Fatal(err)
	}
	if job, err = w.engine.Reader().Get(t.Context(), job.ID); err != nil {
		t.Fatal(err)
	}
	return job
}

// sync syncs all domains.
func (w *world) sync(t *testing.T) *tracker.Job {
	t.Helper()
	job, err := w.domains.SyncNow(t.Context(), domain{}, "", nawasync.Options{})
	return w.drain(t, job, err)
}

// add adds an object to the remote, and returns its row.
func (w *world) add(t *testing.T, object domain) domain {
	t.Helper()
	w.remote.Put(object)
	w.sync(t)
	return w.row(t, object)
}

func (w *world) row(t *testing.T, key domain) domain {
	t.Helper()
	row, err := w.domains.FindKey(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return row
}

// newDatabase returns a database of the test's own: on the PostgreSQL of a variable or, if it is not set, an SQLite file.
func newDatabase(t *testing.T) *gorm.DB {
	t.Helper()
	address := os.Getenv("NAWASYNC_TEST_POSTGRES") // postgres://user@host:5432/database; name yours
	if address == "" {
		return nawasynctest.NewDB(t)
	}
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	server := openPostgres(t, u.String())
	u.Path = "/guide_" + strings.ToLower(rand.Text())
	if err := server.Exec("CREATE DATABASE " + u.Path[1:]).Error; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Exec("DROP DATABASE " + u.Path[1:] + " WITH (FORCE)") })
	db := openPostgres(t, u.String())
	if err := migrations.Up(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	return db
}

func openPostgres(t *testing.T, address string) *gorm.DB {
	t.Helper()
	db, err := gorm.Open(postgres.Open(address), &gorm.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if pool, err := db.DB(); err == nil {
			_ = pool.Close()
		}
	})
	return db
}
