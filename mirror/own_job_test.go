package mirror_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/tracker"
)

// One form creates a user and resets its password: the reset runs once the user is created, and sees the key that the
// remote has assigned.
func TestOwnJobBehindACreationSeesTheKeyThatTheRemoteAssigned(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		w := newOwnWorld(t, db)
		var create, reset *tracker.Job
		enginetest.NoError(t, w.engine.Transaction(t.Context(), func(tx *gorm.DB) (err error) {
			in := w.WithTx(tx)
			if create, err = in.Create(t.Context(), worldRecord{Zone: "z", Name: "ann", Type: "A", Content: "a"}, byUser); err != nil {
				return err
			}
			row, err := in.Find(t.Context(), create.SnapshotRow)
			if err == nil {
				reset, err = in.Dispatch(t.Context(), row, resetPassword{"x"}, nawasync.Options{By: "user:7", MarkRow: true})
			}
			return err
		}))
		if row := w.named("ann"); row.State != nawasync.StatePendingUpdate || reset.TargetID != "ann" || reset.Instance != "z" || !reset.OwnJob {
			t.Errorf("the row is %s, and the reset %+v", row.State, reset)
		}
		w.ends(w.drain(reset, nil), tracker.StatusSuccess, "")
		w.ends(w.job(create.ID), tracker.StatusSuccess, "")
		if row := w.named("ann"); len(w.resets.seen) != 1 || w.resets.seen[0].RID != "id-1" || row.State != nawasync.StateSynced {
			t.Errorf("the reset saw %v, and the row is %v", w.resets.seen, row)
		}
	})
}

func TestOwnJobBehindAFailedCreationIsSkippedAndRunsAfterBothWereRetried(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		for _, mark := range []bool{false, true} {
			w := newOwnWorld(t, db)
			refused := true
			w.remote.before = func(call string) error {
				if call == "create" && refused {
					return nawasync.Permanent(errors.New("HTTP 422: no such mailbox domain"))
				}
				return nil
			}
			create, err := w.Create(t.Context(), worldRecord{Zone: "z", Name: "ann"}, byUser)
			enginetest.NoError(t, err)
			reset := w.drain(w.Dispatch(t.Context(), w.named("ann"), resetPassword{}, nawasync.Options{MarkRow: mark}))
			w.ends(reset, tracker.StatusSkipped, "HTTP 422: no such mailbox domain")
			if row := w.named("ann"); row.State != nawasync.StateFailed || !strings.Contains(row.SyncError, "HTTP 422") || *row.SyncJobID != create.ID {
				t.Errorf("the row is %s of job %d: %s; want failed by the creation", row.State, *row.SyncJobID, row.SyncError)
			}
			refused = false
			again, err := w.engine.Retry(t.Context(), create.ID, nawasync.RetryOptions{})
			w.ends(w.drain(again, err), tracker.StatusSuccess, "")
			reset, err = w.engine.Retry(t.Context(), reset.ID, nawasync.RetryOptions{})
			w.ends(w.drain(reset, err), tracker.StatusSuccess, "")
			if row := w.named("ann"); len(w.resets.seen) != 1 || w.resets.seen[0].RID != row.RID || row.State != nawasync.StateSynced {
				t.Errorf("the resets saw %v, and the row is %v", w.resets.seen, row)
			}
			enginetest.NoError(t, db.Exec("DROP TABLE world_records").Error)
		}
	})
}

func TestOwnJobEndsGoneWithoutExecuteIfTheRowWasDeletedOrIsAnotherIncarnation(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		w := newOwnWorld(t, db)
		ann, bob := w.synced("ann"), w.synced("bob")
		_, err := w.Delete(t.Context(), ann, byUser)
		enginetest.NoError(t, err)
		if _, err := w.Dispatch(t.Context(), ann, resetPassword{}, byUser); !errors.Is(err, nawasync.ErrDeleting) {
			t.Errorf("a dispatch on a row whose deletion is queued: %v", err)
		}
		w.drain(&tracker.Job{ID: 1}, nil)
		if _, err := w.Dispatch(t.Context(), ann, resetPassword{}, byUser); !errors.Is(err, nawasync.ErrNotFound) {
			t.Errorf("a dispatch on a deleted row: %v", err)
		}
		// Somebody deletes bob on the remote and makes him again, while a reset waits.
		reset, err := w.Dispatch(t.Context(), bob, resetPassword{}, nawasync.Options{Delay: 1e12})
		enginetest.NoError(t, err)
		object, _ := w.remote.find("z", bob.RID, "", 0)
		w.remote.add(object, true)
		w.remote.put(worldRecord{Zone: "z", Name: "bob", RID: bob.RID})
		_, err = w.SyncNow(t.Context(), worldRecord{Zone: "z"}, "", byUser)
		enginetest.NoError(t, err)
		reset = w.drain(reset, nil)
		w.ends(reset, tracker.StatusFailed, "")
		if reset.ErrorClass != string(fault.ClassGone) || len(w.resets.seen) != 0 || w.named("bob").ID == bob.ID {
			t.Errorf("the reset ended with class %s after %d calls of Execute", reset.ErrorClass, len(w.resets.seen))
		}
		// An user who still sees the old row cannot reach the new one.
		if _, err := w.engine.Retry(t.Context(), reset.ID, nawasync.RetryOptions{}); !errors.Is(err, nawasync.ErrRowGone) {
			t.Errorf("a retry on a deleted row: %v", err)
		}
		now := w.named("bob")
		now.Made = bob.Made
		if _, err := w.Dispatch(t.Context(), now, resetPassword{}, byUser); !errors.Is(err, nawasync.ErrNotFound) {
			t.Errorf("a dispatch with what the user saw of an earlier incarnation: %v", err)
		}
	})
}

