package nawasync_test

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

type brokenError struct{ text string }

func (e *brokenError) Error() string { return e.text } // panics on nil

type brokenResult struct{}

func (brokenResult) MarshalJSON() ([]byte, error) { panic("no JSON today") }

func TestPanicOutsideOfExecuteIsAFailureToo(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := newHarness(t, db)
		e := h.engine(nil)
		ok(t, nawasync.Register(e, &handler[note]{backoff: time.Millisecond, fn: func(_ context.Context, run *nawasync.Run[note]) error {
			if run.Args.N == 1 {
				var none *brokenError
				return none
			}
			run.SetResult(brokenResult{})
			return nil
		}}))
		h.start(e)
		for n, want := range []string{"no JSON today", "nil pointer"} {
			job := waitStatus(t, e, dispatch(t, e, note{ID: "a", N: n}).ID, tracker.Failed)
			if job.ErrorClass != "panic" || !strings.Contains(job.Error, want) {
				t.Errorf("%s: %s", job.ErrorClass, job.Error)
			}
		}
	})
}

type panickyTimeout struct {
	handler[note]
}

func (*panickyTimeout) Timeout() time.Duration    { panic("no timeout today") }
func (*panickyTimeout) Backoff(int) time.Duration { panic("no backoff today") }

func TestHandlerWhoseTimeoutPanicsHasTheDefault(t *testing.T) {
	t.Parallel()
	h := newHarness(t, testdb.SQLite(t))
	e := h.engine(nil)
	p := &panickyTimeout{}
	p.fn = func(context.Context, *nawasync.Run[note]) error { return nil }
	ok(t, nawasync.Register(e, p))
	h.start(e)
	waitStatus(t, e, dispatch(t, e, note{ID: "a"}).ID, tracker.Success)
}

func TestRetryOfDroppedArgumentsIsRefusedWithOrWithoutASealer(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := newHarness(t, db)
		sealing := h.engine(func(c *nawasync.Config) { c.Sealer = keyring(t, newKey(t)) })
		ok(t, nawasync.Register(sealing, &handler[note]{fn: func(context.Context, *nawasync.Run[note]) error { return nil }}))
		h.start(sealing)
		job := dispatch(t, sealing, note{ID: "a"})
		waitStatus(t, sealing, job.ID, tracker.Success)
		plain := h.engine(nil)
		for _, e := range []*nawasync.Engine{sealing, plain} {
			if _, err := e.Retry(t.Context(), job.ID, nawasync.RetryOptions{Force: true}); !errors.Is(err, nawasync.ErrNoArguments) {
				t.Errorf("%v", err)
			}
		}
	})
}

func TestJobIsNotForgottenThatIsPutAsideAfterTheNextOfItsLaneWasChosen(t *testing.T) {
	servers(t, func(t *testing.T, h *harness) {
		db, err := testdb.Open(h.db.Dialect, h.db.DSN)
		ok(t, err)
		t.Cleanup(func() {
			pool, err := db.DB()
			ok(t, err)
			ok(t, pool.Close())
		})
		worker := h.tuned(nawasync.Tuning{Sweep: time.Hour, Relay: time.Hour}, func(c *nawasync.Config) { c.DB = db })
		// Whoever ends the first is held between its choice of the next and its commit.
		committing, release := make(chan struct{}), make(chan struct{})
		var held atomic.Bool
		for _, pool := range []*gorm.DB{db, h.db.DB} {
			ok(t, pool.Callback().Row().After("gorm:row").Register("test:chosen", func(tx *gorm.DB) {
				if strings.Contains(tx.Statement.SQL.String(), "SELECT (SELECT h.id") && held.CompareAndSwap(false, true) {
					close(committing)
					<-release
				}
			}))
		}
		// Whoever puts the second aside has looked again by then, or waits.
		aside := make(chan struct{})
		var asideOnce sync.Once
		for _, pool := range []*gorm.DB{db, h.db.DB} {
			ok(t, pool.Callback().Row().After("gorm:row").Register("test:looked", func(tx *gorm.DB) {
				if strings.Contains(tx.Statement.SQL.String(), "j.wake_at IS NULL") {
					asideOnce.Do(func() { close(aside) })
				}
			}))
			ok(t, pool.Callback().Row().Before("gorm:row").Register("test:waits", func(tx *gorm.DB) {
				if sql := tx.Statement.SQL.String(); strings.HasPrefix(sql, "SELECT id FROM nawasync_jobs WHERE id IN") && strings.HasSuffix(sql, "FOR UPDATE") {
					asideOnce.Do(func() { close(aside) })
				}
			}))
		}
		other := h.tuned(nawasync.Tuning{Sweep: time.Hour, Relay: 10 * time.Millisecond}, nil)
		for _, e := range []*nawasync.Engine{worker, other} {
			ok(t, nawasync.Register(e, &handler[note]{fn: func(context.Context, *nawasync.Run[note]) error { return nil }}))
		}
		// Each relay sweeps once at its start; not again in this test.
		var sweeps atomic.Int64
		for _, pool := range []*gorm.DB{db, h.db.DB} {
			ok(t, pool.Callback().Row().After("gorm:row").Register("test:sweeps", func(tx *gorm.DB) {
				if strings.Contains(tx.Statement.SQL.String(), "GROUP BY open_lane") {
					sweeps.Add(1)
				}
			}))
		}
		h.start(worker)
		h.start(other)
		eventually(t, 20*time.Second, "swept", func() bool { return sweeps.Load() == 2 })
		first := dispatch(t, worker, note{ID: "a"})
		<-committing
		second := dispatch(t, other, note{ID: "a", N: 1})
		<-aside
		close(release)
		waitStatus(t, other, first.ID, tracker.Success)
		waitStatus(t, other, second.ID, tracker.Success)
	})
}

