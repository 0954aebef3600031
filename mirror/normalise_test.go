package mirror_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/tracker"
)

func TestNormalisedValuesAreSentStoredAndFound(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		old := newAccounts(t, db, named("Ann"))
		a := old.release(1, spellAccount)
		a.sync(account{Realm: "R"})
		if result := resultOf(t, a.sync(account{Realm: "r"})); result.Unchanged != 1 || result.Refused != 0 {
			t.Errorf("second sync = %+v, want the row unchanged", result)
		}
		if len(a.remote.objects["Ann"].Options) != 2 {
			t.Error("Normalise changed a map of the remote")
		}
		row, err := a.FindKey(t.Context(), account{Realm: "R", Name: "ANN"})
		enginetest.NoError(t, err)
		if row.Name != "ann" || row.Realm != "r" || row.Email != "ann@example.com" {
			t.Errorf("row = %+v, want all in lower case", row)
		}
		if _, err := a.Update(t.Context(), row, func(v *account) { v.Email, v.Options["other"] = "ANN@example.com", false }, byUser); err == nil {
			t.Error("an update to another spelling was dispatched")
		}
		a.ends(a.drain(a.Update(t.Context(), row, func(v *account) { v.Email, v.Options["other"] = "Annie@Example.com", false }, byUser)), tracker.StatusSuccess, "")
		if got := a.remote.objects["Ann"]; got.Email != "annie@example.com" {
			t.Errorf("the remote has %+v, want the new address in lower case", got)
		}
		wanted := named("Bob")
		a.ends(a.drain(a.Create(t.Context(), wanted, byUser)), tracker.StatusSuccess, "")
		if len(wanted.Options) != 2 {
			t.Error("Normalise changed a map of the user")
		}
		if job, err := a.Create(t.Context(), named("BOB"), byUser); err == nil {
			t.Errorf("a second creation is job %d, want %v", job.ID, nawasync.ErrExists)
		}
		a.ends(a.drain(a.Delete(t.Context(), row, byUser)), tracker.StatusConflict, "email") // the user saw the old address
		at, err := a.LastSyncedAt(t.Context(), account{Realm: "R"})
		if err != nil || at.IsZero() {
			t.Errorf("last sync of the scope in another spelling = %v, %v", at, err)
		}
		if keys := a.remote.keys(); !slices.Equal(keys, []string{"Ann", "bob"}) {
			t.Errorf("objects = %v", keys)
		}
	})
}

func TestNewNormaliseVersionRewritesRowsWithoutDrift(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		old := newAccounts(t, db)
		for i := range 3 {
			old.remote.put(named(fmt.Sprint("User", i)))
		}
		old.sync(account{Realm: "R"})
		before := old.rows()
		a := old.release(1, spellAccount)
		waiting, err := old.Update(t.Context(), before[0], func(v *account) { v.Email = "New@Example.com" }, byUser)
		enginetest.NoError(t, err)
		if _, err := a.Plan(t.Context(), account{Realm: "R"}, ""); err == nil || !strings.Contains(err.Error(), "sync first") {
			t.Errorf("error of a plan = %v, want one that says to sync first", err)
		}
		a.clock.Advance(time.Minute)
		syncing := a.drain(a.SyncNow(t.Context(), account{Realm: "R"}, "", byUser))
		a.ends(syncing, tracker.StatusSuccess, "")
		result := resultOf(t, syncing)
		if result.Missing != 0 || result.Created != 0 || len(result.Drifted) != 0 || result.Collided != 0 {
			t.Errorf("sync with the new version = %+v, want no drift and no missing, new or held rows", result)
		}
		a.ends(a.job(waiting.ID), tracker.StatusSuccess, "")
		for i, row := range a.rows() {
			if row.ID != before[i].ID || row.Name != strings.ToLower(before[i].Name) || row.Realm != "r" || row.State != nawasync.StateSynced {
				t.Errorf("row = %+v, want %+v in lower case", row, before[i])
			}
			found, err := a.FindKey(t.Context(), account{Realm: "R", Name: before[i].Name})
			if err != nil || found.ID != row.ID {
				t.Errorf("FindKey(%q) = %+v, %v", before[i].Name, found, err)
			}
		}
		a.sync(account{Realm: "R"}) // a sync leaves a row alone whose job has just ended
		if result := resultOf(t, a.sync(account{Realm: "R"})); result.Unchanged != 3 || len(a.rows()) != 3 {
			t.Errorf("a later sync = %+v, want all rows unchanged", result)
		}
	})
}

func TestChangeOfARowInAnOlderSpellingFindsItsObject(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		old := newAccounts(t, db, named("Ann"))
		old.sync(account{Realm: "R"})
		a := old.release(1, spellAccount)
		row := a.rows()[0]
		a.ends(a.drain(a.Update(t.Context(), row, func(v *account) { v.Email = "new@example.com" }, byUser)), tracker.StatusSuccess, "")
		a.ends(a.drain(a.Refresh(t.Context(), int64(row.ID), byUser)), tracker.StatusSuccess, "")
		if result := resultOf(t, a.sync(account{Realm: "R"})); result.Created != 0 || result.Missing != 0 || len(a.rows()) != 1 {
			t.Errorf("sync = %+v and the rows are %+v, want one row", result, a.rows())
		}
		a.ends(a.drain(a.Delete(t.Context(), a.rows()[0], byUser)), tracker.StatusSuccess, "")
	})
}

