package nawasync_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// The next tests compare the throughput beside an open transaction of the host with that before
// it. Such a transaction keeps the database from removing old index entries, and the jobs of
// its rows wait.

func TestMeasuredThroughputBesideAHostTransactionThatHoldsRows(t *testing.T) {
	enginetest.Servers(t, func(t *testing.T, h *enginetest.Harness) {
		boxes := enginetest.Sized(1200, 2000) // more than outcomes may be pending
		createBoxes(t, h, int64(boxes))
		l := startLoad(t, h)
		var held []int64
		committed := measureBeside(t, h, l, func() *gorm.DB {
			enginetest.NoError(t, l.engine.Pause(t.Context(), "boxes", "", nawasync.PauseOptions{By: "user:1"}))
			held = dispatchOnBoxes(t, l.engine, boxes)
			queued := dispatchDelayed(t, l.engine, enginetest.Sized(20, 2000))
			held = append(held, queued...)
			tx := h.DB.Begin()
			enginetest.NoError(t, tx.Error)
			t.Cleanup(func() { tx.Rollback() }) // before the database is dropped, which would wait for it
			var n int64
			enginetest.NoError(t, tx.Raw("SELECT COUNT(*) FROM boxes").Row().Scan(&n)) // opens a read view
			var locked []int64
			enginetest.NoError(t, tx.Raw("SELECT id FROM boxes FOR UPDATE").Scan(&locked).Error)
			lockQueuedJobs(t, tx, queued)
			_, err := l.engine.Resume(t.Context(), "boxes", "", nawasync.OperatorOptions{By: "user:1"})
			enginetest.NoError(t, err)
			return tx
		}, func() {
			for _, id := range held {
				job, err := l.engine.Reader().Get(t.Context(), id)
				enginetest.NoError(t, err)
				if job.Status.Terminal() || time.Now().Before(job.NotBefore) {
					t.Fatalf("job %d of a held row is %s, due at %s; want it due and not ended", id, job.Status, job.NotBefore)
				}
			}
		})
		var last time.Time
		for _, id := range held {
			if at := enginetest.WaitStatus(t, l.engine, id, tracker.StatusSuccess).FinishedAt; at.After(last) {
				last = at
			}
		}
		enginetest.AtMost(t, "from the commit to the end of the last job of a held row", last.Sub(committed), 10*time.Second, time.Minute)
	})
}

func TestMeasuredThroughputBesideAReadOnlyTransaction(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		measureBeside(t, h, startLoad(t, h), func() *gorm.DB {
			options := &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
			if db.Dialect == "sqlite" {
				options.Isolation = sql.LevelDefault // it has one level
			}
			tx := db.Begin(options)
			enginetest.NoError(t, tx.Error)
			t.Cleanup(func() { tx.Rollback() })
			var n int64
			enginetest.NoError(t, tx.Raw("SELECT COUNT(*) FROM nawasync_jobs").Row().Scan(&n))
			return tx
		}, func() {})
	})
}

// This test shows how much the figures of the others vary without any transaction.
func TestMeasuredThroughputBesideNothing(t *testing.T) {
	if !enginetest.Full() {
		t.Skip("only compares the figures of a full run")
	}
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		measureBeside(t, h, startLoad(t, h), nil, func() {})
	})
}

// measureBeside measures the load before, during and after a transaction, which open begins and
// measureBeside commits after check. It returns when. In a full run, a worker dies meanwhile.
func measureBeside(t *testing.T, h *enginetest.Harness, l *load, open func() *gorm.DB, check func()) (committed time.Time) {
	t.Helper()
	window := enginetest.Sized(300*time.Millisecond, 15*time.Second)
	l.measure(t, enginetest.Sized(0, 5*time.Second), 500) // warms up
	before := l.measure(t, window, 250)
	var tx *gorm.DB
	if open != nil {
		tx = open()
	}
	beats := watchBeats(t, l.engine)
	begin, first := time.Now(), l.ran.Load()
	if enginetest.Full() && h.DB.Dialect != "sqlite" {
		killWorker(t, h)
	}
	hold := enginetest.Sized(6*time.Second, time.Minute) - window
	l.measure(t, hold-time.Since(begin), enginetest.Sized(int64(1000), 100_000)-(l.ran.Load()-first))
	last := l.measure(t, window, 250) // when most index entries are old
	beside := rate{l.ran.Load() - first, time.Since(begin)}
	enginetest.AtMost(t, "longest time between two heartbeats", beats(), 5*time.Second, time.Minute)
	check()
	if tx != nil {
		enginetest.NoError(t, tx.Commit().Error)
	}
	committed = time.Now()
	after := l.measure(t, window, 250)
	l.stopLoad()
	waitAllEnded(t, l.engine, time.Minute)
	// Not with what comes after: MySQL then removes the old index entries, and is slower than before.
	share := beside.perSecond() / before.perSecond()
	// The tables grow and are vacuumed meanwhile: beside nothing, the share is 0.87 on PostgreSQL and 0.95 on MariaDB. A
	// transaction may take a tenth of that.
	const least = 0.78
	t.Logf("before: %s; beside the transaction: %s, at its end: %s; after: %s; share %.2f", before, beside, last, after, share)
	if enginetest.Full() && open != nil && share < least {
		t.Errorf("the transaction reduced the throughput to %.2f, want at least %.2f", share, least)
	}
	return committed
}