func TestClaimThatCameThroughUnnoticedIsGivenBack(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := newHarness(t, db)
		e := h.tuned(nawasync.Tuning{Beat: 50 * time.Millisecond}, nil)
		ok(t, nawasync.Register(e, &handler[note]{fn: func(context.Context, *nawasync.Run[note]) error { return nil }}))
		h.start(e)
		processes, err := e.Store().Processes(t.Context())
		ok(t, err)
		job, err := e.Dispatch(t.Context(), note{ID: "a"}, nawasync.Options{Delay: time.Hour})
		ok(t, err)
		// As a claim's statement does that was thought to be lost.
		ok(t, db.Exec("UPDATE nawasync_jobs SET status = 'running', attempt = 1, running_lane = lane, wake_at = NULL, started_at = ?, worker = ? WHERE id = ?",
			time.Now().UnixMicro(), processes[0].ID, job.ID).Error)
		if row := waitStatus(t, e, job.ID, tracker.Success); row.Epoch != 1 || row.Attempt != 1 {
			t.Errorf("%+v", row)
		}
	})
}

func TestCancelOfAJobThatThenFailsIsNotLost(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := newHarness(t, db)
		e := h.tuned(nawasync.Tuning{Beat: time.Hour}, nil) // the request is never seen
		executing, proceed := make(chan struct{}, 1), make(chan struct{})
		ok(t, nawasync.Register(e, &handler[note]{backoff: time.Millisecond, fn: func(context.Context, *nawasync.Run[note]) error {
			select {
			case executing <- struct{}{}:
			default:
			}
			<-proceed
			return errBoom
		}}))
		h.start(e)
		job := dispatch(t, e, note{ID: "a"})
		next := dispatch(t, e, note{ID: "a"})
		<-executing
		if _, err := e.Cancel(t.Context(), job.ID, "user:9"); err != nil {
			t.Fatal(err)
		}
		close(proceed)
		row := waitStatus(t, e, job.ID, tracker.Cancelled)
		if row.CancelBy != "user:9" || !strings.Contains(row.Error, "boom") || row.Attempt != 1 {
			t.Errorf("%+v", row)
		}
		waitStatus(t, e, next.ID, tracker.Failed) // its lane was freed
	})
}

func TestOnSuccessThatIgnoresADatabaseErrorUndoesTheSuccess(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := newHarness(t, db)
		e := h.engine(nil)
		ok(t, nawasync.Register(e, &handler[note]{backoff: time.Millisecond, fn: func(_ context.Context, run *nawasync.Run[note]) error {
			run.OnSuccess(func(tx *gorm.DB) error {
				_ = tx.Exec("SELECT no_such_column FROM nawasync_jobs").Error
				return nil
			})
			return nil
		}}))
		h.start(e)
		want := tracker.Success // elsewhere the transaction goes on after an error
		if db.Dialect == "postgres" {
			want = tracker.Failed
		}
		waitStatus(t, e, dispatch(t, e, note{ID: "a"}).ID, want)
	})
}

// hooked is a host's model with a gorm hook.
type hooked struct {
	ID   int64
	Text string
}

func (h *hooked) BeforeCreate(*gorm.DB) error {
	h.Text = "from the hook"
	return nil
}

func TestHostsCodeInTransactionsKeepsItsHooks(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := newHarness(t, db)
		ok(t, db.Exec("CREATE TABLE hookeds (id BIGINT PRIMARY KEY, text VARCHAR(50))").Error)
		e := h.engine(nil)
		ok(t, nawasync.Register(e, &handler[note]{fn: func(_ context.Context, run *nawasync.Run[note]) error {
			run.OnSuccess(func(tx *gorm.DB) error { return tx.Create(&hooked{ID: 2}).Error })
			return nil
		}}))
		h.start(e)
		ok(t, e.Transaction(t.Context(), func(tx *gorm.DB) error { return tx.Create(&hooked{ID: 1}).Error }))
		waitStatus(t, e, dispatch(t, e, note{ID: "a"}).ID, tracker.Success)
		var rows []hooked
		ok(t, db.Find(&rows).Error)
		for _, row := range rows {
			if row.Text != "from the hook" {
				t.Errorf("%+v", row)
			}
		}
		if len(rows) != 2 {
			t.Errorf("%d rows", len(rows))
		}
	})
}

