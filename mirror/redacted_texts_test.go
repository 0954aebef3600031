package mirror_test

import (
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
)

func TestErrorOfARenamedObjectIsStoredRedacted(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote, m := newPersons(t, db, ann("apple"))
		m.sync(realm)
		const renamed = "plum password=S3CR3T-value"
		remote.rename("apple", ann(renamed))
		remote.find = func(_ map[string]person, key person) string { return strings.ReplaceAll(key.Name, "apple", renamed) }
		m.drain(m.Refresh(t.Context(), 1, byUser))
		row := m.rows()[0]
		if row.State != nawasync.StateMissing || !strings.Contains(row.SyncError, "plum password=***") || strings.Contains(row.SyncError, "S3CR3T") {
			t.Errorf("the row is %s: %q; want it missing, with the name redacted", row.State, row.SyncError)
		}
	})
}

func TestErrorOfARowThatCannotBeRemovedIsStoredRedacted(t *testing.T) {
	t.Parallel()
	db := testdb.SQLite(t) // the text of a trigger
	m := newMembers(t, db, "ann", "bob")
	enginetest.NoError(t, db.Exec("CREATE TRIGGER keep BEFORE DELETE ON members BEGIN SELECT RAISE(ABORT, 'refused for password=S3CR3T-value'); END").Error)
	m.vanish("ann")
	m.clock.Advance(31 * 24 * time.Hour)
	m.sync(memberNamed(""))
	if text := m.find("ann").SyncError; !strings.Contains(text, "not removed") || !strings.Contains(text, "password=***") || strings.Contains(text, "S3CR3T") {
		t.Errorf("the row says %q; want it redacted", text)
	}
}
