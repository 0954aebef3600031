package jobstore_test

import (
	"testing"
	"time"

	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/internal/storetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// A claim looks its scopes up, however many others are paused. The test counts the pages that PostgreSQL
// reads: their number is the same on every machine.
func TestThousandsOfPausesDoNotRaiseTheCostOfAClaim(t *testing.T) {
	t.Parallel()
	db := testdb.Postgres(t)
	b := storetest.New(t, db)
	claim := func(lane int64) int {
		job := storetest.NewJob(lane)
		job.Instance = "a/b"
		storetest.SetTargetKey(job)
		query, args := b.ClaimQuery(jobstore.Look{Stream: b.Insert(job)[0].Stream(), Timeout: time.Minute})
		pages := buffers(t, db, query, args...)
		if b.Stored(job.ID).Status != tracker.StatusRunning {
			t.Fatal("the statement claimed nothing")
		}
		return pages
	}
	claim(1)
	before := claim(2)
	b.NoError(db.Exec(`INSERT INTO nawasync_scopes (service, instance, paused_until, parked, paused_by, created_at, reason)
 SELECT 'whm', 'a/c' || i, 1 << 60, FALSE, '', 0, '' FROM generate_series(1, 20000) i`).Error)
	b.NoError(db.Exec("VACUUM ANALYZE nawasync_scopes").Error)
	if after := claim(3); after > before+40 {
		t.Errorf("with 20,000 pauses of other scopes a claim reads %d pages, and %d without", after, before)
	}
}
