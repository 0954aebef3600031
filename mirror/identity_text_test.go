package mirror_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// entry is a DNS record of a remote that assigns keys. Several entries can have one name.
type entry struct {
	ID      uint64
	Account string `sync:"scope"`
	Zone    string `sync:"scope"`
	Key     string `gorm:"column:remote_key" sync:"key"`
	Type    string `sync:"natural"`
	Name    string `sync:"natural"`
	Content string
	nawasync.SyncStatus
}

func newEntries(t *testing.T, db *testdb.Database, list ...entry) (*mapRemote[entry], *mirrored[entry]) {
	t.Helper()
	remote := &mapRemote[entry]{
		objects: map[string]entry{},
		keyOf:   func(e entry) string { return e.Key },
		stored: func(e entry) entry {
			e.Key = "id-" + e.Content
			return e
		},
		find: func(m map[string]entry, key entry) string {
			for k, e := range m {
				if k == key.Key || (key.Key == "" && e.Type == key.Type && e.Name == key.Name) {
					return k
				}
			}
			return ""
		},
	}
	remote.put(list...)
	content := "TEXT"
	if db.Dialect == "mysql" {
		content = "VARCHAR(2000)"
	}
	return remote, newMirrored[entry](t, db, "entries", "account TEXT NOT NULL, zone TEXT NOT NULL, remote_key TEXT, type TEXT NOT NULL, name TEXT NOT NULL, content "+content+" NOT NULL", remote)
}

func www(content string) entry {
	return entry{Account: "a", Zone: "z", Type: "A", Name: "www", Content: content}
}

func TestSecondObjectOfOneNameCanBeCreatedWhereTheRemoteAllowsIt(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		first := www("192.0.2.1")
		first.Key = "id-192.0.2.1"
		remote, m := newEntries(t, db, first)
		m.sync(entry{Account: "a", Zone: "z"})
		m.ends(m.drain(m.Create(t.Context(), www("192.0.2.2"), byUser)), tracker.StatusSuccess, "")
		if rows := m.rows(); len(rows) != 2 || rows[1].Key != "id-192.0.2.2" || len(remote.keys()) != 2 {
			t.Errorf("rows = %+v and objects = %v, want two of each", rows, remote.keys())
		}
	})
}

func TestKeysAndScopesOfAnyLengthAreStored(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote, m := newEntries(t, db)
		long := entry{
			Account: strings.Repeat("0", 32), Zone: strings.Repeat("f", 32), Type: "TXT", Name: strings.Repeat("n", 450),
			Content: "v=DKIM1; p=" + strings.Repeat("A", 420),
		}
		remote.stored = func(e entry) entry {
			e.Key = "id " + e.Content + " " // ends with a space
			return e
		}
		creating := m.drain(m.Create(t.Context(), long, byUser))
		m.ends(creating, tracker.StatusSuccess, "")
		m.sync(entry{Account: long.Account, Zone: long.Zone})
		row := m.rows()[0]
		if row.State != nawasync.StateSynced || len(m.rows()) != 1 || row.Key != "id "+long.Content+" " {
			t.Fatalf("rows = %+v, want one, synced", m.rows())
		}
		m.ends(m.drain(m.Delete(t.Context(), row, byUser)), tracker.StatusSuccess, "")
		if keys := remote.keys(); len(keys) != 0 {
			t.Errorf("objects = %v, want none", keys)
		}
	})
}

func TestScopesThatDifferOnlyByWhereASlashStandsAreDifferent(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		_, m := newEntries(t, db)
		first, err := m.SyncNow(t.Context(), entry{Account: "a/b", Zone: "c"}, "", byUser)
		enginetest.NoError(t, err)
		second, err := m.SyncNow(t.Context(), entry{Account: "a", Zone: "b/c"}, "", byUser)
		enginetest.NoError(t, err)
		if first.ID == second.ID || first.Instance == second.Instance {
			t.Errorf("jobs %+v and %+v, want two with different instances", first, second)
		}
		request := nawasync.SyncRequest{Service: "api", Type: "entries", Instance: first.Instance}
		again, err := m.engine.SyncNow(t.Context(), request, nawasync.OperatorOptions{By: "user:1"})
		enginetest.NoError(t, err)
		if again.ID != first.ID {
			t.Errorf("a sync of the instance %q is job %d, want the open job %d", first.Instance, again.ID, first.ID)
		}
	})
}

