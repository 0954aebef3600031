package nawasync_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/jobrow"
	"github.com/nawasara/nawasync/tracker"
)

// SQLite has one writer: an open transaction of the host that has written stops all others, and one
// that has only read stops nobody. Therefore these tests need servers.

func TestHostTransactionThatHoldsAQueuedJobDelaysOnlyThatJob(t *testing.T) {
	enginetest.Servers(t, func(t *testing.T, h *enginetest.Harness) {
		e := h.Engine(nil)
		enginetest.Register(t, e, enginetest.DoNothing)
		before := dispatchNumbered(t, e, "before", 5)
		held := enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "held"})
		after := dispatchNumbered(t, e, "after", 5)
		release := holdRows(t, h, "nawasync_jobs", held.ID)
		h.Start(e)
		waitSuccess(t, e, before)
		waitSuccess(t, e, after)
		runOthers(t, e)
		requireStatus(t, e, held.ID, tracker.StatusQueued)
		requireNoStall(t, h)
		release()
		enginetest.WaitStatus(t, e, held.ID, tracker.StatusSuccess)
	})
}

func TestHostTransactionThatHoldsEveryQueuedJobDelaysNoLaterJob(t *testing.T) {
	enginetest.Servers(t, func(t *testing.T, h *enginetest.Harness) {
		e := h.Engine(nil)
		enginetest.Register(t, e, enginetest.DoNothing)
		held := dispatchNumbered(t, e, "held", 50)
		release := holdRows(t, h, "nawasync_jobs", held...)
		h.Start(e)
		runOthers(t, e)
		for _, id := range held {
			requireStatus(t, e, id, tracker.StatusQueued)
		}
		requireNoStall(t, h)
		release()
		waitSuccess(t, e, held)
	})
}

func TestHostTransactionThatHoldsARunningJobDelaysOnlyItsOutcome(t *testing.T) {
	enginetest.Servers(t, func(t *testing.T, h *enginetest.Harness) {
		e := h.Engine(nil)
		finish := make(chan struct{})
		enginetest.Register(t, e, func(_ context.Context, run *nawasync.Run[enginetest.JobArgs]) error {
			if run.Args.ID == "held" {
				<-finish
			}
			return nil
		})
		h.Start(e)
		held := enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "held"})
		enginetest.WaitStatus(t, e, held.ID, tracker.StatusRunning)
		release := holdRows(t, h, "nawasync_jobs", held.ID)
		close(finish)
		runOthers(t, e)
		requireStatus(t, e, held.ID, tracker.StatusRunning)
		requireNoStall(t, h)
		release()
		done := enginetest.WaitStatus(t, e, held.ID, tracker.StatusSuccess)
		if done.Epoch != 0 || done.Attempt != 1 {
			t.Errorf("the held job ended as %+v, want its first attempt at epoch 0", done)
		}
	})
}

func TestHostTransactionThatHoldsASnapshotRowDelaysOnlyTheJobsOfThatRow(t *testing.T) {
	enginetest.Servers(t, func(t *testing.T, h *enginetest.Harness) {
		createBoxes(t, h, 2)
		e := h.Engine(nil)
		enginetest.Register(t, e, enginetest.DoNothing)
		onRow := func(row int64) int64 {
			var job *tracker.Job
			enginetest.NoError(t, e.Transaction(t.Context(), func(tx *gorm.DB) (err error) {
				job, err = e.Internals(host.NewKey()).DispatchOnRow(t.Context(), tx, enginetest.JobArgs{ID: fmt.Sprint(row)}, nawasync.Options{},
					host.SnapshotRow{Table: "boxes", ID: row, State: tracker.StatePendingUpdate})
				return err
			}))
			return job.ID
		}
		held, other := onRow(1), onRow(2)
		release := holdRows(t, h, "boxes", 1)
		h.Start(e)
		waitSuccess(t, e, []int64{other, onRow(2)})
		runOthers(t, e)
		job, err := e.Reader().Get(t.Context(), held)
		enginetest.NoError(t, err)
		if job.Status.Terminal() {
			t.Errorf("the job of the held row ended as %s although its row is held", job.Status)
		}
		requireNoStall(t, h)
		release()
		enginetest.WaitStatus(t, e, held, tracker.StatusSuccess)
		var state string
		enginetest.NoError(t, h.DB.Raw("SELECT sync_status FROM boxes WHERE id = 1").Row().Scan(&state))
		if state != string(tracker.StateSynced) {
			t.Errorf("the snapshot row is %s after the outcome, want synced", state)
		}
	})
}

