package mirror_test

import (
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// member is an object about which the host stores a note.
type member struct {
	ID    uint64
	Realm string `sync:"scope"`
	Name  string `sync:"key"`
	Email string
	Note  *string `sync:"ignored"`
	nawasync.SyncStatus
}

// members is a repository and its remote.
type members struct {
	*mirrored[member]
	remote *mapRemote[member]
}

func memberNamed(name string) member {
	return member{Realm: "r", Name: name, Email: name + "@example.com"}
}

// newMembers mirrors members with the given names and a note each.
func newMembers(t *testing.T, db *testdb.Database, names ...string) members {
	t.Helper()
	remote := &mapRemote[member]{
		objects: map[string]member{},
		keyOf:   func(m member) string { return m.Name },
		find:    func(_ map[string]member, key member) string { return key.Name },
	}
	m := members{newMirrored[member](t, db, "members", "realm TEXT NOT NULL, name TEXT NOT NULL, email TEXT NOT NULL, note TEXT", remote), remote}
	for _, name := range names {
		remote.put(memberNamed(name))
	}
	m.sync(member{Realm: "r"})
	enginetest.NoError(t, db.Exec("UPDATE members SET note = 'note'").Error)
	return m
}

// syncResult syncs the realm.
func (m members) syncResult() nawasync.SyncResult {
	m.t.Helper()
	return resultOf(m.t, m.sync(member{Realm: "r"}))
}

// vanish deletes an object on the remote. The syncs and the confirmation delete its row.
func (m members) vanish(name string) {
	m.t.Helper()
	m.remote.mu.Lock()
	delete(m.remote.objects, name)
	m.remote.mu.Unlock()
	m.syncResult()
	m.syncResult()
	if row := m.find(name); row.State != tracker.StateDeleted {
		m.t.Fatalf("the row of %s is %s, want deleted", name, row.State)
	}
}

// delete deletes an object with a job.
func (m members) delete(name string) *tracker.Job {
	m.t.Helper()
	job := m.drain(m.Delete(m.t.Context(), m.find(name), byUser))
	m.ends(job, tracker.StatusSuccess, "")
	return job
}

// all returns all rows, deleted or not, oldest first.
func (m members) all() (list []member) {
	m.t.Helper()
	enginetest.NoError(m.t, m.db.Unscoped().Order("id").Find(&list).Error)
	return list
}

// find returns the newest row with a name, deleted or not.
func (m members) find(name string) (row member) {
	m.t.Helper()
	enginetest.NoError(m.t, m.db.Unscoped().Where("name = ?", name).Order("id DESC").First(&row).Error)
	return row
}