func TestRowsWhoseKeysBecomeEqualAreHeldForAPerson(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		old := newAccounts(t, db, named("Ann"), named("ANN"), named("Bob"))
		old.sync(account{Realm: "R"})
		delete(old.remote.objects, "ANN") // the remote has come to ignore case
		rows := old.rows()
		first, second := rows[0], rows[1]
		a := old.release(1, spellAccount)
		for range 3 {
			result := resultOf(t, a.sync(account{Realm: "R"}))
			if result.Collided != 1 || len(result.Collisions) != 1 || !strings.Contains(result.Collisions[0], fmt.Sprintf("row %d", second.ID)) {
				t.Fatalf("result = %+v, want the row %d to be named", result, second.ID)
			}
			if result.Missing != 0 || len(result.Drifted) != 0 || len(a.rows()) != 3 {
				t.Fatalf("result = %+v with the rows %+v, want all three rows to stay", result, a.rows())
			}
		}
		rows = a.rows()
		if rows[0].Name != strings.ToLower(first.Name) || rows[0].State != nawasync.StateSynced {
			t.Errorf("first row = %+v, want it in lower case", rows[0])
		}
		if held := rows[1]; held.Name != second.Name || held.State != nawasync.StateConflict ||
			!strings.Contains(held.SyncError, fmt.Sprintf("the same object as row %d", first.ID)) {
			t.Errorf("second row = %+v, want it unchanged and in conflict with the first", held)
		}
		a.ends(a.drain(a.Update(t.Context(), rows[1], func(v *account) { v.Email = "x@example.com" }, byUser)), tracker.StatusFailed, "belongs to another row")
		a.ends(a.drain(a.Delete(t.Context(), a.rows()[1], byUser)), tracker.StatusSuccess, "")
		if len(a.rows()) != 2 || len(a.remote.keys()) != 2 {
			t.Errorf("rows %+v and objects %v, want the row to be deleted and the object to stay", a.rows(), a.remote.keys())
		}
		if result := resultOf(t, a.sync(account{Realm: "R"})); result.Collided != 0 || result.Unchanged != 2 {
			t.Errorf("sync after the deletion = %+v, want two rows unchanged", result)
		}
	})
}

func TestHeldRowIsRewrittenAfterTheOtherOneIsGone(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		old := newAccounts(t, db, named("Ann"), named("ANN"))
		old.sync(account{Realm: "R"})
		delete(old.remote.objects, "ANN")
		a := old.release(1, spellAccount)
		a.sync(account{Realm: "R"})
		rows := a.rows()
		enginetest.NoError(t, db.Exec("DELETE FROM accounts WHERE id = ?", rows[0].ID).Error)
		if result := resultOf(t, a.sync(account{Realm: "R"})); result.Collided != 0 || result.Created != 0 {
			t.Errorf("sync = %+v, want no collision and no new row", result)
		}
		if left := a.rows(); len(left) != 1 || left[0].ID != rows[1].ID || left[0].Name != "ann" || left[0].State != nawasync.StateSynced {
			t.Errorf("rows = %+v, want the held one, synced", left)
		}
	})
}

func TestProcessWithALowerNormaliseVersionSyncsNothing(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		old := newAccounts(t, db, named("Ann"))
		old.sync(account{Realm: "R"})
		first, second := old.release(1, spellAccount), old.release(2, spellAccount)
		second.sync(account{Realm: "R"})
		for name, lower := range map[string]*accounts{"without": old, "lower": first} {
			lower.clock.Advance(time.Minute)
			scope := account{Realm: "r"}
			job := lower.drain(lower.SyncNow(t.Context(), scope, "", byUser))
			if job.Status != tracker.StatusFailed || !strings.Contains(job.Error, "the rows have NormaliseVersion 2") {
				t.Errorf("%s: the sync is %s (%s), want it failed with the version", name, job.Status, job.Error)
			}
		}
		if result := resultOf(t, second.sync(account{Realm: "R"})); result.Unchanged != 1 || len(second.rows()) != 1 {
			t.Errorf("sync = %+v, want the row unchanged", result)
		}
	})
}

func TestNormaliseThatDoesNotKeepItsResultIsAnErrorOfTheConfiguration(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		old := newAccounts(t, db, named("Ann"))
		a := old.release(1, func(a *account) { a.Email += "." })
		job := a.drain(a.SyncNow(t.Context(), account{Realm: "R"}, "", byUser))
		a.ends(job, tracker.StatusFailed, "calling Config.Normalise again")
		if job.ErrorClass != "config" || len(a.rows()) != 0 {
			t.Errorf("class %q and rows %+v, want config and none", job.ErrorClass, a.rows())
		}
	})
}

func TestPanicOfNormaliseFailsTheJobOnly(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		old := newAccounts(t, db, named("Ann"))
		a := old.release(1, func(a *account) {
			if a.Email != "" {
				panic("no address is right")
			}
		})
		job := a.drain(a.SyncNow(t.Context(), account{Realm: "R"}, "", byUser))
		if job.Status != tracker.StatusFailed || !strings.Contains(job.Error, "no address is right") {
			t.Errorf("the sync is %s (%s), want it failed with the panic", job.Status, job.Error)
		}
	})
}

func TestNormaliseNeedsAVersion(t *testing.T) {
	t.Parallel()
	old := newAccounts(t, testdb.SQLite(t))
	for name, config := range map[string]mirror.Config[account]{
		"no version": {Service: "a", Type: "b", Normalise: spellAccount},
		"no func":    {Service: "a", Type: "b", NormaliseVersion: 1},
		"negative":   {Service: "a", Type: "b", Normalise: spellAccount, NormaliseVersion: -1},
	} {
		if err := errorOf(mirror.New(old.engine, config)); err == nil || !strings.Contains(err.Error(), "NormaliseVersion") {
			t.Errorf("%s: error = %v, want one about NormaliseVersion", name, err)
		}
	}
}
