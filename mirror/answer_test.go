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

func TestConflictIsResolvedByKeepTheirsApplyMineOrOverwrite(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSyncedShop(t, db, 4)
		conflict := func(name string) *tracker.Job {
			t.Helper()
			s.changeRemote(name, setQuota(300))
			return s.waitStatus(t, s.update(t, s.row(t, name), func(g *gadget) {
				g.QuotaMB, g.Password = new(500), nawasync.NewSecret("n3w-password")
			}), tracker.StatusConflict)
		}
		job, err := mirror.KeepTheirs(t.Context(), s.engine, conflict("g0000").ID, nawasync.OperatorOptions{By: "user:7"})
		enginetest.NoError(t, err)
		s.waitStatus(t, job, tracker.StatusSuccess)
		if row := s.row(t, "g0000"); row.State != nawasync.StateSynced || *row.QuotaMB != 300 || row.SyncError != "" {
			t.Errorf("row after KeepTheirs = %+v, want synced with quota 300", row)
		}
		conflicted := conflict("g0001")
		job, err = mirror.ApplyMine(t.Context(), s.engine, conflicted.ID, nawasync.OperatorOptions{By: "user:7"})
		enginetest.NoError(t, err)
		s.waitStatus(t, job, tracker.StatusSuccess)
		if row := s.row(t, "g0001"); row.State != nawasync.StateSynced || *row.QuotaMB != 500 {
			t.Errorf("row after ApplyMine = %+v, want synced with quota 500", row)
		}
		if object, _ := s.remote.find("g0001"); object.Password.Reveal() != "n3w-password" {
			t.Error("ApplyMine did not write the secret")
		}
		conflicted = conflict("g0002")
		s.changeRemote("g0002", setQuota(301)) // ApplyMine meets another value than the conflict did
		job, err = mirror.ApplyMine(t.Context(), s.engine, conflicted.ID, nawasync.OperatorOptions{By: "user:7"})
		enginetest.NoError(t, err)
		conflicted = s.waitStatus(t, job, tracker.StatusConflict)
		job, err = mirror.Overwrite(t.Context(), s.engine, conflicted.ID, nawasync.OperatorOptions{By: "user:7"})
		enginetest.NoError(t, err)
		if done := s.waitStatus(t, job, tracker.StatusSuccess); done.RetryOf != conflicted.ID || done.TriggeredBy != "user:7" {
			t.Errorf("job of Overwrite = %+v, want a retry of job %d by user:7", done, conflicted.ID)
		}
		if object, _ := s.remote.find("g0002"); *object.QuotaMB != 500 {
			t.Errorf("quota on the remote after Overwrite = %d, want 500", *object.QuotaMB)
		}
		if _, err := mirror.Overwrite(t.Context(), s.engine, job.ID, nawasync.OperatorOptions{By: "user:7"}); !errors.Is(err, mirror.ErrNoConflict) {
			t.Errorf("Overwrite of a successful job: error = %v, want ErrNoConflict", err)
		}
	})
}

func TestOldConflictsAndRetriesRespectTheCurrentStateOfTheRow(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSyncedShop(t, db, 2)
		s.changeRemote("g0000", setQuota(300))
		conflicted := s.waitStatus(t, s.update(t, s.row(t, "g0000"), setQuota(500)), tracker.StatusConflict)
		job, err := mirror.KeepTheirs(t.Context(), s.engine, conflicted.ID, nawasync.OperatorOptions{By: "user:7"})
		enginetest.NoError(t, err)
		s.waitStatus(t, job, tracker.StatusSuccess)
		s.waitStatus(t, s.update(t, s.row(t, "g0000"), setQuota(600)), tracker.StatusSuccess)
		if _, err := mirror.Overwrite(t.Context(), s.engine, conflicted.ID, nawasync.OperatorOptions{By: "user:7"}); !errors.Is(err, nawasync.ErrSuperseded) {
			t.Errorf("Overwrite of an old conflict after a newer change: error = %v, want ErrSuperseded", err)
		}
		// The cancellation of a queued change restores the row's earlier state: the conflict.
		s.changeRemote("g0001", setQuota(300))
		s.waitStatus(t, s.update(t, s.row(t, "g0001"), setQuota(500)), tracker.StatusConflict)
		later, err := s.repo.Update(t.Context(), s.row(t, "g0001"), setPlan("gold"), nawasync.Options{Delay: time.Hour})
		enginetest.NoError(t, err)
		_, err = s.engine.Cancel(t.Context(), later.ID, nawasync.OperatorOptions{By: "user:7"})
		enginetest.NoError(t, err)
		if row := s.row(t, "g0001"); !row.HasFailed() || !strings.Contains(row.SyncError, "quota_mb") {
			t.Errorf("row after the cancellation = %+v, want the earlier conflict over quota_mb", row.SyncStatus)
		}
		// An earlier change cannot be retried while a delete of the same row is queued.
		deleting, err := s.repo.Delete(t.Context(), s.row(t, "g0001"), nawasync.Options{Delay: time.Hour})
		enginetest.NoError(t, err)
		if _, err := s.engine.Retry(t.Context(), later.ID, nawasync.RetryOptions{Force: true}); !errors.Is(err, nawasync.ErrDeleting) {
			t.Errorf("Retry while a delete is queued: error = %v, want ErrDeleting", err)
		}
		_, err = s.engine.Cancel(t.Context(), deleting.ID, nawasync.OperatorOptions{By: "user:7"})
		enginetest.NoError(t, err)
	})
}
