package mirror_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/nawasynctest"
	"github.com/nawasara/nawasync/tracker"
)

func TestUpdateOfARemotelyChangedFieldIsAConflictAndWritesNothing(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSyncedShop(t, db, 1)
		s.changeRemote("g0000", setQuota(300))
		job := s.waitStatus(t, s.update(t, s.row(t, "g0000"), setQuota(500)), tracker.StatusConflict)
		var detail struct {
			Base    map[string]any `json:"base"`
			Desired map[string]any `json:"desired"`
			Remote  map[string]any `json:"remote"`
		}
		enginetest.NoError(t, json.Unmarshal(job.Diff, &detail))
		if detail.Base["quota_mb"] != 100.0 || detail.Desired["quota_mb"] != 500.0 || detail.Remote["quota_mb"] != 300.0 {
			t.Errorf("conflict details = %s, want base 100, desired 500 and remote 300", job.Diff)
		}
		if object, _ := s.remote.find("g0000"); *object.QuotaMB != 300 || s.remote.Calls(nawasynctest.CallUpdate) != 0 {
			t.Error("the update changed the remote despite the conflict")
		}
		row := s.row(t, "g0000")
		if row.State != nawasync.StateConflict || !strings.Contains(row.SyncError, "quota_mb") || *row.QuotaMB != 100 {
			t.Errorf("row = %+v, want a conflict over quota_mb with quota 100", row)
		}
		// A sync copies the remote's value into the row and leaves the conflict unresolved.
		s.waitStatus(t, s.sync(t), tracker.StatusSuccess)
		waitForRow(t, s, "g0000", func(g gadget) bool { return *g.QuotaMB == 300 && g.State == nawasync.StateConflict })
	})
}

func TestUpdateMergesOtherFieldsAndSkipsTheCallWhenTheRemoteMatches(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSyncedShop(t, db, 2)
		s.changeRemote("g0000", setPlan("gold"))
		s.waitStatus(t, s.update(t, s.row(t, "g0000"), setQuota(500)), tracker.StatusSuccess)
		if object, _ := s.remote.find("g0000"); object.Plan != "gold" || *object.QuotaMB != 500 {
			t.Errorf("remote object = %+v, want plan gold and quota 500", object)
		}
		if row := s.row(t, "g0000"); row.Plan != "gold" || *row.QuotaMB != 500 || row.State != nawasync.StateSynced {
			t.Errorf("row = %+v, want synced with plan gold and quota 500", row)
		}
		writes := s.remote.Calls(nawasynctest.CallUpdate)
		s.changeRemote("g0001", setQuota(500))
		done := s.waitStatus(t, s.update(t, s.row(t, "g0001"), setQuota(500)), tracker.StatusSuccess)
		if s.remote.Calls(nawasynctest.CallUpdate) != writes || !strings.Contains(string(done.Result), "already") {
			t.Errorf("an update to the remote's current value was written, or its result %s does not say already", done.Result)
		}
		if row := s.row(t, "g0001"); *row.QuotaMB != 500 {
			t.Errorf("row = %+v, want quota 500", row)
		}
	})
}

// A sync refreshes the row while a user has the form for that row open. The update is still
// compared with the values that the user saw, not with the row's new values.
func TestConflictsAreDetectedAgainstTheValuesTheUserSaw(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSyncedShop(t, db, 1)
		seen := s.row(t, "g0000")
		s.changeRemote("g0000", setQuota(300))
		s.waitStatus(t, s.sync(t), tracker.StatusSuccess)
		if *s.row(t, "g0000").QuotaMB != 300 {
			t.Fatalf("quota after the sync = %d, want 300", *s.row(t, "g0000").QuotaMB)
		}
		s.waitStatus(t, s.update(t, seen, setQuota(500)), tracker.StatusConflict)
		if object, _ := s.remote.find("g0000"); *object.QuotaMB != 300 {
			t.Errorf("quota on the remote = %d, want the other user's 300", *object.QuotaMB)
		}
	})
}

func TestUpdateOfAnObjectThatIsGoneFailsAndMarksTheRowMissing(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSyncedShop(t, db, 1)
		s.remote.Drop(numberedGadgets(1)...)
		job := s.waitStatus(t, s.update(t, s.row(t, "g0000"), setQuota(5)), tracker.StatusFailed)
		if job.ErrorClass != string(fault.ClassGone) {
			t.Errorf("error class of the job = %s, want %s", job.ErrorClass, fault.ClassGone)
		}
		enginetest.Eventually(t, 20*time.Second, "a missing row", func() bool { return s.row(t, "g0000").State == nawasync.StateMissing })
	})
}

// Conflict details that are too long to store are replaced by a short JSON value that says
// "truncated".
func TestConflictWithLargeValuesIsStoredAsValidJSON(t *testing.T) {
	t.Parallel()
	s := newSyncedShop(t, testdb.SQLite(t), 1)
	s.changeRemote("g0000", setPlan(strings.Repeat("x", 50_000)))
	job := s.waitStatus(t, s.update(t, s.row(t, "g0000"), setPlan(strings.Repeat("y", 50_000))), tracker.StatusConflict)
	if !json.Valid(job.Diff) || !strings.Contains(string(job.Diff), "truncated") {
		t.Errorf("stored conflict details = %.200s, want valid JSON with the word truncated", job.Diff)
	}
	if _, err := json.Marshal(job); err != nil {
		t.Errorf("marshal the job: %v", err)
	}
}

func TestChangesQueuedAfterAConflictingCreateDoNotTouchTheExistingObject(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		s := newIdleShop(t, h)
		s.remote.Put(gadget{Instance: "one", Name: "a", Plan: "x", Password: nawasync.NewSecret("theirs")})
		created, err := s.repo.Create(t.Context(), gadget{Instance: "one", Name: "a", Plan: "x", Password: nawasync.NewSecret("ours")}, byUser)
		enginetest.NoError(t, err)
		updated := s.update(t, s.row(t, "a"), func(g *gadget) { g.Password = nawasync.NewSecret("ours-2") })
		h.Start(s.engine)
		s.waitStatus(t, created, tracker.StatusConflict)
		s.waitStatus(t, updated, tracker.StatusSkipped)
		// A delete removes the row and leaves the existing object on the remote.
		deleted, err := s.repo.Delete(t.Context(), s.rows(t)["a"], byUser)
		enginetest.NoError(t, err)
		s.waitStatus(t, deleted, tracker.StatusSuccess)
		if object, found := s.remote.find("a"); !found || object.Password.Reveal() != "theirs" || s.remote.Writes() != 0 {
			t.Errorf("existing object = %+v, found = %v, after %d writes; want it unchanged", object, found, s.remote.Writes())
		}
		if rows := s.rows(t); len(rows) != 0 {
			t.Errorf("rows after the delete = %v, want none", sortedNames(rows))
		}
	})
}
