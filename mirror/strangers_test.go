package mirror_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/tracker"
)

func TestChangesQueuedBehindARefusedCreationDoNotTouchTheStrangersObject(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		s := idleShop(t, h)
		s.remote.put(gadget{Instance: "one", Name: "a", Plan: "x", Password: nawasync.NewSecret("theirs")})
		created, err := s.repo.Create(t.Context(), gadget{Instance: "one", Name: "a", Plan: "x", Password: nawasync.NewSecret("ours")}, by)
		enginetest.OK(t, err)
		updated := s.update(t, s.row(t, "a"), func(g *gadget) { g.Password = nawasync.NewSecret("ours-2") })
		h.Start(s.engine)
		s.status(t, created, tracker.Conflict)
		s.status(t, updated, tracker.Failed)
		// The row goes; what has its name at the remote stays.
		deleted, err := s.repo.Delete(t.Context(), s.row(t, "a"), by)
		enginetest.OK(t, err)
		s.status(t, deleted, tracker.Success)
		if there, found := s.remote.look("a"); !found || there.Password.Reveal() != "theirs" || s.remote.writes != 0 {
			t.Errorf("the stranger's is %+v, %v, after %d writes", there, found, s.remote.writes)
		}
		if len(s.rows(t)) != 0 {
			t.Error("the row is there still")
		}
	})
}

func TestCreationThatWasCertainlyRefusedAdoptsNothingLater(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newShop(t, enginetest.New(t, db))
		first := true
		s.remote.mu.Lock()
		s.remote.before = func(call, name string) error {
			if call != "create" || !first {
				return nil
			}
			first = false
			// Nothing is written; meanwhile somebody else makes one.
			s.remote.put(gadget{Instance: "one", Name: name, Plan: "x", Password: nawasync.NewSecret("theirs")})
			return &fault.Error{Class: fault.RateLimited, RetryAfter: 50 * time.Millisecond, Err: enginetest.ErrBoom}
		}
		s.remote.mu.Unlock()
		job, err := s.repo.Create(t.Context(), gadget{Instance: "one", Name: "a", Plan: "x", Password: nawasync.NewSecret("ours")}, by)
		enginetest.OK(t, err)
		s.status(t, job, tracker.Conflict)
		if there, _ := s.remote.look("a"); there.Password.Reveal() != "theirs" {
			t.Error("its password was set")
		}
	})
}

func TestExhaustedListingAsksForEachRowHoweverManyAreKept(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := stocked(t, db, 100)
		s.remote.drop(numbered(40)...)
		s.status(t, s.sync(t), tracker.Conflict)
		open, err := s.engine.Reader().Holds(t.Context(), "shop", "gadget", true, 1)
		enginetest.OK(t, err)
		enginetest.OK(t, mirror.RejectHold(t.Context(), s.engine, open[0].ID, nawasync.OperatorOptions{By: "user:7"}))
		s.remote.mu.Lock()
		s.remote.pages = func(p []mirror.Page[gadget]) []mirror.Page[gadget] {
			p[0].Proof, p[0].Items = mirror.Proof{Level: mirror.Exhausted}, p[0].Items[5:] // five are skipped
			return p
		}
		s.remote.mu.Unlock()
		for range 3 {
			if got := resultOf(t, s.status(t, s.sync(t), tracker.Success)); got.Deleted != 0 || got.Kept != 40 {
				t.Errorf("the sync did %+v", got)
			}
		}
	})
}

func TestSortByAColumnWithNULLsOfAPlainTypeComesToAnEnd(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := stocked(t, db, 5)
		for _, sort := range []string{"sync_error", "-sync_error"} {
			if found := s.pages(t, nawasync.Query{Sort: sort, Limit: 2}, nil); len(found) != 5 {
				t.Errorf("by %s: %v", sort, found)
			}
		}
	})
}

func TestHostTransactionThatReadBeforeSeesTheRowsStateOfNow(t *testing.T) {
	t.Parallel()
	h := enginetest.New(t, testdb.MySQL(t)) // its default isolation keeps the first read's view
	s := idleShop(t, h)
	s.remote.put(numbered(1)...)
	h.Start(s.engine)
	s.status(t, s.sync(t), tracker.Success)
	enginetest.OK(t, s.engine.Stop(t.Context()))
	seen := s.row(t, "g0000")
	err := h.DB.Transaction(func(tx *gorm.DB) error {
		var n int64
		if err := tx.Table("gadgets").Count(&n).Error; err != nil {
			return err
		}
		if _, err := s.repo.Delete(t.Context(), seen, by); err != nil { // another session
			return err
		}
		_, err := s.repo.WithTx(tx).Update(t.Context(), seen, setQuota(5), by)
		return err
	})
	if !errors.Is(err, nawasync.ErrDeleting) {
		t.Error(err)
	}
}

