package mirror_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/nawasynctest"
	"github.com/nawasara/nawasync/tracker"
)

func TestListingThatIsCutTogetherWithItsCountDeletesNothing(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSyncedShop(t, db, 130)
		s.remote.changePages(func(p gadgetPages) gadgetPages {
			return withProof(p[:1], mirror.Proof{Level: mirror.ProofCounted, Total: 100})
		})
		for range 2 {
			s.waitStatus(t, s.sync(t), tracker.StatusSuccess)
		}
		if got := s.confirmed(t); got.Present != 30 || got.Deleted != 0 {
			t.Errorf("result of the confirmation = %+v, want 30 present", got)
		}
		rows := s.rows(t)
		if len(rows) != 130 || rows["g0129"].State != nawasync.StateSynced || rows["g0129"].MissingRuns != 0 {
			t.Errorf("%d rows are left and g0129 is %+v, want 130 and synced", len(rows), rows["g0129"].SyncStatus)
		}
	})
}

func TestRemoteThatAnswersGoneForEveryObjectDeletesNothing(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSyncedShop(t, db, 20)
		s.remote.Drop(numberedGadgets(2)...)
		s.remote.beforeCall(func(call, _ string) error {
			if call == "get" {
				return nawasynctest.ErrGone // the base URL of Get is wrong
			}
			return nil
		})
		for range 2 {
			s.waitStatus(t, s.sync(t), tracker.StatusSuccess)
		}
		job := s.confirming(t)
		if job.Status != tracker.StatusFailed || !strings.Contains(job.Error, "2 missing rows were not deleted") || !strings.Contains(job.Error, "address") {
			t.Errorf("the confirmation is %s with the error %q, want it failed with advice", job.Status, job.Error)
		}
		if n := len(s.rows(t)); n != 20 {
			t.Errorf("%d rows are left, want 20", n)
		}
		s.remote.beforeCall(func(string, string) error { return nil })
		s.waitStatus(t, s.sync(t), tracker.StatusSuccess)
		if got := s.confirmed(t); got.Deleted != 2 {
			t.Errorf("result of the next confirmation = %+v, want two deleted", got)
		}
	})
}

func TestConfirmationGoesOnAfterARateLimitWhileSyncsRun(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSyncedShop(t, db, 1000)
		s.remote.Drop(numberedGadgets(150)...)
		s.waitStatus(t, s.sync(t), tracker.StatusSuccess)
		var mu sync.Mutex
		windows, left := 1, 100
		limited, proceed := make(chan struct{}), make(chan struct{})
		s.remote.beforeCall(func(string, string) error {
			mu.Lock()
			defer mu.Unlock()
			if left--; left >= 0 {
				return nil
			}
			windows, left = windows+1, 100
			if windows == 2 {
				close(limited)
				<-proceed
			}
			return &fault.Error{Class: fault.ClassRateLimited, RetryAfter: 300 * time.Millisecond, Err: errors.New("the server answered 429")}
		})
		s.waitStatus(t, s.sync(t), tracker.StatusSuccess)
		<-limited
		before := len(s.rows(t))
		if got := resultOf(t, s.waitStatus(t, s.sync(t), tracker.StatusSuccess)); before >= 1000 || before <= 850 || got.Missing != int64(before-850) {
			t.Errorf("%d rows were left at the limit, and a sync then has the result %+v; want some deleted and the rest missing", before, got)
		}
		close(proceed)
		enginetest.Eventually(t, 20*time.Second, "the deletion of all missing rows", func() bool { return len(s.rows(t)) == 850 })
		mu.Lock()
		defer mu.Unlock()
		if windows != 2 {
			t.Errorf("150 rows took %d windows of 100 calls, want 2", windows)
		}
	})
}

