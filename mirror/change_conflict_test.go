package mirror_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/tracker"
)

func setQuota(n int) func(*gadget) { return func(g *gadget) { g.QuotaMB = new(n) } }
func setPlan(p string) func(*gadget) {
	return func(g *gadget) { g.Plan = p }
}

// stocked is a shop with synced gadgets.
func stocked(t *testing.T, db *testdb.Database, n int) *shop {
	t.Helper()
	s := newShop(t, enginetest.New(t, db))
	s.remote.put(numbered(n)...)
	s.status(t, s.sync(t), tracker.Success)
	return s
}

func (s *shop) update(t testing.TB, seen gadget, change func(*gadget)) *tracker.Job {
	t.Helper()
	job, err := s.repo.Update(t.Context(), seen, change, by)
	enginetest.OK(t, err)
	return job
}

// elsewhere is somebody else's change at the remote.
func (s *shop) elsewhere(name string, change func(*gadget)) {
	g, _ := s.remote.look(name)
	change(&g)
	s.remote.put(g)
}

func TestFieldThatSomebodyElseChangedIsAConflictAndNothingIsOverwritten(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := stocked(t, db, 1)
		s.elsewhere("g0000", setQuota(300))
		job := s.status(t, s.update(t, s.row(t, "g0000"), setQuota(500)), tracker.Conflict)
		var detail struct {
			Base    map[string]any `json:"base"`
			Desired map[string]any `json:"desired"`
			Remote  map[string]any `json:"remote"`
		}
		enginetest.OK(t, json.Unmarshal(job.Diff, &detail))
		if detail.Base["quota_mb"] != 100.0 || detail.Desired["quota_mb"] != 500.0 || detail.Remote["quota_mb"] != 300.0 {
			t.Errorf("kept are %s", job.Diff)
		}
		if there, _ := s.remote.look("g0000"); *there.QuotaMB != 300 || s.remote.count("update") != 0 {
			t.Error("the remote was written")
		}
		row := s.row(t, "g0000")
		if row.State != nawasync.StateConflict || !strings.Contains(row.SyncError, "quota_mb") || *row.QuotaMB != 100 {
			t.Errorf("the row is %+v", row)
		}
		// A sync shows what is there, and leaves the question open.
		s.status(t, s.sync(t), tracker.Success)
		waitForRow(t, s, "g0000", func(g gadget) bool { return *g.QuotaMB == 300 && g.State == nawasync.StateConflict })
	})
}

// waitForRow syncs until a row is as it should be: one whose job ended a moment ago
// is left alone.
func waitForRow(t testing.TB, s *shop, name string, want func(gadget) bool) {
	t.Helper()
	enginetest.Eventually(t, 10*time.Second, name+" as it should be", func() bool {
		if want(s.row(t, name)) {
			return true
		}
		s.sync(t)
		return want(s.row(t, name))
	})
}

func TestConflictIsAnsweredByResyncRebaseOrOverwrite(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := stocked(t, db, 4)
		conflict := func(name string) *tracker.Job {
			t.Helper()
			s.elsewhere(name, setQuota(300))
			return s.status(t, s.update(t, s.row(t, name), func(g *gadget) {
				g.QuotaMB, g.Password = new(500), nawasync.NewSecret("n3w-password")
			}), tracker.Conflict)
		}
		job, err := mirror.KeepTheirs(t.Context(), s.engine, conflict("g0000").ID, nawasync.OperatorOptions{By: "user:7"})
		enginetest.OK(t, err)
		s.status(t, job, tracker.Success)
		if row := s.row(t, "g0000"); row.State != nawasync.StateSynced || *row.QuotaMB != 300 || row.SyncError != "" {
			t.Errorf("after a resync the row is %+v", row)
		}
		lost := conflict("g0001")
		job, err = mirror.Rebase(t.Context(), s.engine, lost.ID, nawasync.OperatorOptions{By: "user:7"})
		enginetest.OK(t, err)
		s.status(t, job, tracker.Success)
		if row := s.row(t, "g0001"); row.State != nawasync.StateSynced || *row.QuotaMB != 500 {
			t.Errorf("after a rebase the row is %+v", row)
		}
		if there, _ := s.remote.look("g0001"); there.Password.Reveal() != "n3w-password" {
			t.Error("the rebased change lost its secret")
		}
		lost = conflict("g0002")
		s.elsewhere("g0002", setQuota(301)) // and again
		job, err = mirror.Rebase(t.Context(), s.engine, lost.ID, nawasync.OperatorOptions{By: "user:7"})
		enginetest.OK(t, err)
		second := s.status(t, job, tracker.Conflict)
		job, err = mirror.Overwrite(t.Context(), s.engine, second.ID, nawasync.OperatorOptions{By: "user:7"})
		enginetest.OK(t, err)
		if done := s.status(t, job, tracker.Success); done.RetryOf != second.ID || done.TriggeredBy != "user:7" {
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

func TestAnotherFieldIsMergedAndWhatIsWantedAlreadyNeedsNoCall(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := stocked(t, db, 2)
		s.elsewhere("g0000", setPlan("gold"))
		s.status(t, s.update(t, s.row(t, "g0000"), setQuota(500)), tracker.Success)
		if there, _ := s.remote.look("g0000"); there.Plan != "gold" || *there.QuotaMB != 500 {
			t.Errorf("the remote has %+v", there)
		}
		if row := s.row(t, "g0000"); row.Plan != "gold" || *row.QuotaMB != 500 || row.State != nawasync.StateSynced {
			t.Errorf("the row is %+v", row)
		}
		writes := s.remote.count("update")
		s.elsewhere("g0001", setQuota(500))
		done := s.status(t, s.update(t, s.row(t, "g0001"), setQuota(500)), tracker.Success)
		if s.remote.count("update") != writes || !strings.Contains(string(done.Result), "already") {
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
		s.status(t, s.sync(t), tracker.Success)
		if *s.row(t, "g0000").QuotaMB != 300 {
			t.Fatal("the sync did not refresh the row")
		}
		s.status(t, s.update(t, seen, setQuota(500)), tracker.Conflict)
		if there, _ := s.remote.look("g0000"); *there.QuotaMB != 300 {
			t.Error("somebody's change was overwritten")
		}
	})
}

func TestQueuedChangesOfOneFieldAreNoConflictWithEachOtherAndApplyInOrder(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		s := idleShop(t, h)
		created, err := s.repo.Create(t.Context(), gadget{Instance: "one", Name: "a", QuotaMB: new(1)}, by)
		enginetest.OK(t, err)
		seen := s.row(t, "a")
		var jobs []*tracker.Job
		for _, n := range []int{10, 20, 10, 30} { // the same user, and others who saw the same
			jobs = append(jobs, s.update(t, seen, setQuota(n)))
		}
		var wrote []int
		s.remote.after = func(call, _ string) error {
			if call == "update" {
				there, _ := s.remote.look("a")
				wrote = append(wrote, *there.QuotaMB)
			}
			return nil
		}
		h.Start(s.engine)
		for _, job := range append(jobs, created) {
			s.status(t, job, tracker.Success)
		}
		if len(wrote) != 4 || wrote[0] != 10 || wrote[1] != 20 || wrote[2] != 10 || wrote[3] != 30 {
			t.Errorf("written were %v", wrote)
		}
		if row := s.row(t, "a"); *row.QuotaMB != 30 || row.State != nawasync.StateSynced {
			t.Errorf("the row is %+v", row)
		}
	})
}

