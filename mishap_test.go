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

	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/host"

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
		h := enginetest.New(t, db)
		e := h.Engine(nil)
		enginetest.OK(t, nawasync.Register(e, &enginetest.Handler[enginetest.Note]{Wait: time.Millisecond, Do: func(_ context.Context, run *nawasync.Run[enginetest.Note]) error {
			if run.Args.N == 1 {
				var none *brokenError
				return none
			}
			run.SetResult(brokenResult{})
			return nil
		}}))
		h.Start(e)
		for n, want := range []string{"no JSON today", "nil pointer"} {
			job := enginetest.WaitStatus(t, e, enginetest.Dispatch(t, e, enginetest.Note{ID: "a", N: n}).ID, tracker.Failed)
			if job.ErrorClass != "panic" || !strings.Contains(job.Error, want) {
				t.Errorf("%s: %s", job.ErrorClass, job.Error)
			}
		}
	})
}

type panickyTimeout struct {
	enginetest.Handler[enginetest.Note]
}

func (*panickyTimeout) Timeout() time.Duration    { panic("no timeout today") }
func (*panickyTimeout) Backoff(int) time.Duration { panic("no backoff today") }

func TestHandlerWhoseTimeoutPanicsHasTheDefault(t *testing.T) {
	t.Parallel()
	h := enginetest.New(t, testdb.SQLite(t))
	e := h.Engine(nil)
	p := &panickyTimeout{}
	p.Do = func(context.Context, *nawasync.Run[enginetest.Note]) error { return nil }
	enginetest.OK(t, nawasync.Register(e, p))
	h.Start(e)
	enginetest.WaitStatus(t, e, enginetest.Dispatch(t, e, enginetest.Note{ID: "a"}).ID, tracker.Success)
}

func TestRetryOfDroppedArgumentsIsRefusedWithOrWithoutASealer(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		sealing := h.Engine(func(c *nawasync.Config) { c.Sealer = enginetest.Keyring(t, enginetest.NewKey(t)) })
		enginetest.OK(t, nawasync.Register(sealing, &enginetest.Handler[enginetest.Note]{Do: func(context.Context, *nawasync.Run[enginetest.Note]) error { return nil }}))
		h.Start(sealing)
		job := enginetest.Dispatch(t, sealing, enginetest.Note{ID: "a"})
		enginetest.WaitStatus(t, sealing, job.ID, tracker.Success)
		plain := h.Engine(nil)
		for _, e := range []*nawasync.Engine{sealing, plain} {
			if _, err := e.Retry(t.Context(), job.ID, nawasync.RetryOptions{Force: true}); !errors.Is(err, nawasync.ErrNoArguments) {
				t.Errorf("%v", err)
			}
		}
	})
}

func TestJobIsNotForgottenThatIsPutAsideAfterTheNextOfItsLaneWasChosen(t *testing.T) {
	enginetest.Servers(t, func(t *testing.T, h *enginetest.Harness) {
		db, err := testdb.Open(h.DB.Dialect, h.DB.DSN)
		enginetest.OK(t, err)
		t.Cleanup(func() {
			pool, err := db.DB()
			enginetest.OK(t, err)
			enginetest.OK(t, pool.Close())
		})
		worker := h.Tuned(host.Tuning{Sweep: time.Hour, Relay: time.Hour}, func(c *nawasync.Config) { c.DB = db })
		// Whoever ends the first is held between its choice of the next and its commit.
		committing, release := make(chan struct{}), make(chan struct{})
		var held atomic.Bool
		for _, pool := range []*gorm.DB{db, h.DB.DB} {
			enginetest.OK(t, pool.Callback().Row().After("gorm:row").Register("test:chosen", func(tx *gorm.DB) {
				if strings.Contains(tx.Statement.SQL.String(), "SELECT (SELECT h.id") && held.CompareAndSwap(false, true) {
					close(committing)
					<-release
				}
			}))
		}
		// Whoever puts the second aside has looked again by then, or waits.
		aside := make(chan struct{})
		var asideOnce sync.Once
		for _, pool := range []*gorm.DB{db, h.DB.DB} {
			enginetest.OK(t, pool.Callback().Row().After("gorm:row").Register("test:looked", func(tx *gorm.DB) {
				if strings.Contains(tx.Statement.SQL.String(), "j.wake_at IS NULL") {
					asideOnce.Do(func() { close(aside) })
				}
			}))
			enginetest.OK(t, pool.Callback().Row().Before("gorm:row").Register("test:waits", func(tx *gorm.DB) {
				if sql := tx.Statement.SQL.String(); strings.HasPrefix(sql, "SELECT id FROM nawasync_jobs WHERE id IN") && strings.HasSuffix(sql, "FOR UPDATE") {
					asideOnce.Do(func() { close(aside) })
				}
			}))
		}
		other := h.Tuned(host.Tuning{Sweep: time.Hour, Relay: 10 * time.Millisecond}, nil)
		for _, e := range []*nawasync.Engine{worker, other} {
			enginetest.OK(t, nawasync.Register(e, &enginetest.Handler[enginetest.Note]{Do: func(context.Context, *nawasync.Run[enginetest.Note]) error { return nil }}))
		}
		// Each relay sweeps once at its start; not again in this test.
		var sweeps atomic.Int64
		for _, pool := range []*gorm.DB{db, h.DB.DB} {
			enginetest.OK(t, pool.Callback().Row().After("gorm:row").Register("test:sweeps", func(tx *gorm.DB) {
				if strings.Contains(tx.Statement.SQL.String(), "GROUP BY open_lane") {
					sweeps.Add(1)
				}
			}))
		}
		h.Start(worker)
		h.Start(other)
		enginetest.Eventually(t, 20*time.Second, "swept", func() bool { return sweeps.Load() == 2 })
		first := enginetest.Dispatch(t, worker, enginetest.Note{ID: "a"})
		<-committing
		second := enginetest.Dispatch(t, other, enginetest.Note{ID: "a", N: 1})
		<-aside
		close(release)
		enginetest.WaitStatus(t, other, first.ID, tracker.Success)
		enginetest.WaitStatus(t, other, second.ID, tracker.Success)
	})
}