func TestRowThatIsListedAgainOrChangedIsDroppedFromTheConfirmation(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSyncedShop(t, db, 20)
		list := numberedGadgets(20)
		s.remote.Drop(list[:3]...)
		s.waitStatus(t, s.sync(t), tracker.StatusSuccess)
		asked, proceed := make(chan struct{}), make(chan struct{})
		var once sync.Once
		s.remote.beforeCall(func(call, name string) error {
			if call != "get" || name != "g0002" {
				return nil
			}
			once.Do(func() { // the remote has answered for g0000 and g0001
				close(asked)
				<-proceed
			})
			return nil
		})
		s.waitStatus(t, s.sync(t), tracker.StatusSuccess)
		<-asked
		s.remote.Put(list[0])
		s.waitStatus(t, s.sync(t), tracker.StatusSuccess)
		close(proceed)
		enginetest.Eventually(t, 20*time.Second, "the deletion of the other rows", func() bool { return len(s.rows(t)) <= 18 })
		if row := s.row(t, "g0000"); row.State != nawasync.StateSynced || len(s.rows(t)) != 18 {
			t.Errorf("the row that was listed again is %+v and %d rows are left, want it synced and 18", row.SyncStatus, len(s.rows(t)))
		}
	})
}

func TestObjectWithoutAUsableAnswerDoesNotKeepTheOthers(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSyncedShop(t, db, 20)
		s.remote.Drop(numberedGadgets(3)...)
		s.remote.beforeCall(func(_, name string) error {
			if name == "g0000" {
				return errors.New("the server answered 500")
			}
			return nil
		})
		for range 2 {
			s.waitStatus(t, s.sync(t), tracker.StatusSuccess)
		}
		enginetest.Eventually(t, 20*time.Second, "the deletion of the other rows", func() bool { return len(s.rows(t)) == 18 })
		var text string
		enginetest.Eventually(t, 20*time.Second, "an error that names the object", func() bool {
			_ = s.DB.Raw("SELECT COALESCE(error, '') FROM nawasync_jobs WHERE action = 'confirm'").Row().Scan(&text)
			return strings.Contains(text, "1 of 3 missing rows") && strings.Contains(text, "g0000")
		})
		if row := s.row(t, "g0000"); row.State != nawasync.StateMissing {
			t.Errorf("the row is %s, want missing", row.State)
		}
	})
}

// A constraint of the host may forbid to mark a row.
func TestRowThatTheDatabaseKeepsIsNamedAndDoesNotKeepTheOthers(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSyncedShop(t, db, 20)
		keep := "ALTER TABLE gadgets ADD CONSTRAINT keep CHECK (name <> 'g0001' OR sync_status <> 'deleted')"
		if db.Dialect == "sqlite" {
			keep = "CREATE TRIGGER keep BEFORE UPDATE ON gadgets WHEN NEW.name = 'g0001' AND NEW.sync_status = 'deleted' BEGIN SELECT RAISE(ABORT, 'the row is in use'); END"
		}
		enginetest.NoError(t, s.DB.Exec(keep).Error)
		s.remote.Drop(numberedGadgets(3)...)
		for range 2 {
			s.waitStatus(t, s.sync(t), tracker.StatusSuccess)
		}
		enginetest.Eventually(t, 20*time.Second, "the deletion of the other rows", func() bool { return len(s.rows(t)) == 18 })
		if row := s.row(t, "g0001"); row.State != nawasync.StateMissing {
			t.Errorf("the row that must not be deleted is %s, want missing", row.State)
		}
	})
}

func TestListingsWithoutARowMustBeConsecutive(t *testing.T) {
	t.Parallel()
	s := newSyncedShop(t, testdb.SQLite(t), 20)
	s.remote.Drop(numberedGadgets(1)...)
	s.waitStatus(t, s.sync(t), tracker.StatusSuccess)
	s.remote.changePages(func(p gadgetPages) gadgetPages {
		p[0].Skipped = func(g gadget) bool { return g.Name == "g0000" } // its account is suspended
		return p
	})
	s.waitStatus(t, s.sync(t), tracker.StatusSuccess)
	s.remote.changePages(nil)
	if got := resultOf(t, s.waitStatus(t, s.sync(t), tracker.StatusSuccess)); got.Missing != 1 || got.Confirming != 0 {
		t.Errorf("sync result = %+v, want the row missing for the first time again", got)
	}
}