// lockedBoxArgs are the arguments of jobs on snapshot rows.
type lockedBoxArgs struct {
	ID string `json:"id"`
}

func (lockedBoxArgs) Kind() nawasync.Kind {
	return nawasync.Kind{Service: "boxes", Type: "box", Action: "update"}
}

func (l lockedBoxArgs) Target() nawasync.Target { return nawasync.Target{ID: l.ID} }

// dispatchOnBoxes dispatches a job for each of n boxes.
func dispatchOnBoxes(t *testing.T, e *nawasync.Engine, n int) (ids []int64) {
	t.Helper()
	enginetest.NoError(t, e.Transaction(t.Context(), func(tx *gorm.DB) error {
		for i := range n {
			job, err := e.Internals(host.NewKey()).DispatchOnRow(t.Context(), tx, lockedBoxArgs{ID: fmt.Sprint(i)}, nawasync.Options{},
				host.SnapshotRow{Table: "boxes", ID: int64(i) + 1, State: tracker.StatePendingUpdate})
			if err != nil {
				return err
			}
			ids = append(ids, job.ID)
		}
		return nil
	}))
	return ids
}

// dispatchDelayed dispatches n jobs of the load that come due after a moment, in which a transaction
// can lock their rows.
func dispatchDelayed(t *testing.T, e *nawasync.Engine, n int) (ids []int64) {
	t.Helper()
	args := make([]nawasync.Args, n)
	for i := range args {
		args[i] = loadArgs{ID: fmt.Sprint("delayed", i)}
	}
	jobs, err := e.DispatchMany(t.Context(), args, nawasync.Options{Delay: enginetest.Sized(5*time.Second, 20*time.Second)})
	enginetest.NoError(t, err)
	for _, job := range jobs {
		ids = append(ids, job.ID)
	}
	return ids
}

// lockQueuedJobs locks rows of jobs one by one, so that MySQL locks no gaps between them.
func lockQueuedJobs(t *testing.T, tx *gorm.DB, ids []int64) {
	t.Helper()
	for _, id := range ids {
		var status string
		enginetest.NoError(t, tx.Raw("SELECT status FROM nawasync_jobs WHERE id = ? FOR UPDATE", id).Row().Scan(&status))
		if status != string(tracker.StatusQueued) {
			t.Fatalf("job %d was %s before its row could be locked; dispatch it with a longer delay", id, status)
		}
	}
}

// killWorker kills a worker process while it runs a job, and checks that another process runs the
// job in time.
func killWorker(t *testing.T, h *enginetest.Harness) {
	t.Helper()
	child := enginetest.StartChild(t, h, "work")
	e := h.Engine(nil)
	enginetest.Register(t, e, enginetest.DoNothing)
	job := enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "killed"})
	child.WaitOutput(t, fmt.Sprint("executing ", job.ID))
	h.Start(e)
	child.Signal(t, syscall.SIGKILL)
	killed := time.Now()
	enginetest.WaitStatus(t, e, job.ID, tracker.StatusSuccess)
	enginetest.AtMost(t, "the job of the killed worker ended elsewhere after", time.Since(killed), 20*time.Second, time.Minute)
}

// watchBeats observes the heartbeats of this process's engines. The function that it returns ends that
// and returns the longest time between two heartbeats of one engine.
func watchBeats(t *testing.T, e *nawasync.Engine) (longest func() time.Duration) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan time.Duration, 1)
	go func() {
		var most time.Duration
		counters, changed := map[string]int64{}, map[string]time.Time{}
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			list, err := e.Reader().Processes(ctx)
			now := time.Now()
			for _, p := range list {
				if err != nil || p.PID != os.Getpid() {
					continue
				}
				if at, known := changed[p.ID]; known {
					most = max(most, now.Sub(at))
				}
				if counters[p.ID] != p.Beat {
					counters[p.ID], changed[p.ID] = p.Beat, now
				}
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
		}
		result <- most
	}()
	return func() time.Duration {
		cancel()
		return <-result
	}
}
