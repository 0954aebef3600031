package nawasync_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/migrations"
	"github.com/nawasara/nawasync/tracker"
)

func TestDispatchInsideAnOpenSQLiteTransactionNamesDispatchTx(t *testing.T) {
	t.Parallel()
	h := newHarness(t, testdb.SQLite(t))
	e := h.engine(nil)
	inside := func() error {
		_, err := e.Dispatch(context.Background(), note{ID: "a"}, nawasync.Options{})
		return err
	}
	for name, err := range map[string]error{
		"in Engine.Transaction": e.Transaction(t.Context(), func(*gorm.DB) error { return inside() }),
		"in the host's own": h.db.Transaction(func(tx *gorm.DB) error {
			if err := tx.Exec("DELETE FROM nawasync_scopes").Error; err != nil {
				return err
			}
			return inside()
		}),
	} {
		if !errors.Is(err, nawasync.ErrDatabaseBusy) || !strings.Contains(err.Error(), "DispatchTx") {
			t.Errorf("%s: %v", name, err)
		}
	}
	page, err := e.Store().Search(t.Context(), tracker.Search{}, 0, 0, 10)
	ok(t, err)
	if len(page.Jobs) != 0 {
		t.Errorf("%d rows were left behind", len(page.Jobs))
	}
}

func TestNewRefusesAnOldSchemaAndAnUnfitSQLite(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		old := func() {
			t.Helper()
			_, err := nawasync.New(nawasync.Config{DB: db.DB})
			if !errors.Is(err, migrations.ErrOldSchema) || !strings.Contains(err.Error(), "migrations.Up(ctx, db)") {
				t.Errorf("%v", err)
			}
		}
		ok(t, db.Exec("UPDATE nawasync_settings SET value = '0' WHERE name = 'schema_version'").Error)
		old()
		ok(t, migrations.Down(t.Context(), db.DB))
		old()
		if db.Dialect != "sqlite" {
			return
		}
		plain, err := testdb.Open("sqlite", "file:"+t.TempDir()+"/plain.db")
		ok(t, err)
		defer func() {
			if pool, err := plain.DB(); err == nil {
				_ = pool.Close()
			}
		}()
		ok(t, migrations.Up(t.Context(), plain))
		if _, err := nawasync.New(nawasync.Config{DB: plain}); err == nil || !strings.Contains(err.Error(), "journal_mode(WAL)") {
			t.Errorf("%v", err)
		}
	})
}

func TestStartWarnsOfARedisThatEvicts(t *testing.T) {
	t.Parallel()
	db := testdb.Postgres(t)
	h := newHarness(t, db)
	h.redis, _ = privateRedis(t)
	ok(t, h.redis.ConfigSet(t.Context(), "maxmemory-policy", "allkeys-lru").Err())
	h.start(h.engine(nil))
	if log := h.log.String(); !strings.Contains(log, "maxmemory-policy=allkeys-lru") {
		t.Errorf("no warning in:\n%s", log)
	}
}

type renamed struct {
	ID string `json:"id"`
}

func (renamed) Kind() nawasync.Kind {
	return nawasync.Kind{Service: "notes", Type: "note", Action: "rewrite"}
}
func (r renamed) Target() nawasync.Target { return nawasync.Target{ID: r.ID} }
func (renamed) KindAliases() []nawasync.Kind {
	return []nawasync.Kind{note{}.Kind()}
}

func TestRenamedKindStillRunsItsOldRows(t *testing.T) {
	t.Parallel()
	h := newHarness(t, testdb.SQLite(t))
	e := h.engine(func(c *nawasync.Config) { c.Sealer = keyring(t, newKey(t)) })
	old := dispatch(t, e, note{ID: "a", N: 5}) // its field n is unknown to the new arguments
	ok(t, nawasync.Register(e, &handler[renamed]{fn: func(_ context.Context, run *nawasync.Run[renamed]) error {
		if run.Args.ID != "a" {
			return fmt.Errorf("arguments %+v", run.Args)
		}
		return nil
	}}))
	if err := nawasync.Register(e, &handler[note]{}); err == nil {
		t.Error("one kind was registered twice")
	}
	h.start(e)
	if err := nawasync.Register(e, &handler[other]{}); !errors.Is(err, nawasync.ErrStarted) {
		t.Error(err)
	}
	waitStatus(t, e, old.ID, tracker.Success)
}

