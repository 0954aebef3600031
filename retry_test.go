package nawasync_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

func retriedAs(t *testing.T, e *nawasync.Engine, id int64) int64 {
	t.Helper()
	job, err := e.Reader().Get(t.Context(), id)
	enginetest.NoError(t, err)
	return job.RetriedAs
}

func TestOfARetriedJobOnlyTheLastRetryCanBeRetried(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		e := h.Engine(nil)
		enginetest.Register(t, e, func(_ context.Context, run *nawasync.Run[enginetest.JobArgs]) error {
			if run.Args.N == 0 {
				return nawasync.Permanent(enginetest.ErrBoom)
			}
			return nil
		})
		h.Start(e)
		first := enginetest.WaitStatus(t, e, enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "a"}).ID, tracker.StatusFailed)
		second, err := e.Retry(t.Context(), first.ID, nawasync.RetryOptions{})
		enginetest.NoError(t, err)
		enginetest.WaitStatus(t, e, second.ID, tracker.StatusFailed)
		third, err := e.Retry(t.Context(), second.ID, nawasync.RetryOptions{})
		enginetest.NoError(t, err)
		enginetest.WaitStatus(t, e, third.ID, tracker.StatusFailed)
		if a, b, c := retriedAs(t, e, first.ID), retriedAs(t, e, second.ID), retriedAs(t, e, third.ID); a != second.ID || b != third.ID || c != 0 {
			t.Errorf("retried as %d, %d and %d; want %d, %d and 0", a, b, c, second.ID, third.ID)
		}
		for _, id := range []int64{first.ID, second.ID} {
			for _, force := range []bool{false, true} {
				_, err := e.Retry(t.Context(), id, nawasync.RetryOptions{Force: force})
				if !errors.Is(err, nawasync.ErrSuperseded) || !strings.Contains(err.Error(), "which failed; retry job 3 instead") {
					t.Errorf("retry of job %d, force %v: %v", id, force, err)
				}
			}
		}
		// The last retry is open: it is returned for each job of the chain.
		enginetest.NoError(t, e.Pause(t.Context(), "notes", "", nawasync.PauseOptions{By: "user:1"}))
		open, err := e.Retry(t.Context(), third.ID, nawasync.RetryOptions{})
		enginetest.NoError(t, err)
		for _, id := range []int64{first.ID, second.ID, third.ID} {
			again, err := e.Retry(t.Context(), id, nawasync.RetryOptions{Force: true})
			if err != nil || again.ID != open.ID || !again.Coalesced {
				t.Errorf("retry of job %d while job %d is open: %+v, %v", id, open.ID, again, err)
			}
		}
		// A retry that succeeded is repeated by force only. So is one that was pruned, because it may have succeeded.
		enginetest.NoError(t, db.Exec("UPDATE nawasync_jobs SET payload = '{\"ID\":\"a\",\"N\":1}' WHERE id = ?", open.ID).Error)
		_, err = e.Resume(t.Context(), "notes", "", nawasync.OperatorOptions{})
		enginetest.NoError(t, err)
		enginetest.WaitStatus(t, e, open.ID, tracker.StatusSuccess)
		enginetest.NoError(t, db.Exec("DELETE FROM nawasync_jobs WHERE id = ?", open.ID).Error)
		_, err = e.Retry(t.Context(), third.ID, nawasync.RetryOptions{})
		if !errors.Is(err, nawasync.ErrSuperseded) || !strings.Contains(err.Error(), "no longer stored") {
			t.Errorf("retry of a job whose retry was pruned: %v", err)
		}
		forced, err := e.Retry(t.Context(), third.ID, nawasync.RetryOptions{Force: true})
		enginetest.NoError(t, err)
		if got := retriedAs(t, e, third.ID); got != forced.ID {
			t.Errorf("after a forced retry, job %d was retried as %d, want %d", third.ID, got, forced.ID)
		}
	})
}