func TestDeleteOfWhatSomebodyElseChangedIsAConflictAndOfTheGoneASuccess(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := stocked(t, db, 2)
		s.elsewhere("g0000", setPlan("gold"))
		job, err := s.repo.Delete(t.Context(), s.row(t, "g0000"), by)
		enginetest.OK(t, err)
		s.status(t, job, tracker.Conflict)
		if _, there := s.remote.look("g0000"); !there {
			t.Error("it was deleted")
		}
		job, err = mirror.Rebase(t.Context(), s.engine, job.ID, nawasync.OperatorOptions{By: "user:7"})
		enginetest.OK(t, err)
		s.status(t, job, tracker.Success)
		s.remote.drop(numbered(2)[1])
		job, err = s.repo.Delete(t.Context(), s.row(t, "g0001"), by)
		enginetest.OK(t, err)
		s.status(t, job, tracker.Success)
		if left := s.rows(t); len(left) != 0 {
			t.Errorf("left are %v", names(left))
		}
	})
}

func TestSomebodyElsesObjectIsNeverAdoptedNorItsPasswordSet(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newShop(t, enginetest.New(t, db))
		s.remote.put(gadget{Instance: "one", Name: "a", Plan: "x", Password: nawasync.NewSecret("theirs")}, gadget{Instance: "one", Name: "b", Plan: "x"}, gadget{Instance: "one", Name: "c", Plan: "x"})
		job, err := s.repo.Create(t.Context(), gadget{Instance: "one", Name: "a", Plan: "x", Password: nawasync.NewSecret("ours")}, by)
		enginetest.OK(t, err)
		job = s.status(t, job, tracker.Conflict)
		if there, _ := s.remote.look("a"); there.Password.Reveal() != "theirs" || s.remote.writes != 0 {
			t.Error("somebody's object was written")
		}
		if row := s.row(t, "a"); row.State != nawasync.StateConflict || !row.LastSyncedAt.IsZero() {
			t.Errorf("the row is %+v", row)
		}
		if _, err := mirror.Overwrite(t.Context(), s.engine, job.ID, nawasync.OperatorOptions{By: "user:7"}); !errors.Is(err, mirror.ErrNoConflict) {
			t.Errorf("it can be overwritten: %v", err)
		}
		// Without a secret, and equal in all that is wanted: it is what was asked for.
		same, err := s.plain.Create(t.Context(), plainGadget{Instance: "one", Name: "b", Plan: "x"}, by)
		enginetest.OK(t, err)
		s.status(t, same, tracker.Success)
		other, err := s.plain.Create(t.Context(), plainGadget{Instance: "one", Name: "c", Plan: "y"}, by)
		enginetest.OK(t, err)
		s.status(t, other, tracker.Conflict)
		if s.remote.writes != 0 {
			t.Error("somebody's object was written")
		}
	})
}

func TestUpdateOfWhatIsGoneFailsAndTheRowSaysSo(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := stocked(t, db, 1)
		s.remote.drop(numbered(1)...)
		job := s.status(t, s.update(t, s.row(t, "g0000"), setQuota(5)), tracker.Failed)
		if row := s.row(t, "g0000"); row.State != nawasync.StateFailed || job.ErrorClass != string(fault.Gone) {
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
	job := s.status(t, s.update(t, s.row(t, "g0000"), setPlan(strings.Repeat("y", 50_000))), tracker.Conflict)
	if !json.Valid(job.Diff) || !strings.Contains(string(job.Diff), "truncated") {
		t.Errorf("kept are %.200s", job.Diff)
	}
	if _, err := json.Marshal(job); err != nil {
		t.Error(err)
	}
}
