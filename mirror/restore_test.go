package mirror_test

import (
	"errors"
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/tracker"
)

func (m members) restore(id int64) (*tracker.Job, error) {
	m.t.Helper()
	return mirror.Restore(m.t.Context(), m.engine, mirror.DeletedRow{Service: "api", Type: "members", ID: id}, nawasync.OperatorOptions{By: "user:1"})
}

func TestRestoredRowIsMissingUntilItsObjectWasRead(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		m := newMembers(t, db, "ann", "bob", "cy")
		m.delete("ann")
		m.delete("bob")
		back := memberNamed("ann")
		back.Email = "new@example.com"
		m.remote.put(back)
		reading, err := m.restore(1)
		enginetest.NoError(t, err)
		if row, err := m.Find(t.Context(), 1); err != nil || row.State != nawasync.StateMissing || row.Note == nil {
			t.Errorf("row = %+v, %v, want ann missing, with her note", row, err)
		}
		m.ends(m.drain(reading, nil), tracker.StatusSuccess, "")
		if row, err := m.Find(t.Context(), 1); err != nil || row.State != nawasync.StateSynced || row.Email != "new@example.com" || row.DeletedJobID != nil {
			t.Errorf("row = %+v, %v, want ann synced", row, err)
		}
		entries, err := m.engine.Reader().AuditLog(t.Context(), tracker.AuditFilter{Action: "restore_row"})
		if err != nil || len(entries) != 1 || entries[0].Subject != "user:1" || entries[0].JobID != reading.ID || entries[0].Detail != "row 1 of members" {
			t.Errorf("audit log = %+v, %v, want one entry", entries, err)
		}

		m.drain(m.restore(2)) // the remote does not have bob
		for range 2 {
			if row := m.find("bob"); row.State != nawasync.StateMissing || row.SyncError != "" {
				t.Fatalf("row = %+v, want bob missing", row)
			}
			m.syncResult()
		}
		if row := m.find("bob"); row.State != tracker.StateDeleted || row.DeletedJobID != nil {
			t.Errorf("row = %+v, want bob deleted again", row)
		}
	})
}

func TestRowIsNotRestoredIfAnotherHasItsNameOrItIsNotDeleted(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		m := newMembers(t, db, "ann", "bob")
		m.delete("ann")
		m.remote.put(memberNamed("ann"))
		m.syncResult()
		if _, err := m.restore(1); !errors.Is(err, nawasync.ErrExists) {
			t.Errorf("Restore of a row whose name another one has returns %v, want ErrExists", err)
		}
		for _, id := range []int64{2, 99} {
			if _, err := m.restore(id); !errors.Is(err, nawasync.ErrNotFound) {
				t.Errorf("Restore of row %d returns %v, want ErrNotFound", id, err)
			}
		}
		other := mirror.DeletedRow{Service: "api", Type: "other", ID: 1}
		if _, err := mirror.Restore(t.Context(), m.engine, other, nawasync.OperatorOptions{By: "user:1"}); !errors.Is(err, nawasync.ErrNoRepository) {
			t.Errorf("Restore in an unknown repository returns %v, want ErrNoRepository", err)
		}
		if rows := m.all(); len(rows) != 3 || rows[0].State != tracker.StateDeleted {
			t.Errorf("rows = %+v, want that of ann deleted still", rows)
		}
	})
}