func TestNobodyTakesOverWhatStillRunsAfterStop(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := newHarness(t, db)
		tuning := nawasync.Tuning{Beat: 100 * time.Millisecond, Patience: 5 * time.Second, Trust: 4 * time.Second}
		stubborn := h.tuned(tuning, func(c *nawasync.Config) { c.StopGrace = -1 })
		executing, proceed, returned := make(chan struct{}), make(chan struct{}), make(chan struct{})
		ok(t, nawasync.Register(stubborn, &handler[note]{fn: func(context.Context, *nawasync.Run[note]) error {
			close(executing)
			<-proceed
			close(returned)
			return nil
		}}))
		h.start(stubborn)
		job := dispatch(t, stubborn, note{ID: "a"})
		<-executing
		next := h.tuned(tuning, nil)
		ok(t, nawasync.Register(next, &handler[note]{fn: func(context.Context, *nawasync.Run[note]) error {
			select {
			case <-returned:
			default:
				t.Error("two attempts run at once")
			}
			return nil
		}}))
		h.start(next)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if err := stubborn.Stop(ctx); err == nil {
			t.Error("Stop says that nothing runs")
		}
		// Longer than the others' patience: a pause, not a race, is what is tested.
		time.Sleep(7 * time.Second)
		close(proceed)
		waitStatus(t, next, job.ID, tracker.Success)
	})
}

func TestBacklogIsCountedOnTheCallersConnection(t *testing.T) {
	t.Parallel()
	db := testdb.SQLite(t)
	h := newHarness(t, db)
	pool, err := db.DB.DB()
	ok(t, err)
	e := h.engine(func(c *nawasync.Config) { c.MaxQueued = 1 })
	pool.SetMaxOpenConns(1)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	err = e.Transaction(ctx, func(tx *gorm.DB) error {
		if _, err := e.DispatchTx(ctx, tx, note{ID: "a"}, nawasync.Options{}); err != nil {
			return err
		}
		_, err := e.DispatchTx(ctx, tx, note{ID: "b"}, nawasync.Options{})
		return err
	})
	if !errors.Is(err, nawasync.ErrBacklogFull) {
		t.Error(err)
	}
}

type raw struct{ ID string }

func (raw) Kind() nawasync.Kind       { return nawasync.Kind{Service: "notes", Type: "raw", Action: "write"} }
func (r raw) Target() nawasync.Target { return nawasync.Target{ID: r.ID} }
func (r raw) MarshalJSON() ([]byte, error) {
	return []byte(`{"id":"` + r.ID + `","x":"` + "\xff" + `"}`), nil
}
func (r *raw) UnmarshalJSON(text []byte) error { return json.Unmarshal(text, &r.ID) }

func TestArgumentsThatMarshalToBadTextAreRefused(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		e := newHarness(t, db).engine(nil)
		if _, err := e.Dispatch(t.Context(), raw{"a"}, nawasync.Options{}); !errors.Is(err, nawasync.ErrInvalid) {
			t.Error(err)
		}
	})
}

func TestLostRingBehindALongBacklogIsFound(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := newHarness(t, db)
		e := h.tuned(nawasync.Tuning{RungCap: 20, Recheck: 300 * time.Millisecond, Relay: 20 * time.Millisecond}, func(c *nawasync.Config) {
			c.Queues = map[string]nawasync.Queue{nawasync.DefaultQueue: {Slots: 1}}
		})
		release := make(chan struct{})
		ok(t, nawasync.Register(e, &handler[note]{fn: func(ctx context.Context, run *nawasync.Run[note]) error {
			if run.Args.ID != "lost" {
				select {
				case <-release:
				case <-ctx.Done():
				}
			}
			return nil
		}}))
		lost := dispatch(t, h.engine(func(c *nawasync.Config) { c.Redis = nil }), note{ID: "lost"})
		// Rung, its task gone.
		ok(t, db.Exec("UPDATE nawasync_jobs SET ring = 1, rung_at = ?, wake_at = ? WHERE id = ?", time.Now().UnixMicro(), time.Now().Add(time.Second).UnixMicro(), lost.ID).Error)
		args := make([]nawasync.Args, 1200)
		for i := range args {
			args[i] = note{ID: strconv.Itoa(i)}
		}
		_, err := e.DispatchMany(t.Context(), args, nawasync.Options{})
		ok(t, err)
		h.start(e)
		eventually(t, 30*time.Second, "rung again", func() bool {
			row, err := e.Store().Get(context.Background(), lost.ID)
			return err == nil && (row.Ring > 1 || row.Status != tracker.Queued)
		})
		close(release)
	})
}
