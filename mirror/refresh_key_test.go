package mirror_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/nawasynctest"
	"github.com/nawasara/nawasync/tracker"
)

// refreshKey dispatches a refresh of a member by its name.
func (m members) refreshKey(name string) *tracker.Job {
	m.t.Helper()
	job, err := m.RefreshKey(m.t.Context(), member{Realm: "r", Name: name}, byUser)
	enginetest.NoError(m.t, err)
	return job
}

// keyResult runs a refresh by key that succeeds, and returns its result.
func (m members) keyResult(name string) (result map[string]any) {
	m.t.Helper()
	m.clock.Advance(time.Minute)
	job := m.drain(m.refreshKey(name), nil)
	m.ends(job, tracker.StatusSuccess, "")
	enginetest.NoError(m.t, json.Unmarshal(job.Result, &result))
	return result
}

// drainAll runs all jobs.
func drainAll(m members) error { return nawasynctest.Drain(m.t.Context(), m.engine, m.clock) }

// lose deletes objects on the remote.
func (m members) lose(names ...string) {
	m.remote.mu.Lock()
	defer m.remote.mu.Unlock()
	for _, name := range names {
		delete(m.remote.objects, name)
	}
}

// jobsOf counts the jobs of an action.
func (m *mirrored[T]) jobsOf(action string) (n int64) {
	m.t.Helper()
	enginetest.NoError(m.t, m.db.Raw("SELECT COUNT(*) FROM nawasync_jobs WHERE action = ?", action).Row().Scan(&n))
	return n
}

func TestRefreshByKeyAddsAnUnknownObjectAndUpdatesAKnownOne(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		m := newMembers(t, db, "ann")
		m.remote.put(memberNamed("bob"))
		if result := m.keyResult("bob"); result["created"] != 1.0 {
			t.Errorf("result = %v, want bob created", result)
		}
		changed := memberNamed("ann")
		changed.Email = "new@example.com"
		m.remote.put(changed)
		if result := m.keyResult("ann"); result["updated"] != 1.0 || fmt.Sprint(result["drifted"]) != "map[email:1]" {
			t.Errorf("result = %v, want ann updated", result)
		}
		if result := m.keyResult("ann"); result["unchanged"] != 1.0 {
			t.Errorf("result = %v, want ann unchanged", result)
		}
		for name, email := range map[string]string{"ann": "new@example.com", "bob": "bob@example.com"} {
			if row := m.find(name); row.State != nawasync.StateSynced || row.Email != email {
				t.Errorf("row = %+v, want %s synced", row, name)
			}
		}
		if row := m.find("ann"); row.Note == nil {
			t.Error("the refresh has lost ann's note")
		}
		history, err := m.engine.Reader().Changes(t.Context(), tracker.Target{Service: "api", Type: "members", Instance: "r", ID: "bob"}, time.Time{}, time.Time{}, 10)
		if err != nil || len(history) != 1 || history[0].Kind != tracker.ChangeAppeared {
			t.Errorf("history of bob = %+v, %v, want that he appeared", history, err)
		}
	})
}

func TestRefreshesOfOneKeyAreOneJobThatWaits(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		m := newMembers(t, db, "ann")
		first := m.refreshKey("ann")
		for range 5 {
			if job := m.refreshKey("ann"); job.ID != first.ID || !job.Coalesced {
				t.Fatalf("job = %d, want job %d again", job.ID, first.ID)
			}
		}
		if other := m.refreshKey("bob"); other.ID == first.ID {
			t.Error("another key has the same job")
		}
	})
}

func TestRefreshByKeyOfAMissingObjectHasItsDeletionConfirmed(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		m := newMembers(t, db, "ann", "bob", "cy")
		m.lose("bob")
		if result := m.keyResult("bob"); result["gone"] != true || result["confirming"] != true {
			t.Errorf("result = %v, want bob gone", result)
		}
		if row := m.find("bob"); row.State != tracker.StateDeleted || row.DeletedJobID != nil {
			t.Errorf("row = %+v, want bob deleted", row)
		}
		if got := m.jobsOf(tracker.ConfirmAction); got != 1 {
			t.Errorf("%d jobs confirm deletions, want 1", got)
		}
		if result := m.keyResult("nobody"); result["gone"] != true || result["confirming"] != nil {
			t.Errorf("result = %v, want nothing but gone", result)
		}
	})
}

