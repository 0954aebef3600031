package mirror_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/jobrow"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/tracker"
)

// person is an object whose key the caller chooses.
type person struct {
	ID    uint64
	Realm string `sync:"scope"`
	Name  string `sync:"key"`
	Email string
	nawasync.SyncStatus
}

const personColumns = "realm TEXT NOT NULL, name TEXT NOT NULL, email TEXT NOT NULL"

// newPersons returns a repository of a remote that stores names in lower case.
func newPersons(t *testing.T, db *testdb.Database, list ...person) (*mapRemote[person], *mirrored[person]) {
	t.Helper()
	remote := &mapRemote[person]{
		objects: map[string]person{},
		keyOf:   func(p person) string { return p.Name },
		stored: func(p person) person {
			p.Name = strings.ToLower(p.Name)
			return p
		},
		find: func(_ map[string]person, key person) string { return strings.ToLower(key.Name) },
	}
	remote.put(list...)
	return remote, newMirrored[person](t, db, "people", personColumns, remote)
}

var realm = person{Realm: "r"}

func ann(name string) person { return person{Realm: "r", Name: name, Email: "ann@example.com"} }

func TestCreationOfAnotherSpellingOfAnExistingKeyEndsInAConflictThatNamesItsRow(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote, m := newPersons(t, db, ann("ann"))
		m.sync(realm)
		creating := m.drain(m.Create(t.Context(), ann("Ann"), byUser))
		m.ends(creating, tracker.StatusConflict, "row 1 of people")
		row := m.rows()[1]
		if row.Name != "Ann" || row.State != nawasync.StateConflict {
			t.Fatalf("row of the creation = %+v, want Ann in conflict", row)
		}
		deleting := m.drain(m.Delete(t.Context(), row, byUser))
		m.ends(deleting, tracker.StatusSuccess, "")
		if rows := m.rows(); len(rows) != 1 || len(remote.keys()) != 1 {
			t.Errorf("rows %+v and objects %v, want the row and the object of ann alone", rows, remote.keys())
		}
	})
}

func TestSyncDuringACreationWhoseKeyTheRemoteSpellsInAnotherWayLeavesOneRow(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote, m := newPersons(t, db)
		remote.created = func() error { // what a sync does meanwhile
			enginetest.NoError(t, db.Exec("INSERT INTO people (realm, name, email, identity, sync_status, last_synced_at) SELECT realm, 'ann', email, ?, 'synced', 1 FROM people",
				tracker.Identity(jobrow.KeyIdentity([]string{"r"}, []string{"ann"}))).Error)
			return nil
		}
		m.ends(m.drain(m.Create(t.Context(), ann("Ann"), byUser)), tracker.StatusSuccess, "")
		rows := m.rows()
		if len(rows) != 1 || rows[0].ID != 1 || rows[0].Name != "ann" || rows[0].State != nawasync.StateSynced {
			t.Errorf("rows = %+v, want one, ann, with the id of the creation's row", rows)
		}
	})
}

func TestChangeBehindACreationWhoseKeyTheRemoteSpellsInAnotherWayFindsTheObject(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote, m := newPersons(t, db)
		remote.find = func(_ map[string]person, key person) string { return key.Name } // case matters
		_, err := m.Create(t.Context(), ann("Ann"), byUser)
		enginetest.NoError(t, err)
		updating := m.drain(m.Update(t.Context(), m.rows()[0], func(p *person) { p.Email = "a@example.com" }, byUser))
		m.ends(updating, tracker.StatusSuccess, "")
		if got := remote.objects["ann"].Email; got != "a@example.com" || len(remote.objects) != 1 {
			t.Errorf("objects = %+v, want ann with the new address", remote.objects)
		}
	})
}

// A remote that redirects the old name of a renamed object answers every request with another object.
func TestChangeOfAnObjectThatWasRenamedTouchesNoOtherObject(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote, m := newPersons(t, db, ann("apple"), ann("pear"))
		m.sync(realm)
		old := m.rows()[0]
		remote.rename("apple", ann("plum"))
		remote.find = func(_ map[string]person, key person) string { return strings.ReplaceAll(key.Name, "apple", "plum") }
		m.ends(m.drain(m.Update(t.Context(), old, func(p *person) { p.Email = "x" }, byUser)), tracker.StatusFailed, `"plum"`)
		deleting := m.drain(m.Delete(t.Context(), old, byUser))
		m.ends(deleting, tracker.StatusFailed, `"plum"`)
		if deleting.ErrorClass != string(fault.ClassGone) || len(remote.deletes) != 0 || remote.objects["plum"].Email != "ann@example.com" {
			t.Errorf("error class %q, deleted %v, plum %+v; want gone, and plum unchanged", deleting.ErrorClass, remote.deletes, remote.objects["plum"])
		}
	})
}

func TestRowOfARenamedObjectIsJoinedWithTheRowThatASyncAdded(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote, m := newPersons(t, db, ann("apple"), ann("pear"))
		m.sync(realm)
		remote.rename("apple", ann("plum"))
		remote.find = func(_ map[string]person, key person) string { return strings.ReplaceAll(key.Name, "apple", "plum") }
		m.drain(m.Refresh(t.Context(), 1, byUser))
		if rows := m.rows(); len(rows) != 2 || rows[0].State != nawasync.StateMissing || !strings.Contains(rows[0].SyncError, "plum") {
			t.Fatalf("rows = %+v, want apple missing with a text that names plum", rows)
		}
		m.sync(realm)
		if n := len(m.rows()); n != 3 {
			t.Fatalf("%d rows after the sync, want 3", n)
		}
		m.drain(m.Refresh(t.Context(), 1, byUser))
		rows := m.rows()
		if len(rows) != 2 || rows[0].ID != 1 || rows[0].Name != "plum" || rows[0].State != nawasync.StateSynced || rows[0].SyncError != "" {
			t.Errorf("rows = %+v, want the first one to be plum, synced", rows)
		}
	})
}