// A unique dispatch locks the job that it finds until the host's transaction ends. At MariaDB's
// default isolation level, a lookup through a nullable unique index also locked the gaps of the
// index, and with them all claims and dispatches.
func TestUniqueDispatchInAnOpenHostTransactionDelaysNoOtherWork(t *testing.T) {
	cases := []struct {
		name string
		open func(t *testing.T, e *nawasync.Engine)
	}{
		{"new key", func(*testing.T, *nawasync.Engine) {}},
		{"coalesced with a queued job", func(t *testing.T, e *nawasync.Engine) {
			_, err := e.Dispatch(t.Context(), uniqueArgs{ID: "a", Key: "a"}, nawasync.Options{Delay: time.Hour})
			enginetest.NoError(t, err)
		}},
		{"coalesced with a running job", func(t *testing.T, e *nawasync.Engine) {
			enginetest.WaitStatus(t, e, enginetest.Dispatch(t, e, uniqueArgs{ID: "a", Key: "a"}).ID, tracker.StatusRunning)
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			for _, level := range []sql.IsolationLevel{sql.LevelDefault, sql.LevelReadCommitted} {
				t.Run(level.String(), func(t *testing.T) {
					enginetest.Servers(t, func(t *testing.T, h *enginetest.Harness) { testUniqueDispatchDelaysNothing(t, h, level, c.open) })
				})
			}
		})
	}
}

func testUniqueDispatchDelaysNothing(t *testing.T, h *enginetest.Harness, level sql.IsolationLevel, open func(*testing.T, *nawasync.Engine)) {
	e := h.Engine(nil)
	running, finish, end := make(chan struct{}), make(chan struct{}), make(chan struct{})
	enginetest.Register(t, e, func(_ context.Context, run *nawasync.Run[enginetest.JobArgs]) error {
		if run.Args.ID == "long" {
			close(running)
			<-finish
		}
		return nil
	})
	enginetest.NoError(t, nawasync.Register(e, &enginetest.Handler[uniqueArgs]{Do: func(_ context.Context, run *nawasync.Run[uniqueArgs]) error {
		if run.Args.Key == "a" {
			<-end
		}
		return nil
	}}))
	h.Start(e)
	long := enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "long"})
	<-running
	open(t, e)
	tx := h.DB.Begin(&sql.TxOptions{Isolation: level})
	enginetest.NoError(t, tx.Error)
	defer tx.Rollback()
	coalesced, err := e.DispatchTx(t.Context(), tx, uniqueArgs{ID: "a", Key: "a"}, nawasync.Options{})
	enginetest.NoError(t, err)
	// None of this may wait for the transaction, which stays open until all of it is done.
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	close(finish)
	ids := []int64{long.ID}
	for n := range 10 {
		for _, args := range []nawasync.Args{enginetest.JobArgs{ID: fmt.Sprint(n)}, uniqueArgs{ID: fmt.Sprint(n), Key: fmt.Sprint(n)}} {
			job, err := e.Dispatch(ctx, args, nawasync.Options{})
			enginetest.NoError(t, err)
			ids = append(ids, job.ID)
		}
	}
	waitSuccess(t, e, ids)
	requireNoStall(t, h)
	close(end)
	enginetest.NoError(t, tx.Commit().Error)
	enginetest.WaitStatus(t, e, coalesced.ID, tracker.StatusSuccess)
}