func TestRefreshByKeyDeletesNothingIfTheRemoteFindsNoObject(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		m := newMembers(t, db, "ann", "bob", "cy", "dan", "eve")
		m.lose("ann", "bob", "cy", "dan", "eve") // a wrong address
		m.keyResult("bob")
		if row := m.find("bob"); row.State != nawasync.StateMissing {
			t.Errorf("row = %+v, want bob missing", row)
		}
		var failed string
		enginetest.NoError(t, db.Raw("SELECT error FROM nawasync_jobs WHERE action = 'confirm' AND status = 'failed'").Row().Scan(&failed))
		if !strings.Contains(failed, "although it was listed") {
			t.Errorf("the confirmation failed with %q", failed)
		}
	})
}

func TestRefreshesByKeyHaveNoMoreDeletionsConfirmedThanTheLimit(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		var names []string
		for n := range 40 {
			names = append(names, fmt.Sprintf("m%02d", n))
		}
		m := newMembers(t, db, names...)
		m.lose(names[:20]...)
		deleted, missing := 0, 0
		for _, name := range names[:20] {
			m.keyResult(name)
			switch m.find(name).State {
			case tracker.StateDeleted:
				deleted++
			case nawasync.StateMissing:
				missing++
			}
		}
		if deleted != 10 || missing != 10 { // the limit of the 30 rows that are left
			t.Errorf("%d rows are deleted and %d missing, want 10 and 10: the limit is for a day", deleted, missing)
		}
	})
}

func TestRefreshByKeyRefusesAnObjectOfAnotherKeyOrScope(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		m := newMembers(t, db, "ann", "bob")
		m.remote.find = func(_ map[string]member, key member) string {
			if key.Name == "old" {
				return "ann"
			}
			return key.Name
		}
		elsewhere := memberNamed("bob")
		elsewhere.Realm, elsewhere.Email = "other", "leak@example.com"
		m.remote.put(elsewhere)
		for _, name := range []string{"old", "bob"} {
			m.clock.Advance(time.Minute)
			m.ends(m.drain(m.refreshKey(name), nil), tracker.StatusFailed, "nothing was written")
		}
		if rows := m.rows(); len(rows) != 2 || rows[1].Email != "bob@example.com" || rows[1].State != nawasync.StateSynced {
			t.Errorf("rows = %+v, want them as they were", rows)
		}
		for _, key := range []member{{Realm: "r"}, {Name: ""}} {
			if _, err := m.RefreshKey(t.Context(), key, byUser); !errors.Is(err, nawasync.ErrInvalid) {
				t.Errorf("RefreshKey(%+v) = %v, want ErrInvalid", key, err)
			}
		}
	})
}

func TestRefreshByKeyWaitsForAChangeAndNoChangeWaitsForIt(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		m := newMembers(t, db, "ann")
		refresh := m.refreshKey("ann")
		update, err := m.Update(t.Context(), m.find("ann"), func(m *member) { m.Email = "mine@example.com" }, byUser)
		enginetest.NoError(t, err)
		m.ends(m.drain(refresh, nil), tracker.StatusSuccess, "")
		refresh, update = m.job(refresh.ID), m.job(update.ID)
		if refresh.FinishedAt.Before(update.FinishedAt) {
			t.Errorf("the refresh ended at %s, the update at %s; want the update first", refresh.FinishedAt, update.FinishedAt)
		}
		if refresh.Attempt != 1 {
			t.Errorf("waiting has consumed attempts: %d", refresh.Attempt)
		}
		if row := m.find("ann"); row.Email != "mine@example.com" || row.State != nawasync.StateSynced {
			t.Errorf("row = %+v, want the update", row)
		}
	})
}

func TestRefreshByKeyOfAnObjectThatAJobHasDeletedWaitsUntilTheRemoteHasSettled(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		m := newMembers(t, db, "ann", "bob")
		deletion := m.delete("ann")
		m.remote.put(memberNamed("ann")) // a replica may still show her, until the remote has settled
		job := m.drain(m.refreshKey("ann"), nil)
		m.ends(job, tracker.StatusSuccess, "")
		if waited := job.FinishedAt.Sub(deletion.FinishedAt); waited < 5*time.Second {
			t.Errorf("the object has a row again %s after its deletion, want not within Config.Settle", waited)
		}
		if rows := m.all(); len(rows) != 3 || rows[0].State != tracker.StateDeleted {
			t.Errorf("rows = %+v, want a new row for the new ann", rows)
		}
	})
}
