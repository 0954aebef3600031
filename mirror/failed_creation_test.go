package mirror_test

import (
	"strings"
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/tracker"
)

// The update is skipped, because there is no object.
func TestRowOfACreationInConflictSaysWhyAlsoAfterAChangeThatWaitedBehindIt(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote := newZoneRemote()
		m := newZone(t, db, remote, mirror.Config[zoneRecord]{})
		remote.add(wwwRecord, false)
		creating, err := m.Create(t.Context(), zoneRecord{Zone: "z", Name: "www", Type: "A", Content: "192.0.2.1"}, byUser)
		enginetest.NoError(t, err)
		updating := m.drain(m.Update(t.Context(), row(m, "www"), setContent("192.0.2.2"), byUser))
		m.ends(m.job(creating.ID), tracker.StatusConflict, "already exists")
		m.ends(updating, tracker.StatusSkipped, "")
		if r := row(m, "www"); r.State != nawasync.StateFailed || !strings.Contains(r.SyncError, "already exists") {
			t.Errorf("row = %s (%s), want failed, with the reason of the conflict", r.State, r.SyncError)
		}
	})
}