func TestClaimThatCameThroughUnnoticedIsGivenBack(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		e := h.Tuned(host.Tuning{Beat: 50 * time.Millisecond}, nil)
		enginetest.OK(t, nawasync.Register(e, &enginetest.Handler[enginetest.Note]{Do: func(context.Context, *nawasync.Run[enginetest.Note]) error { return nil }}))
		h.Start(e)
		processes, err := e.Reader().Processes(t.Context())
		enginetest.OK(t, err)
		job, err := e.Dispatch(t.Context(), enginetest.Note{ID: "a"}, nawasync.Options{Delay: time.Hour})
		enginetest.OK(t, err)
		// As a claim's statement does that was thought to be lost.
		enginetest.OK(t, db.Exec("UPDATE nawasync_jobs SET status = 'running', attempt = 1, running_lane = lane, wake_at = NULL, started_at = ?, worker = ? WHERE id = ?",
			time.Now().UnixMicro(), processes[0].ID, job.ID).Error)
		if row := enginetest.WaitStatus(t, e, job.ID, tracker.Success); row.Epoch != 1 || row.Attempt != 1 {
			t.Errorf("%+v", row)
		}
	})
}

func TestCancelOfAJobThatThenFailsIsNotLost(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		e := h.Tuned(host.Tuning{Beat: time.Hour}, nil) // the request is never seen
		executing, proceed := make(chan struct{}, 1), make(chan struct{})
		enginetest.OK(t, nawasync.Register(e, &enginetest.Handler[enginetest.Note]{Wait: time.Millisecond, Do: func(context.Context, *nawasync.Run[enginetest.Note]) error {
			select {
			case executing <- struct{}{}:
			default:
			}
			<-proceed
			return enginetest.ErrBoom
		}}))
		h.Start(e)
		job := enginetest.Dispatch(t, e, enginetest.Note{ID: "a"})
		next := enginetest.Dispatch(t, e, enginetest.Note{ID: "a"})
		<-executing
		if _, err := e.Cancel(t.Context(), job.ID, nawasync.OperatorOptions{By: "user:9"}); err != nil {
			t.Fatal(err)
		}
		close(proceed)
		row := enginetest.WaitStatus(t, e, job.ID, tracker.Cancelled)
		if row.CancelBy != "user:9" || !strings.Contains(row.Error, "boom") || row.Attempt != 1 {
			t.Errorf("%+v", row)
		}
		enginetest.WaitStatus(t, e, next.ID, tracker.Failed) // its lane was freed
	})
}

