package mirror_test

import (
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

func TestRowsDeletedLongAgoAreRemovedExceptThoseThatForeignKeysKeep(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		m := newMembers(t, db, "ann", "bob", "cy", "dan")
		enginetest.NoError(t, db.Exec("CREATE TABLE invoices (member BIGINT, FOREIGN KEY (member) REFERENCES members(id))").Error)
		if db.Dialect == "sqlite" {
			enginetest.NoError(t, db.Exec("CREATE TRIGGER keep BEFORE DELETE ON members WHEN EXISTS (SELECT 1 FROM invoices WHERE member = OLD.id) BEGIN SELECT RAISE(ABORT, 'an invoice refers to the row'); END").Error)
		}
		enginetest.NoError(t, db.Exec("INSERT INTO invoices (member) VALUES (1)").Error)
		m.vanish("ann")
		m.delete("bob")
		m.clock.Advance(24 * time.Hour)
		m.vanish("cy")
		m.clock.Advance(30*24*time.Hour - 10*time.Minute)
		for range 2 {
			job := m.sync(memberNamed(""))
			result := resultOf(t, job)
			if result.PurgeRefused != 1 || len(result.PurgeRefusals) != 1 || !strings.Contains(result.PurgeRefusals[0], `row 1, "ann"`) {
				t.Errorf("sync result = %+v, want the row of ann named", result)
			}
			rows := m.all()
			if len(rows) != 3 || rows[0].State != tracker.StateDeleted || !strings.Contains(rows[0].SyncError, "not removed") || rows[1].Name != "cy" {
				t.Fatalf("rows = %+v, want ann, cy and dan", rows)
			}
		}
		enginetest.NoError(t, db.Exec("DELETE FROM invoices").Error)
		if result := m.syncResult(); result.Purged != 1 || result.PurgeRefused != 0 {
			t.Errorf("sync result without the invoice = %+v, want one row removed", result)
		}
	})
}