func TestCancelledRetryNoLongerStandsForItsJob(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		e := h.Engine(nil)
		running, failing := make(chan struct{}, 1), true
		enginetest.Register(t, e, func(ctx context.Context, _ *nawasync.Run[enginetest.JobArgs]) error {
			if failing {
				return nawasync.Permanent(enginetest.ErrBoom)
			}
			running <- struct{}{}
			<-ctx.Done()
			return ctx.Err()
		})
		h.Start(e)
		first := enginetest.WaitStatus(t, e, enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "a"}).ID, tracker.StatusFailed)
		failing = false
		for _, queued := range []bool{true, false} {
			if queued {
				enginetest.NoError(t, e.Pause(t.Context(), "notes", "", nawasync.PauseOptions{By: "user:1"}))
			}
			retry, err := e.Retry(t.Context(), first.ID, nawasync.RetryOptions{})
			enginetest.NoError(t, err)
			if got := retriedAs(t, e, first.ID); got != retry.ID {
				t.Errorf("retried as %d, want %d", got, retry.ID)
			}
			if !queued {
				<-running
			}
			_, err = e.Cancel(t.Context(), retry.ID, nawasync.OperatorOptions{By: "user:1"})
			enginetest.NoError(t, err)
			enginetest.WaitStatus(t, e, retry.ID, tracker.StatusCancelled)
			if got := retriedAs(t, e, first.ID); got != 0 {
				t.Errorf("after the retry was cancelled, the job still names %d", got)
			}
			_, err = e.Resume(t.Context(), "notes", "", nawasync.OperatorOptions{})
			enginetest.NoError(t, err)
		}
	})
}

// The newest of several jobs is told by status and action. A refresh changes nothing.
func TestLaterJobsOfATargetAreFoundByStatusAndAction(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		e := h.Engine(nil)
		add := func(id string, status tracker.Status, action string) *tracker.Job {
			job := enginetest.Dispatch(t, e, enginetest.JobArgs{ID: id})
			finished, lane := any(time.Now().UnixMicro()), any(nil)
			if !status.Terminal() {
				finished, lane = nil, enginetest.Stored(t, e, job.ID).Lane
			}
			enginetest.NoError(t, db.Exec("UPDATE nawasync_jobs SET status = ?, action = ?, finished_at = ?, open_lane = ? WHERE id = ?",
				string(status), action, finished, lane, job.ID).Error)
			job.Action = action
			return job
		}
		first := add("a", tracker.StatusFailed, "write")
		alone := add("b", tracker.StatusFailed, "write")
		failed := add("a", tracker.StatusConflict, "write")
		other := add("a", tracker.StatusFailed, "erase")
		dropped := add("a", tracker.StatusCancelled, "write")
		succeeded := add("a", tracker.StatusSuccess, "erase")
		add("a", tracker.StatusSuccess, tracker.RefreshAction)
		add("a", tracker.StatusFailed, tracker.RefreshAction)
		queued := add("a", tracker.StatusQueued, "write")
		refreshing := add("a", tracker.StatusQueued, tracker.RefreshAction)
		got, err := e.Reader().LaterJobs(t.Context(), []*tracker.Job{first, alone, dropped, refreshing})
		enginetest.NoError(t, err)
		want := map[int64]tracker.LaterJobs{
			first.ID: {
				Succeeded: succeeded.ID, Failed: other.ID, Open: queued.ID, SameFailed: failed.ID, SameOpen: queued.ID, SameDropped: dropped.ID,
			},
			dropped.ID: {Succeeded: succeeded.ID, Open: queued.ID, SameOpen: queued.ID},
		}
		if len(got) != len(want) {
			t.Errorf("later jobs of %d jobs, want %d: %+v", len(got), len(want), got)
		}
		for id, later := range want {
			if got[id] != later {
				t.Errorf("later jobs of job %d = %+v, want %+v", id, got[id], later)
			}
		}
	})
}