func TestOnSuccessThatIgnoresADatabaseErrorUndoesTheSuccess(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		e := h.Engine(nil)
		enginetest.OK(t, nawasync.Register(e, &enginetest.Handler[enginetest.Note]{Wait: time.Millisecond, Do: func(_ context.Context, run *nawasync.Run[enginetest.Note]) error {
			run.OnSuccess(func(tx *gorm.DB) error {
				_ = tx.Exec("SELECT no_such_column FROM nawasync_jobs").Error
				return nil
			})
			return nil
		}}))
		h.Start(e)
		want := tracker.Success // elsewhere the transaction goes on after an error
		if db.Dialect == "postgres" {
			want = tracker.Failed
		}
		enginetest.WaitStatus(t, e, enginetest.Dispatch(t, e, enginetest.Note{ID: "a"}).ID, want)
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
		h := enginetest.New(t, db)
		enginetest.OK(t, db.Exec("CREATE TABLE hookeds (id BIGINT PRIMARY KEY, text VARCHAR(50))").Error)
		e := h.Engine(nil)
		enginetest.OK(t, nawasync.Register(e, &enginetest.Handler[enginetest.Note]{Do: func(_ context.Context, run *nawasync.Run[enginetest.Note]) error {
			run.OnSuccess(func(tx *gorm.DB) error { return tx.Create(&hooked{ID: 2}).Error })
			return nil
		}}))
		h.Start(e)
		enginetest.OK(t, e.Transaction(t.Context(), func(tx *gorm.DB) error { return tx.Create(&hooked{ID: 1}).Error }))
		enginetest.WaitStatus(t, e, enginetest.Dispatch(t, e, enginetest.Note{ID: "a"}).ID, tracker.Success)
		var rows []hooked
		enginetest.OK(t, db.Find(&rows).Error)
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
		h := enginetest.New(t, db)
		tuning := host.Tuning{Beat: 100 * time.Millisecond, DeadAfter: 5 * time.Second, LeaseTTL: 4 * time.Second}
		stubborn := h.Tuned(tuning, func(c *nawasync.Config) { c.StopGrace = -1 })
		executing, proceed, returned := make(chan struct{}), make(chan struct{}), make(chan struct{})
		enginetest.OK(t, nawasync.Register(stubborn, &enginetest.Handler[enginetest.Note]{Do: func(context.Context, *nawasync.Run[enginetest.Note]) error {
			close(executing)
			<-proceed
			close(returned)
			return nil
		}}))
		h.Start(stubborn)
		job := enginetest.Dispatch(t, stubborn, enginetest.Note{ID: "a"})
		<-executing
		next := h.Tuned(tuning, nil)
		enginetest.OK(t, nawasync.Register(next, &enginetest.Handler[enginetest.Note]{Do: func(context.Context, *nawasync.Run[enginetest.Note]) error {
			select {
			case <-returned:
			default:
				t.Error("two attempts run at once")
			}
			return nil
		}}))
		h.Start(next)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if err := stubborn.Stop(ctx); err == nil {
			t.Error("Stop says that nothing runs")
		}
		// Longer than the others' patience: a pause, not a race, is what is tested.
		time.Sleep(7 * time.Second)
		close(proceed)
		enginetest.WaitStatus(t, next, job.ID, tracker.Success)
	})
}

func TestBacklogIsCountedOnTheCallersConnection(t *testing.T) {
	t.Parallel()
	db := testdb.SQLite(t)
	h := enginetest.New(t, db)
	pool, err := db.DB.DB()
	enginetest.OK(t, err)
	e := h.Engine(func(c *nawasync.Config) { c.MaxQueued = 1 })
	pool.SetMaxOpenConns(1)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	err = e.Transaction(ctx, func(tx *gorm.DB) error {
		if _, err := e.DispatchTx(ctx, tx, enginetest.Note{ID: "a"}, nawasync.Options{}); err != nil {
			return err
		}
		_, err := e.DispatchTx(ctx, tx, enginetest.Note{ID: "b"}, nawasync.Options{})
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
		e := enginetest.New(t, db).Engine(nil)
		if _, err := e.Dispatch(t.Context(), raw{"a"}, nawasync.Options{}); !errors.Is(err, nawasync.ErrInvalid) {
			t.Error(err)
		}
	})
}

func TestLostRingBehindALongBacklogIsFound(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		e := h.Tuned(host.Tuning{RungCap: 20, Recheck: 300 * time.Millisecond, Relay: 20 * time.Millisecond}, func(c *nawasync.Config) {
			c.Queues = map[string]nawasync.Queue{nawasync.DefaultQueue: {Slots: 1}}
		})
		release := make(chan struct{})
		enginetest.OK(t, nawasync.Register(e, &enginetest.Handler[enginetest.Note]{Do: func(ctx context.Context, run *nawasync.Run[enginetest.Note]) error {
			if run.Args.ID != "lost" {
				select {
				case <-release:
				case <-ctx.Done():
				}
			}
			return nil
		}}))
		lost := enginetest.Dispatch(t, h.Engine(func(c *nawasync.Config) { c.Redis = nil }), enginetest.Note{ID: "lost"})
		// Rung, its task gone.
		enginetest.OK(t, db.Exec("UPDATE nawasync_jobs SET ring = 1, rung_at = ?, wake_at = ? WHERE id = ?", time.Now().UnixMicro(), time.Now().Add(time.Second).UnixMicro(), lost.ID).Error)
		args := make([]nawasync.Args, 1200)
		for i := range args {
			args[i] = enginetest.Note{ID: strconv.Itoa(i)}
		}
		_, err := e.DispatchMany(t.Context(), args, nawasync.Options{})
		enginetest.OK(t, err)
		h.Start(e)
		enginetest.Eventually(t, 30*time.Second, "rung again", func() bool {
			row, err := enginetest.Store(e).Load(context.Background(), lost.ID)
			return err == nil && (row.Ring > 1 || row.Status != tracker.Queued)
		})
		close(release)
	})
}