func TestStopWhileAVerdictCannotBeWrittenLosesNothing(t *testing.T) {
	servers(t, func(t *testing.T, h *harness) {
		db, wire := through(t, h)
		e := h.tuned(nawasync.Tuning{Beat: 100 * time.Millisecond}, func(c *nawasync.Config) { c.DB = db; c.StopGrace = -1 })
		executing, proceed := make(chan struct{}), make(chan struct{})
		ok(t, nawasync.Register(e, &handler[note]{fn: func(context.Context, *nawasync.Run[note]) error {
			close(executing)
			<-proceed
			return nil
		}}))
		h.start(e)
		job := dispatch(t, e, note{ID: "a"})
		<-executing
		wire.cut(true)
		close(proceed)
		eventually(t, 20*time.Second, "a verdict that is retried", func() bool { return strings.Contains(h.log.String(), "a verdict could not be written; trying again") })
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		_ = e.Stop(ctx)
		wire.cut(false)
		next := h.tuned(nawasync.Tuning{Beat: 100 * time.Millisecond, Patience: 2 * time.Second, Trust: 1500 * time.Millisecond}, nil)
		ok(t, nawasync.Register(next, &handler[note]{fn: func(context.Context, *nawasync.Run[note]) error { return nil }}))
		h.start(next)
		waitStatus(t, next, job.ID, tracker.Success)
	})
}

// boxed needs its fields for what it says of itself.
type boxed struct {
	Box *struct{ Name string } `json:"box"`
	ID  string                 `json:"id"`
}

func (boxed) Kind() nawasync.Kind {
	return nawasync.Kind{Service: "notes", Type: "box", Action: "open"}
}
func (b boxed) Target() nawasync.Target { return nawasync.Target{ID: b.ID} }
func (b boxed) Lane() string            { return b.Box.Name }
func (b boxed) MaxAttempts() int        { return len(b.Box.Name) }
func (b boxed) Unique() nawasync.Unique { return nawasync.Unique{} }

type boxedQueue struct{ boxed }

func (b boxedQueue) Queue() string { return b.Box.Name }

func TestRegisterAsksAZeroValueOnlyForWhatDoesNotDependOnFields(t *testing.T) {
	t.Parallel()
	h := newHarness(t, testdb.SQLite(t))
	e := h.engine(nil)
	if err := nawasync.Register(e, &handler[boxedQueue]{}); err == nil || !strings.Contains(err.Error(), "must not depend on its fields") {
		t.Error(err)
	}
	ok(t, nawasync.Register(e, &handler[boxed]{}))
}

func TestArgumentsChooseTheirLaneAndTheirAttempts(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := newHarness(t, db)
		e := h.engine(nil)
		var inside, most atomic.Int64
		ok(t, nawasync.Register(e, &handler[boxed]{backoff: time.Millisecond, fn: func(context.Context, *nawasync.Run[boxed]) error {
			most.Store(max(most.Load(), inside.Add(1)))
			defer inside.Add(-1)
			runtime.Gosched()
			return errBoom
		}}))
		var jobs []*tracker.Job
		for i := range 8 {
			args := boxed{ID: strconv.Itoa(i)}
			args.Box = &struct{ Name string }{"ab"}
			jobs = append(jobs, dispatch(t, e, args))
		}
		h.start(e)
		for _, job := range jobs {
			if row := waitStatus(t, e, job.ID, tracker.Failed); row.Attempt != 2 || row.MaxAttempts != 2 {
				t.Errorf("%+v", row)
			}
		}
		if most.Load() != 1 {
			t.Errorf("%d jobs of one lane ran at once", most.Load())
		}
		// Each burned its attempts before the next of the lane began.
		for i := 1; i < len(jobs); i++ {
			before, err := e.Store().Get(t.Context(), jobs[i-1].ID)
			ok(t, err)
			after, err := e.Store().Get(t.Context(), jobs[i].ID)
			ok(t, err)
			if after.StartedAt.Before(before.FinishedAt) {
				t.Errorf("job %d began before job %d ended", after.ID, before.ID)
			}
		}
	})
}