func TestFailedCreationGivesUpItsNameAndWhatWaitsBehindItIsSkipped(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote, m := newPersons(t, db)
		refuse := fault.WithClass(fault.ClassPermanent, errors.New("the name is reserved"))
		remote.created = func() error {
			delete(remote.objects, "ann")
			return refuse
		}
		first, err := m.Create(t.Context(), ann("ann"), byUser)
		enginetest.NoError(t, err)
		resetting := m.drain(m.Update(t.Context(), m.rows()[0], func(p *person) { p.Email = "x" }, byUser))
		m.ends(m.job(first.ID), tracker.StatusFailed, "reserved")
		m.ends(resetting, tracker.StatusSkipped, "never created")

		// The name is free: another client has it now, and a sync adds a row of its own.
		remote.put(ann("ann"))
		m.sync(realm)
		rows := m.rows()
		if len(rows) != 2 || rows[0].State != nawasync.StateFailed || rows[1].State != nawasync.StateSynced {
			t.Fatalf("rows = %+v, want the failed one and one of the sync", rows)
		}
		if _, err := m.Create(t.Context(), ann("ann"), byUser); !errors.Is(err, nawasync.ErrExists) {
			t.Errorf("another creation returns %v, want ErrExists", err)
		}
		m.drain(m.Refresh(t.Context(), 1, byUser)) // a person joins the two
		if rows := m.rows(); len(rows) != 1 || rows[0].ID != 1 || rows[0].State != nawasync.StateSynced {
			t.Errorf("rows after the refresh = %+v, want one, synced", rows)
		}
	})
}

func TestNewCreationOfANameWhoseCreationFailedIsANewRow(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote, m := newPersons(t, db)
		remote.created = func() error {
			delete(remote.objects, "ann")
			return fault.WithClass(fault.ClassPermanent, errors.New("the name is reserved"))
		}
		first := m.drain(m.Create(t.Context(), ann("ann"), byUser))
		remote.created = nil
		m.ends(m.drain(m.Create(t.Context(), ann("ann"), byUser)), tracker.StatusSuccess, "")
		if rows := m.rows(); len(rows) != 2 || rows[0].State != nawasync.StateFailed || rows[1].State != nawasync.StateSynced {
			t.Errorf("rows = %+v, want a failed and a synced one", rows)
		}
		retried := m.drain(m.engine.Retry(t.Context(), first.ID, nawasync.RetryOptions{By: "user:1", Force: true}))
		m.ends(retried, tracker.StatusConflict, "row 2 of people")
	})
}

func TestObjectWithoutItsKeyIsAnErrorOfTheAdapter(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote, m := newPersons(t, db, ann("ann"))
		m.sync(realm)
		remote.objects["ann"] = person{Email: "ann@example.com"}
		job := m.drain(m.Delete(t.Context(), m.rows()[0], byUser))
		m.ends(job, tracker.StatusFailed, "without its key")
	})
}

func TestKeepTheirsOfACreationWhoseObjectIsAnotherRowRemovesTheCreationsRow(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		_, m := newPersons(t, db, ann("ann"))
		m.sync(realm)
		creating := m.drain(m.Create(t.Context(), ann("Ann"), byUser))
		m.ends(creating, tracker.StatusConflict, "row 1 of people")
		job, err := mirror.KeepTheirs(t.Context(), m.engine, creating.ID, operator)
		m.ends(m.drain(job, err), tracker.StatusSuccess, "")
		if rows := m.rows(); len(rows) != 1 || rows[0].Name != "ann" || rows[0].State != nawasync.StateSynced {
			t.Errorf("rows = %+v, want the row of ann alone", rows)
		}
	})
}

func TestKeepTheirsOfACreationWhoseObjectIsGoneEndsTheConflict(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		other := ann("ann")
		other.Email = "other@example.com"
		remote, m := newPersons(t, db, other)
		creating := m.drain(m.Create(t.Context(), ann("ann"), byUser))
		m.ends(creating, tracker.StatusConflict, "email")
		delete(remote.objects, "ann")
		job, err := mirror.KeepTheirs(t.Context(), m.engine, creating.ID, operator)
		m.ends(m.drain(job, err), tracker.StatusSuccess, "")
		if row := m.rows()[0]; row.State != nawasync.StateFailed || !strings.Contains(row.SyncError, "create it again") {
			t.Errorf("row = %+v, want it failed with advice", row)
		}
	})
}

// A wrong address answers 404 to all.
func TestDeletionIsNotDoneBecauseTheRemoteFindsNoObjectAtAll(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote, m := newPersons(t, db, ann("ann"), ann("bob"))
		m.sync(realm)
		find := remote.find
		remote.find = func(map[string]person, person) string { return "nothing" }
		job := m.drain(m.Delete(t.Context(), m.rows()[0], byUser))
		m.ends(job, tracker.StatusFailed, "check the remote's address")
		if rows := m.rows(); len(rows) != 2 {
			t.Fatalf("rows = %+v, want both", rows)
		}
		remote.find = find
		delete(remote.objects, "ann")
		m.ends(m.drain(m.Delete(t.Context(), m.rows()[0], byUser)), tracker.StatusSuccess, "")
	})
}
