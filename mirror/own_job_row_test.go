package mirror_test

import (
	"context"
	"errors"
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/tracker"
)

// A marked row follows the own job, and shows what the job left; a failure of a change is not covered by it.
func TestOwnJobMarksItsRowPendingAndFailedUntilARetrySucceeds(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		w := newOwnWorld(t, db)
		ann := w.synced("ann")
		mark := nawasync.Options{By: "user:7", MarkRow: true}
		fails := true
		w.resets.do = func(context.Context, *nawasync.Run[resetPassword], worldRecord) error {
			if fails {
				return nawasync.Permanent(errors.New("HTTP 400: too short"))
			}
			return nil
		}
		reset, err := w.Dispatch(t.Context(), ann, resetPassword{}, mark)
		enginetest.NoError(t, err)
		w.is(nawasync.StatePendingUpdate, "", reset)
		w.drain(reset, nil)
		w.is(nawasync.StateFailed, "HTTP 400: too short", reset)

		again, err := w.engine.Retry(t.Context(), reset.ID, nawasync.RetryOptions{})
		enginetest.NoError(t, err)
		w.is(nawasync.StatePendingUpdate, "HTTP 400: too short", again)
		w.cancel(again)
		w.is(nawasync.StateFailed, "HTTP 400: too short", again)

		fails = false
		again, err = w.engine.Retry(t.Context(), reset.ID, nawasync.RetryOptions{})
		w.ends(w.drain(again, err), tracker.StatusSuccess, "")
		w.is(nawasync.StateSynced, "", again)

		// Without the mark, the row does not show the job.
		fails = true
		w.drain(w.Dispatch(t.Context(), w.named("ann"), resetPassword{}, byUser))
		w.is(nawasync.StateSynced, "", again)
	})
}

// A conflict of an update needs a decision: the row shows it whatever own jobs do. The own job runs all the same.
func TestOwnJobRunsBehindAConflictAndLeavesItOnTheRow(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		w := newOwnWorld(t, db)
		ann := w.synced("ann")
		object, _ := w.remote.find("z", ann.RID, "", 0)
		object.Content = "c"
		w.remote.add(object, false)
		mark := nawasync.Options{By: "user:7", MarkRow: true}
		update, err := w.Update(t.Context(), ann, func(v *worldRecord) { v.Content = "b" }, byUser)
		enginetest.NoError(t, err)
		reset, err := w.Dispatch(t.Context(), ann, resetPassword{}, mark)
		enginetest.NoError(t, err)
		w.is(nawasync.StatePendingUpdate, "", reset)
		w.clock.Advance(60e9)
		w.ends(w.drain(reset, nil), tracker.StatusSuccess, "")
		w.ends(w.job(update.ID), tracker.StatusConflict, "")
		w.is(nawasync.StateConflict, "content", update)
		w.drain(w.Dispatch(t.Context(), ann, resetPassword{}, mark))
		w.is(nawasync.StateConflict, "content", update)
		answer, err := mirror.ApplyMine(t.Context(), w.engine, update.ID, nawasync.OperatorOptions{})
		w.ends(w.drain(answer, err), tracker.StatusSuccess, "")
		w.is(nawasync.StateSynced, "", answer)
	})
}

// The row of an update that fails behind, or before, an own job is that of the update.
func TestRowFollowsTheChangeThatFailsBesideOwnJobs(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		w := newOwnWorld(t, db)
		ann := w.synced("ann")
		mark := nawasync.Options{By: "user:7", MarkRow: true}
		refused := ""
		w.remote.before = func(call string) error {
			if call == refused {
				return nawasync.Permanent(errors.New("HTTP 422"))
			}
			return nil
		}
		dispatch := func(steps string) (jobs []*tracker.Job) {
			for i, step := range steps {
				var job *tracker.Job
				var err error
				if step == 'o' {
					job, err = w.Dispatch(t.Context(), ann, resetPassword{}, mark)
				} else {
					job, err = w.Update(t.Context(), w.named("ann"), func(v *worldRecord) { v.TTL += int64(10 + i) }, byUser)
				}
				enginetest.NoError(t, err)
				jobs = append(jobs, job)
			}
			w.clock.Advance(60e9)
			return jobs
		}
		jobs := dispatch("ouo")
		w.is(nawasync.StatePendingUpdate, "", jobs[2])
		refused = "get"
		w.drain(jobs[2], nil)
		w.is(nawasync.StateFailed, "HTTP 422", jobs[1])
		refused = ""
		jobs = dispatch("uou")
		w.drain(jobs[2], nil)
		w.is(nawasync.StateSynced, "", jobs[2])

		// A cancelled update gives the row back to the own job before it.
		jobs = dispatch("ou")
		w.cancel(jobs[1])
		w.is(nawasync.StatePendingUpdate, "", jobs[0])
		w.drain(jobs[0], nil)
		w.is(nawasync.StateSynced, "", jobs[0])
	})
}

func TestCancelledCreationRemovesItsRowAlsoIfAnOwnJobWaits(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		w := newOwnWorld(t, db)
		create, err := w.Create(t.Context(), worldRecord{Zone: "z", Name: "ann"}, byUser)
		enginetest.NoError(t, err)
		reset, err := w.Dispatch(t.Context(), w.named("ann"), resetPassword{}, nawasync.Options{MarkRow: true})
		enginetest.NoError(t, err)
		w.cancel(create)
		if rows := w.rows(); len(rows) != 0 {
			t.Errorf("after the creation was cancelled, the rows are %v", rows)
		}
		if reset = w.drain(reset, nil); reset.ErrorClass != string(fault.ClassGone) {
			t.Errorf("the reset ended as %s (%s)", reset.Status, reset.Error)
		}
	})
}
