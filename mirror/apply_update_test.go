package mirror_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/nawasynctest"
	"github.com/nawasara/nawasync/tracker"
)

func TestFieldThatSomebodyElseChangedIsAConflictAndNothingIsOverwritten(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := stocked(t, db, 1)
		s.elsewhere("g0000", setQuota(300))
		job := s.status(t, s.update(t, s.row(t, "g0000"), setQuota(500)), tracker.StatusConflict)
		var detail struct {
			Base    map[string]any `json:"base"`
			Desired map[string]any `json:"desired"`
			Remote  map[string]any `json:"remote"`
		}
		enginetest.NoError(t, json.Unmarshal(job.Diff, &detail))
		if detail.Base["quota_mb"] != 100.0 || detail.Desired["quota_mb"] != 500.0 || detail.Remote["quota_mb"] != 300.0 {
			t.Errorf("kept are %s", job.Diff)
		}
		if there, _ := s.remote.look("g0000"); *there.QuotaMB != 300 || s.remote.Calls(nawasynctest.CallUpdate) != 0 {
			t.Error("the remote was written")
		}
		row := s.row(t, "g0000")
		if row.State != nawasync.StateConflict || !strings.Contains(row.SyncError, "quota_mb") || *row.QuotaMB != 100 {
			t.Errorf("the row is %+v", row)
		}
		// A sync shows what is there, and leaves the question open.
		s.status(t, s.sync(t), tracker.StatusSuccess)
		waitForRow(t, s, "g0000", func(g gadget) bool { return *g.QuotaMB == 300 && g.State == nawasync.StateConflict })
	})
}

func TestAnotherFieldIsMergedAndWhatIsWantedAlreadyNeedsNoCall(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := stocked(t, db, 2)
		s.elsewhere("g0000", setPlan("gold"))
		s.status(t, s.update(t, s.row(t, "g0000"), setQuota(500)), tracker.StatusSuccess)
		if there, _ := s.remote.look("g0000"); there.Plan != "gold" || *there.QuotaMB != 500 {
			t.Errorf("the remote has %+v", there)
		}
		if row := s.row(t, "g0000"); row.Plan != "gold" || *row.QuotaMB != 500 || row.State != nawasync.StateSynced {
			t.Errorf("the row is %+v", row)
		}
		writes := s.remote.Calls(nawasynctest.CallUpdate)
		s.elsewhere("g0001", setQuota(500))
		done := s.status(t, s.update(t, s.row(t, "g0001"), setQuota(500)), tracker.StatusSuccess)
		if s.remote.Calls(nawasynctest.CallUpdate) != writes || !strings.Contains(string(done.Result), "already") {
			t.Errorf("what is so already was written; it says %s", done.Result)
		}
		if row := s.row(t, "g0001"); *row.QuotaMB != 500 {
			t.Errorf("the row is %+v", row)
		}
	})
}

// The form stood open while a sync refreshed the row: what the user saw counts.
func TestWhatTheUserSawCountsNotWhatTheRowSaysByNow(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := stocked(t, db, 1)
		seen := s.row(t, "g0000")
		s.elsewhere("g0000", setQuota(300))
		s.status(t, s.sync(t), tracker.StatusSuccess)
		if *s.row(t, "g0000").QuotaMB != 300 {
			t.Fatal("the sync did not refresh the row")
		}
		s.status(t, s.update(t, seen, setQuota(500)), tracker.StatusConflict)
		if there, _ := s.remote.look("g0000"); *there.QuotaMB != 300 {
			t.Error("somebody's change was overwritten")
		}
	})
}

func TestUpdateOfWhatIsGoneFailsAndTheRowSaysSo(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := stocked(t, db, 1)
		s.remote.Drop(numbered(1)...)
		job := s.status(t, s.update(t, s.row(t, "g0000"), setQuota(5)), tracker.StatusFailed)
		if row := s.row(t, "g0000"); row.State != nawasync.StateFailed || job.ErrorClass != string(fault.ClassGone) {
			t.Errorf("the row is %+v, the job %s", row, job.ErrorClass)
		}
	})
}

// A conflict over large values is kept as what it is: valid JSON, or a word that it
// was too long.
func TestConflictOverLargeValuesIsKeptAsValidJSON(t *testing.T) {
	t.Parallel()
	s := stocked(t, testdb.SQLite(t), 1)
	s.elsewhere("g0000", setPlan(strings.Repeat("x", 50_000)))
	job := s.status(t, s.update(t, s.row(t, "g0000"), setPlan(strings.Repeat("y", 50_000))), tracker.StatusConflict)
	if !json.Valid(job.Diff) || !strings.Contains(string(job.Diff), "truncated") {
		t.Errorf("kept are %.200s", job.Diff)
	}
	if _, err := json.Marshal(job); err != nil {
		t.Error(err)
	}
}

func TestChangesQueuedBehindARefusedCreationDoNotTouchTheStrangersObject(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		s := idleShop(t, h)
		s.remote.Put(gadget{Instance: "one", Name: "a", Plan: "x", Password: nawasync.NewSecret("theirs")})
		created, err := s.repo.Create(t.Context(), gadget{Instance: "one", Name: "a", Plan: "x", Password: nawasync.NewSecret("ours")}, byAnn)
		enginetest.NoError(t, err)
		updated := s.update(t, s.row(t, "a"), func(g *gadget) { g.Password = nawasync.NewSecret("ours-2") })
		h.Start(s.engine)
		s.status(t, created, tracker.StatusConflict)
		s.status(t, updated, tracker.StatusFailed)
		// The row goes; what has its name at the remote stays.
		deleted, err := s.repo.Delete(t.Context(), s.row(t, "a"), byAnn)
		enginetest.NoError(t, err)
		s.status(t, deleted, tracker.StatusSuccess)
		if there, found := s.remote.look("a"); !found || there.Password.Reveal() != "theirs" || s.remote.Writes() != 0 {
			t.Errorf("the stranger's is %+v, %v, after %d writes", there, found, s.remote.Writes())
		}
		if len(s.rows(t)) != 0 {
			t.Error("the row is there still")
		}
	})
}
