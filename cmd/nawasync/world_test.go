package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/glebarez/sqlite"
	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/nawasynctest"
)

// zone is a row of the repository of the tests.
type zone struct {
	ID      uint64
	Account string `sync:"scope,limit"`
	Name    string `sync:"key"`
	Plan    string
	nawasync.SyncStatus
}

func (zone) TableName() string { return "zones" }

// rename is a job that fails, with a secret.
type rename struct {
	Name     string          `json:"name"`
	Password nawasync.Secret `json:"password"`
}

func (rename) Kind() nawasync.Kind {
	return nawasync.Kind{Service: "dns", Type: "zone", Action: "rename"}
}
func (a rename) Target() nawasync.Target { return nawasync.Target{Instance: "main", ID: a.Name} }

type renamer struct{ nawasync.AbstractJob[rename] }

func (renamer) Execute(_ context.Context, r *nawasync.Run[rename]) error {
	known := r.Args.Password.Reveal() == password
	return nawasync.Permanent(fmt.Errorf("the \x1b[31mname\u202e is taken (password known: %t); %s.", known, strings.Repeat("long ", 40)))
}

const password = "hunter2-of-the-job"

// world is a database with an engine whose jobs drain runs, and the command line that uses the same database.
type world struct {
	t      *testing.T
	dsn    string
	engine *nawasync.Engine
	clock  *nawasynctest.Clock
	repo   nawasync.SyncedRepository[zone]
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dsn: "sqlite:" + filepath.Join(t.TempDir(), "test.db"), clock: nawasynctest.NewClock(time.Now().UTC())}
	if out := w.succeed("migrate", "up"); !strings.Contains(out, "the schema has version") {
		t.Fatal(out)
	}
	db, err := gorm.Open(sqlite.Open("file:" + strings.TrimPrefix(w.dsn, "sqlite:") + "?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_txlock=immediate"))
	w.noError(err)
	t.Cleanup(func() {
		pool, _ := db.DB()
		_ = pool.Close()
	})
	statements, err := mirror.TableStatements[zone]("sqlite")
	w.noError(err)
	for _, statement := range statements {
		w.noError(db.Exec(statement).Error)
	}
	w.engine = nawasynctest.NewEngine(t, func(c *nawasync.Config) {
		c.DB, c.Now, c.Queues = db, w.clock.Now, map[string]nawasync.Queue{"syncs": {}, nawasync.DefaultQueue: {}}
	})
	remote := &nawasynctest.FakeRemote[zone]{
		Key: func(z zone) string { return z.Account + "/" + z.Name }, InScope: func(z, scope zone) bool { return z.Account == scope.Account },
	}
	remote.Put(zone{Account: "main", Name: "a.example", Plan: "free"}, zone{Account: "other", Name: "b.example", Plan: "free"})
	w.repo, err = mirror.New(w.engine, mirror.Config[zone]{Service: "dns", Type: "zone", Remote: remote, SyncQueue: "syncs", SyncMaxAttempts: 5, Settle: -1})
	w.noError(err)
	w.noError(nawasync.Register(w.engine, renamer{}))
	return w
}

func (w *world) noError(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) drain() {
	w.t.Helper()
	w.noError(nawasynctest.Drain(w.t.Context(), w.engine, w.clock))
}

// failed dispatches a job that fails, and returns its id as text.
func (w *world) failed(name string) string {
	w.t.Helper()
	job, err := w.engine.Dispatch(w.t.Context(), rename{name, nawasync.NewSecret(password)}, nawasync.Options{By: "user:7"})
	w.noError(err)
	w.drain()
	return fmt.Sprint(job.ID)
}

// run runs a command line with the database. Nothing that it prints may have the secret of a job.
func (w *world) run(args ...string) (code int, stdout, stderr string) {
	w.t.Helper()
	code, stdout, stderr = execute(w.t, append(args, "-dsn", w.dsn)...)
	if strings.Contains(stdout+stderr, password) {
		w.t.Errorf("%v prints the secret of a job: %s%s", args, stdout, stderr)
	}
	return code, stdout, stderr
}

func (w *world) succeed(args ...string) string {
	w.t.Helper()
	code, stdout, stderr := w.run(args...)
	if code != 0 {
		w.t.Fatalf("%v: exit code %d: %s", args, code, stderr)
	}
	return stdout
}

// decoded runs a command line with -json and decodes what it prints.
func decoded[T any](w *world, args ...string) (value T) {
	w.t.Helper()
	if err := json.Unmarshal([]byte(w.succeed(append(args, "-json")...)), &value); err != nil {
		w.t.Fatalf("%v: %v", args, err)
	}
	return value
}
