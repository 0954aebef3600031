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

	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/host"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/migrations"
	"github.com/nawasara/nawasync/tracker"
)

func TestDispatchInsideAnOpenSQLiteTransactionNamesDispatchTx(t *testing.T) {
	t.Parallel()
	h := enginetest.New(t, testdb.SQLite(t))
	e := h.Engine(nil)
	inside := func() error {
		_, err := e.Dispatch(context.Background(), enginetest.Note{ID: "a"}, nawasync.Options{})
		return err
	}
	for name, err := range map[string]error{
		"in Engine.Transaction": e.Transaction(t.Context(), func(*gorm.DB) error { return inside() }),
		"in the host's own": h.DB.Transaction(func(tx *gorm.DB) error {
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
	page, err := e.Reader().Search(t.Context(), tracker.Search{Limit: 10})
	enginetest.OK(t, err)
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
		enginetest.OK(t, db.Exec("UPDATE nawasync_settings SET value = '0' WHERE name = 'schema_version'").Error)
		old()
		enginetest.OK(t, migrations.Down(t.Context(), db.DB))
		old()
		if db.Dialect != "sqlite" {
			return
		}
		plain, err := testdb.Open("sqlite", "file:"+t.TempDir()+"/plain.db")
		enginetest.OK(t, err)
		defer func() {
			if pool, err := plain.DB(); err == nil {
				_ = pool.Close()
			}
		}()
		enginetest.OK(t, migrations.Up(t.Context(), plain))
		if _, err := nawasync.New(nawasync.Config{DB: plain}); err == nil || !strings.Contains(err.Error(), "journal_mode(WAL)") {
			t.Errorf("%v", err)
		}
	})
}

func TestStartWarnsOfARedisThatEvicts(t *testing.T) {
	t.Parallel()
	db := testdb.Postgres(t)
	h := enginetest.New(t, db)
	h.Redis, _ = enginetest.PrivateRedis(t)
	enginetest.OK(t, h.Redis.ConfigSet(t.Context(), "maxmemory-policy", "allkeys-lru").Err())
	h.Start(h.Engine(nil))
	if log := h.Log.String(); !strings.Contains(log, "maxmemory-policy=allkeys-lru") {
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
func (renamed) Options() nawasync.JobOptions {
	return nawasync.JobOptions{KindAliases: []nawasync.Kind{{Service: "notes", Type: "note", Action: "write"}}}
}

func TestRenamedKindStillRunsItsOldRows(t *testing.T) {
	t.Parallel()
	h := enginetest.New(t, testdb.SQLite(t))
	e := h.Engine(func(c *nawasync.Config) { c.Sealer = enginetest.Keyring(t, enginetest.NewKey(t)) })
	old := enginetest.Dispatch(t, e, enginetest.Note{ID: "a", N: 5}) // its field n is unknown to the new arguments
	enginetest.OK(t, nawasync.Register(e, &enginetest.Handler[renamed]{Do: func(_ context.Context, run *nawasync.Run[renamed]) error {
		if run.Args.ID != "a" {
			return fmt.Errorf("arguments %+v", run.Args)
		}
		return nil
	}}))
	if err := nawasync.Register(e, &enginetest.Handler[enginetest.Note]{}); err == nil {
		t.Error("one kind was registered twice")
	}
	h.Start(e)
	if err := nawasync.Register(e, &enginetest.Handler[other]{}); !errors.Is(err, nawasync.ErrStarted) {
		t.Error(err)
	}
	enginetest.WaitStatus(t, e, old.ID, tracker.Success)
}

func TestStopWhileAVerdictCannotBeWrittenLosesNothing(t *testing.T) {
	enginetest.Servers(t, func(t *testing.T, h *enginetest.Harness) {
		db, wire := enginetest.Through(t, h)
		e := h.Tuned(host.Tuning{Beat: 100 * time.Millisecond}, func(c *nawasync.Config) { c.DB = db; c.StopGrace = -1 })
		executing, proceed := make(chan struct{}), make(chan struct{})
		enginetest.OK(t, nawasync.Register(e, &enginetest.Handler[enginetest.Note]{Do: func(context.Context, *nawasync.Run[enginetest.Note]) error {
			close(executing)
			<-proceed
			return nil
		}}))
		h.Start(e)
		job := enginetest.Dispatch(t, e, enginetest.Note{ID: "a"})
		<-executing
		wire.Cut(true)
		close(proceed)
		enginetest.Eventually(t, 20*time.Second, "an outcome that is retried", func() bool { return strings.Contains(h.Log.String(), "an outcome could not be written; trying again") })
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		_ = e.Stop(ctx)
		wire.Cut(false)
		next := h.Tuned(host.Tuning{Beat: 100 * time.Millisecond, DeadAfter: 2 * time.Second, LeaseTTL: 1500 * time.Millisecond}, nil)
		enginetest.OK(t, nawasync.Register(next, &enginetest.Handler[enginetest.Note]{Do: func(context.Context, *nawasync.Run[enginetest.Note]) error { return nil }}))
		h.Start(next)
		enginetest.WaitStatus(t, next, job.ID, tracker.Success)
	})
}

// boxed chooses its lane and its attempts by a field.
type boxed struct {
	Box *struct{ Name string } `json:"box"`
	ID  string                 `json:"id"`
}

func (boxed) Kind() nawasync.Kind {
	return nawasync.Kind{Service: "notes", Type: "box", Action: "open"}
}
func (b boxed) Target() nawasync.Target { return nawasync.Target{ID: b.ID} }

func (b boxed) Options() nawasync.JobOptions {
	if b.Box == nil {
		return nawasync.JobOptions{}
	}
	return nawasync.JobOptions{Lane: b.Box.Name, MaxAttempts: len(b.Box.Name)}
}

// needsBox has options for a filled value only.
type needsBox struct{ boxed }

func (b needsBox) Options() nawasync.JobOptions { return nawasync.JobOptions{Lane: b.Box.Name} }

func TestRegisterSaysWhenOptionsNeedFields(t *testing.T) {
	t.Parallel()
	h := enginetest.New(t, testdb.SQLite(t))
	e := h.Engine(nil)
	if err := nawasync.Register(e, &enginetest.Handler[needsBox]{}); err == nil || !strings.Contains(err.Error(), "its Options must work without them") {
		t.Error(err)
	}
	enginetest.OK(t, nawasync.Register(e, &enginetest.Handler[boxed]{}))
}

func TestArgumentsChooseTheirLaneAndTheirAttempts(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		e := h.Engine(nil)
		var inside, most atomic.Int64
		enginetest.OK(t, nawasync.Register(e, &enginetest.Handler[boxed]{Wait: time.Millisecond, Do: func(context.Context, *nawasync.Run[boxed]) error {
			most.Store(max(most.Load(), inside.Add(1)))
			defer inside.Add(-1)
			runtime.Gosched()
			return enginetest.ErrBoom
		}}))
		var jobs []*tracker.Job
		for i := range 8 {
			args := boxed{ID: strconv.Itoa(i)}
			args.Box = &struct{ Name string }{"ab"}
			jobs = append(jobs, enginetest.Dispatch(t, e, args))
		}
		h.Start(e)
		for _, job := range jobs {
			if row := enginetest.WaitStatus(t, e, job.ID, tracker.Failed); row.Attempt != 2 || row.MaxAttempts != 2 {
				t.Errorf("%+v", row)
			}
		}
		if most.Load() != 1 {
			t.Errorf("%d jobs of one lane ran at once", most.Load())
		}
		// Each consumed its attempts before the next of the lane began.
		for i := 1; i < len(jobs); i++ {
			before, err := e.Reader().Get(t.Context(), jobs[i-1].ID)
			enginetest.OK(t, err)
			after, err := e.Reader().Get(t.Context(), jobs[i].ID)
			enginetest.OK(t, err)
			if after.StartedAt.Before(before.FinishedAt) {
				t.Errorf("job %d began before job %d ended", after.ID, before.ID)
			}
		}
	})
}
