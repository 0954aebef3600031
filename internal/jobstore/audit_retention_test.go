package jobstore_test

import (
	"testing"
	"time"

	"github.com/nawasara/nawasync/internal/storetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

func TestPruneAuditDeletesTheOldestEntriesUpToItsLimit(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		b := storetest.New(t, db)
		for range 7 {
			b.NoError(b.AppendAudit(t.Context(), tracker.AuditEntry{Action: "old"}))
		}
		b.Advance(48 * time.Hour)
		b.NoError(b.AppendAudit(t.Context(), tracker.AuditEntry{Action: "new"}))
		for _, want := range []int{5, 2, 0} {
			n, err := b.PruneAudit(t.Context(), b.Now().Add(-24*time.Hour), 5)
			b.NoError(err)
			if n != want {
				t.Fatalf("%d entries were deleted, want %d", n, want)
			}
		}
		log, err := b.AuditLog(t.Context(), tracker.AuditFilter{})
		b.NoError(err)
		if len(log) != 1 || log[0].Action != "new" {
			t.Errorf("the audit log is %+v, want only the new entry", log)
		}
	})
}