func TestAnswersAndRetriesHeedWhatTheRowHasBecome(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := stocked(t, db, 2)
		s.elsewhere("g0000", setQuota(300))
		lost := s.status(t, s.update(t, s.row(t, "g0000"), setQuota(500)), tracker.Conflict)
		job, err := mirror.KeepTheirs(t.Context(), s.engine, lost.ID, nawasync.OperatorOptions{By: "user:7"})
		enginetest.OK(t, err)
		s.status(t, job, tracker.Success)
		s.status(t, s.update(t, s.row(t, "g0000"), setQuota(600)), tracker.Success)
		if _, err := mirror.Overwrite(t.Context(), s.engine, lost.ID, nawasync.OperatorOptions{By: "user:7"}); !errors.Is(err, nawasync.ErrSuperseded) {
			t.Errorf("an old conflict overwrites a newer change: %v", err)
		}
		// A row that is called back is what it was.
		s.elsewhere("g0001", setQuota(300))
		s.status(t, s.update(t, s.row(t, "g0001"), setQuota(500)), tracker.Conflict)
		later, err := s.repo.Update(t.Context(), s.row(t, "g0001"), setPlan("gold"), nawasync.Options{Delay: time.Hour})
		enginetest.OK(t, err)
		_, err = s.engine.Cancel(t.Context(), later.ID, nawasync.OperatorOptions{By: "user:7"})
		enginetest.OK(t, err)
		if row := s.row(t, "g0001"); !row.HasFailed() || !strings.Contains(row.SyncError, "quota_mb") {
			t.Errorf("the row forgot its conflict: %+v", row.SyncStatus)
		}
		// A delete that waits is not undone by an answer.
		deleting, err := s.repo.Delete(t.Context(), s.row(t, "g0001"), nawasync.Options{Delay: time.Hour})
		enginetest.OK(t, err)
		if _, err := s.engine.Retry(t.Context(), later.ID, nawasync.RetryOptions{Force: true}); !errors.Is(err, nawasync.ErrDeleting) {
			t.Errorf("a retry beside a delete: %v", err)
		}
		_, err = s.engine.Cancel(t.Context(), deleting.ID, nawasync.OperatorOptions{By: "user:7"})
		enginetest.OK(t, err)
	})
}

func TestOneObjectThatCannotBeStoredStopsNoOther(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newShop(t, enginetest.New(t, db))
		s.remote.put(append(numbered(10), gadget{Instance: "one", Name: "g0000 "}, gadget{Instance: "one", Name: strings.Repeat("x", 300)})...)
		job, err := s.repo.SyncNow(t.Context(), gadget{Instance: "one"}, "", by)
		enginetest.OK(t, err)
		enginetest.Eventually(t, 20*time.Second, "a run that says what is wrong", func() bool {
			now, err := s.engine.Reader().Get(t.Context(), job.ID)
			return err == nil && strings.Contains(now.Error, "2 objects could not be stored")
		})
		if n := len(s.rows(t)); n != 10 {
			t.Errorf("%d rows", n)
		}
		_, err = s.engine.Cancel(t.Context(), job.ID, nawasync.OperatorOptions{By: "user:7"})
		enginetest.OK(t, err)
	})
}

// An older release, say, ended the job and left the row.
func TestRowThatWasLeftPendingIsMendedByTheNextSync(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := stocked(t, db, 3)
		job := s.status(t, s.update(t, s.row(t, "g0001"), setQuota(5)), tracker.Success)
		enginetest.OK(t, s.DB.Exec("UPDATE gadgets SET sync_status = 'pending_update' WHERE name = 'g0001'").Error)
		enginetest.OK(t, s.DB.Exec("UPDATE gadgets SET sync_status = 'pending_update', sync_job_id = ? WHERE name = 'g0002'", job.ID+1000).Error)
		waitForRow(t, s, "g0001", func(g gadget) bool { return g.State == nawasync.StateSynced })
		waitForRow(t, s, "g0002", func(g gadget) bool { return g.State == nawasync.StateSynced })
	})
}