// The row changes its incarnation in place, as a fetched value of a row without one does not: the job is bound to
// the object and not to the row.
func TestOwnJobIsBoundToTheObjectOfItsRowAlsoWhenRetried(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		w := newOwnWorld(t, db)
		ann := w.synced("ann")
		w.resets.do = func(context.Context, *nawasync.Run[resetPassword], worldRecord) error {
			return nawasync.Permanent(errors.New("HTTP 400"))
		}
		reset := w.drain(w.Dispatch(t.Context(), ann, resetPassword{}, byUser))
		w.ends(reset, tracker.StatusFailed, "HTTP 400")
		enginetest.NoError(t, db.Exec("UPDATE world_records SET made = made + 1").Error)
		again, err := w.engine.Retry(t.Context(), reset.ID, nawasync.RetryOptions{})
		again = w.drain(again, err)
		if w.ends(again, tracker.StatusFailed, "another"); again.ErrorClass != string(fault.ClassGone) || len(w.resets.seen) != 1 {
			t.Errorf("the retry ended with class %s after %d calls of Execute", again.ErrorClass, len(w.resets.seen))
		}
	})
}

func TestOwnJobWaitsForACreationThatWasDispatchedWithADelay(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		w := newOwnWorld(t, db)
		_, err := w.Create(t.Context(), worldRecord{Zone: "z", Name: "ann"}, nawasync.Options{Delay: 3600e9})
		enginetest.NoError(t, err)
		reset := w.drain(w.Dispatch(t.Context(), w.named("ann"), resetPassword{}, byUser))
		if w.ends(reset, tracker.StatusSuccess, ""); reset.Attempt != 1 {
			t.Errorf("the reset consumed %d attempts", reset.Attempt)
		}
	})
}

// sendMail are the arguments of an own job of another service: it belongs to the object of its own arguments.
type sendMail struct{ To string }

func (sendMail) Kind() nawasync.Kind {
	return nawasync.Kind{Service: "mail", Type: "message", Action: "send"}
}

func (m sendMail) Target() nawasync.Target { return nawasync.Target{Instance: "smtp", ID: m.To} }

func (m sendMail) Options() nawasync.JobOptions { return nawasync.JobOptions{UniqueKey: "welcome"} }

func TestOwnJobOfAnotherServiceKeepsItsTargetAndIsUniqueForTheRow(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		w := newOwnWorld(t, db)
		var sent []string
		enginetest.NoError(t, nawasync.Register(w.engine, &enginetest.Handler[sendMail]{Do: func(ctx context.Context, run *nawasync.Run[sendMail]) error {
			row, err := mirror.Row[worldRecord](ctx)
			sent = append(sent, run.Args.To+" "+row.Name)
			if _, wrong := mirror.Row[sendMail](ctx); !errors.Is(wrong, nawasync.ErrInvalid) {
				t.Errorf("Row of another type: %v", wrong)
			}
			return err
		}}))
		ann, bob := w.synced("ann"), w.synced("bob")
		var jobs []*tracker.Job
		for _, row := range []worldRecord{ann, bob, ann} {
			job, err := w.Dispatch(t.Context(), row, sendMail{row.Name + "@x"}, byUser)
			enginetest.NoError(t, err)
			jobs = append(jobs, job)
		}
		if jobs[0].ID == jobs[1].ID || jobs[0].ID != jobs[2].ID || jobs[0].TargetID != "ann@x" || jobs[0].Instance != "smtp" {
			t.Errorf("jobs %+v", jobs)
		}
		w.drain(jobs[1], nil)
		if got := strings.Join(sent, ", "); got != "ann@x ann, bob@x bob" {
			t.Errorf("sent %s", got)
		}
		// The same job without a row has no row to read.
		job, err := w.engine.Dispatch(t.Context(), sendMail{"eve@x"}, byUser)
		w.ends(w.drain(job, err), tracker.StatusFailed, "not that of a job which the Dispatch")
	})
}

func TestDispatchOnARowRefusesWhatCannotRun(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		w := newOwnWorld(t, db)
		ann := w.synced("ann")
		sync, err := w.SyncArgs(worldRecord{Zone: "z"}, "")
		enginetest.NoError(t, err)
		for _, args := range []nawasync.Args{nil, sync} {
			if _, err := w.Dispatch(t.Context(), ann, args, byUser); !errors.Is(err, nawasync.ErrInvalid) {
				t.Errorf("Dispatch of %v: %v", args, err)
			}
		}
		if _, err := w.Dispatch(t.Context(), worldRecord{}, resetPassword{}, byUser); !errors.Is(err, nawasync.ErrInvalid) {
			t.Errorf("Dispatch on a row without an id: %v", err)
		}
		if _, err := w.Dispatch(t.Context(), worldRecord{ID: 999}, resetPassword{}, byUser); !errors.Is(err, nawasync.ErrNotFound) {
			t.Errorf("Dispatch on a row that does not exist: %v", err)
		}
	})
}
