package mirror_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/tracker"
)

func TestConflictIsAnsweredByResyncRebaseOrOverwrite(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := stocked(t, db, 4)
		conflict := func(name string) *tracker.Job {
			t.Helper()
			s.elsewhere(name, setQuota(300))
			return s.status(t, s.update(t, s.row(t, name), func(g *gadget) {
				g.QuotaMB, g.Password = new(500), nawasync.NewSecret("n3w-password")
			}), tracker.StatusConflict)
		}
		job, err := mirror.KeepTheirs(t.Context(), s.engine, conflict("g0000").ID, nawasync.OperatorOptions{By: "user:7"})
		enginetest.NoError(t, err)
		s.status(t, job, tracker.StatusSuccess)
		if row := s.row(t, "g0000"); row.State != nawasync.StateSynced || *row.QuotaMB != 300 || row.SyncError != "" {
			t.Errorf("after a resync the row is %+v", row)
		}
		lost := conflict("g0001")
		job, err = mirror.ApplyMine(t.Context(), s.engine, lost.ID, nawasync.OperatorOptions{By: "user:7"})
		enginetest.NoError(t, err)
		s.status(t, job, tracker.StatusSuccess)
		if row := s.row(t, "g0001"); row.State != nawasync.StateSynced || *row.QuotaMB != 500 {
			t.Errorf("after a rebase the row is %+v", row)
		}
		if there, _ := s.remote.look("g0001"); there.Password.Reveal() != "n3w-password" {
			t.Error("the rebased change lost its secret")
		}
		lost = conflict("g0002")
		s.elsewhere("g0002", setQuota(301)) // and again
		job, err = mirror.ApplyMine(t.Context(), s.engine, lost.ID, nawasync.OperatorOptions{By: "user:7"})
		enginetest.NoError(t, err)
		second := s.status(t, job, tracker.StatusConflict)
		job, err = mirror.Overwrite(t.Context(), s.engine, second.ID, nawasync.OperatorOptions{By: "user:7"})
		enginetest.NoError(t, err)
		if done := s.status(t, job, tracker.StatusSuccess); done.RetryOf != second.ID || done.TriggeredBy != "user:7" {
			t.Errorf("its row says %+v", done)
		}
		if there, _ := s.remote.look("g0002"); *there.QuotaMB != 500 {
			t.Error("an overwrite wrote nothing")
		}
		if _, err := mirror.Overwrite(t.Context(), s.engine, job.ID, nawasync.OperatorOptions{By: "user:7"}); !errors.Is(err, mirror.ErrNoConflict) {
			t.Errorf("a success is overwritten: %v", err)
		}
	})
}

func TestAnswersAndRetriesHeedWhatTheRowHasBecome(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := stocked(t, db, 2)
		s.elsewhere("g0000", setQuota(300))
		lost := s.status(t, s.update(t, s.row(t, "g0000"), setQuota(500)), tracker.StatusConflict)
		job, err := mirror.KeepTheirs(t.Context(), s.engine, lost.ID, nawasync.OperatorOptions{By: "user:7"})
		enginetest.NoError(t, err)
		s.status(t, job, tracker.StatusSuccess)
		s.status(t, s.update(t, s.row(t, "g0000"), setQuota(600)), tracker.StatusSuccess)
		if _, err := mirror.Overwrite(t.Context(), s.engine, lost.ID, nawasync.OperatorOptions{By: "user:7"}); !errors.Is(err, nawasync.ErrSuperseded) {
			t.Errorf("an old conflict overwrites a newer change: %v", err)
		}
		// A row that is called back is what it was.
		s.elsewhere("g0001", setQuota(300))
		s.status(t, s.update(t, s.row(t, "g0001"), setQuota(500)), tracker.StatusConflict)
		later, err := s.repo.Update(t.Context(), s.row(t, "g0001"), setPlan("gold"), nawasync.Options{Delay: time.Hour})
		enginetest.NoError(t, err)
		_, err = s.engine.Cancel(t.Context(), later.ID, nawasync.OperatorOptions{By: "user:7"})
		enginetest.NoError(t, err)
		if row := s.row(t, "g0001"); !row.HasFailed() || !strings.Contains(row.SyncError, "quota_mb") {
			t.Errorf("the row forgot its conflict: %+v", row.SyncStatus)
		}
		// A delete that waits is not undone by an answer.
		deleting, err := s.repo.Delete(t.Context(), s.row(t, "g0001"), nawasync.Options{Delay: time.Hour})
		enginetest.NoError(t, err)
		if _, err := s.engine.Retry(t.Context(), later.ID, nawasync.RetryOptions{Force: true}); !errors.Is(err, nawasync.ErrDeleting) {
			t.Errorf("a retry beside a delete: %v", err)
		}
		_, err = s.engine.Cancel(t.Context(), deleting.ID, nawasync.OperatorOptions{By: "user:7"})
		enginetest.NoError(t, err)
	})
}