// uniqueArgs are the arguments of jobs of which one for each key may be open.
type uniqueArgs struct {
	ID  string `json:"id"`
	Key string `json:"key"`
}

func (uniqueArgs) Kind() nawasync.Kind {
	return nawasync.Kind{Service: "reports", Type: "report", Action: "write"}
}

func (u uniqueArgs) Target() nawasync.Target { return nawasync.Target{ID: u.ID} }

func (u uniqueArgs) Options() nawasync.JobOptions { return nawasync.JobOptions{UniqueKey: u.Key} }

// holdRows locks rows in a transaction of the host, one by one so that MySQL locks no gaps between
// them. The function that it returns commits.
func holdRows(t *testing.T, h *enginetest.Harness, table string, ids ...int64) (release func()) {
	t.Helper()
	tx := h.DB.Begin()
	enginetest.NoError(t, tx.Error)
	for _, id := range ids {
		var found int64
		enginetest.NoError(t, tx.Raw("SELECT id FROM "+table+" WHERE id = ? FOR UPDATE", id).Row().Scan(&found))
	}
	t.Cleanup(func() { tx.Rollback() })
	return func() {
		t.Helper()
		enginetest.NoError(t, tx.Commit().Error)
	}
}

// runOthers runs 50 jobs of other targets. They take less than a second on an idle machine, and took
// 20 s when each claim met the locked row.
func runOthers(t *testing.T, e *nawasync.Engine) {
	t.Helper()
	begin := time.Now()
	for n := range 5 {
		waitSuccess(t, e, dispatchNumbered(t, e, fmt.Sprint("others", n), 10))
	}
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("50 jobs took %s while the host held other rows", took)
	}
}

// createBoxes creates a table of a host with n snapshot rows.
func createBoxes(t *testing.T, h *enginetest.Harness, n int64) {
	t.Helper()
	enginetest.NoError(t, h.DB.AutoMigrate(&box{}))
	for id := range n {
		status := nawasync.SyncStatus{Identity: jobrow.RowIdentity(id + 1)}
		enginetest.NoError(t, h.DB.Create(&box{ID: id + 1, SyncStatus: status}).Error)
	}
}

type box struct {
	ID int64
	nawasync.SyncStatus
}

// dispatchNumbered dispatches n jobs of different targets and returns their ids.
func dispatchNumbered(t *testing.T, e *nawasync.Engine, name string, n int) []int64 {
	t.Helper()
	args := make([]nawasync.Args, n)
	for i := range args {
		args[i] = enginetest.JobArgs{ID: fmt.Sprint(name, "-", i), N: i}
	}
	jobs, err := e.DispatchMany(t.Context(), args, nawasync.Options{})
	enginetest.NoError(t, err)
	ids := make([]int64, n)
	for i, job := range jobs {
		ids[i] = job.ID
	}
	return ids
}

func waitSuccess(t *testing.T, e *nawasync.Engine, ids []int64) {
	t.Helper()
	for _, id := range ids {
		enginetest.WaitStatus(t, e, id, tracker.StatusSuccess)
	}
}

func requireStatus(t *testing.T, e *nawasync.Engine, id int64, want tracker.Status) {
	t.Helper()
	job, err := e.Reader().Get(t.Context(), id)
	enginetest.NoError(t, err)
	if job.Status != want {
		t.Errorf("job %d is %s, want %s", id, job.Status, want)
	}
}

// requireNoStall checks that no claim and no outcome has failed because of the locks of the host.
func requireNoStall(t *testing.T, h *enginetest.Harness) {
	t.Helper()
	for _, text := range []string{"jobs could not be claimed", "an outcome could not be written"} {
		if strings.Contains(h.Log.String(), text) {
			t.Errorf("the log says %q although only one transaction of the host is open", text)
		}
	}
}