func TestHalfEmptyScopeIsRefused(t *testing.T) {
	t.Parallel()
	_, m := newEntries(t, testdb.SQLite(t))
	_, err := m.SyncNow(t.Context(), entry{Account: "a"}, "", byUser)
	if !errors.Is(err, nawasync.ErrInvalid) || !strings.Contains(err.Error(), "but not Zone") {
		t.Errorf("sync: %v, want ErrInvalid that names the field", err)
	}
	if _, err := m.Create(t.Context(), entry{Zone: "z", Type: "A", Name: "www"}, byUser); !errors.Is(err, nawasync.ErrInvalid) {
		t.Errorf("create: %v, want ErrInvalid", err)
	}
	if _, err := m.Create(t.Context(), entry{Account: "a", Zone: "z"}, byUser); !errors.Is(err, nawasync.ErrInvalid) {
		t.Errorf("create without a name: %v, want ErrInvalid", err)
	}
}

// Columns of MySQL usually ignore case and trailing spaces.
func TestKeysThatACollationTreatsAsEqualAreDifferentObjects(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote, m := newPersons(t, db)
		remote.stored, remote.find = nil, func(_ map[string]person, key person) string { return key.Name }
		remote.put(ann("ann"), ann("Ann"))
		m.sync(realm)
		m.sync(realm)
		found, err := m.FindKey(t.Context(), ann("Ann"))
		if err != nil || found.Name != "Ann" || len(m.rows()) != 2 {
			t.Errorf("found %+v, %v among %d rows, want Ann among 2", found, err, len(m.rows()))
		}
		remote.objects = map[string]person{"bob": {Realm: "R", Name: "bob"}}
		m.sync(person{Realm: "R"})
		rows := m.rows()
		if len(rows) != 3 || rows[0].State != nawasync.StateSynced || rows[1].State != nawasync.StateSynced {
			t.Errorf("rows = %+v, want those of the realm r untouched by a sync of R", rows)
		}
	})
}

// A double click: the second creation waits for the first, and then finds its row.
func TestTwoCreationsOfOneNameInTwoTransactionsMakeOneRow(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		if db.Dialect == "sqlite" {
			t.Skip("SQLite has one writer: the second transaction begins after the first")
		}
		_, m := newEntries(t, db)
		first := db.Begin()
		defer first.Rollback()
		job, err := m.WithTx(first).Create(t.Context(), www("192.0.2.1"), byUser)
		enginetest.NoError(t, err)
		second := make(chan error, 1)
		go func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			_, err := m.Create(ctx, www("192.0.2.2"), byUser)
			second <- err
		}()
		enginetest.NoError(t, first.Commit().Error)
		if err := <-second; !errors.Is(err, nawasync.ErrExists) {
			t.Errorf("the second creation returns %v, want ErrExists", err)
		}
		m.ends(m.drain(job, nil), tracker.StatusSuccess, "")
		if rows := m.rows(); len(rows) != 1 || rows[0].State != nawasync.StateSynced {
			t.Errorf("rows = %+v, want one, synced", rows)
		}
	})
}

func TestCreationInAnOpenTransactionOfTheSameNameIsBusy(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		if db.Dialect == "sqlite" {
			t.Skip("SQLite has one writer: its second transaction gets ErrDatabaseBusy")
		}
		_, m := newEntries(t, db)
		first := db.Begin()
		defer first.Rollback()
		_, err := m.WithTx(first).Create(t.Context(), www("192.0.2.1"), byUser)
		enginetest.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := m.Create(ctx, www("192.0.2.1"), byUser); !errors.Is(err, nawasync.ErrBusy) {
			t.Errorf("the second creation returns %v, want ErrBusy", err)
		}
		if _, err := m.Create(t.Context(), entry{Account: "a", Zone: "z", Type: "A", Name: "ftp", Content: "x"}, byUser); err != nil {
			t.Errorf("a creation of another name returns %v", err)
		}
	})
}

func TestInstancesWithAnObjectAreFoundByItsTargetWithoutAJob(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		first := www("192.0.2.1")
		first.Key = " a/b%"
		remote, m := newEntries(t, db, first)
		m.sync(entry{Account: "a", Zone: "z"})
		find := func(id string) []string {
			found, err := m.engine.InstancesWith(t.Context(), "api", "entries", []string{"a/z", "b/z", "not two parts"}, id)
			enginetest.NoError(t, err)
			return found
		}
		if found := find("%20a/b%25"); !slices.Equal(found, []string{"a/z"}) {
			t.Errorf("the object is in %v, want in a/z", found)
		}
		if found := find("other"); len(found) != 0 {
			t.Errorf("an object that does not exist is in %v", found)
		}
		m.ends(m.drain(m.Delete(t.Context(), m.rows()[0], byUser)), tracker.StatusSuccess, "")
		if found := find("%20a/b%25"); len(found) != 0 || len(remote.keys()) != 0 {
			t.Errorf("the deleted object is in %v", found)
		}
	})
}
