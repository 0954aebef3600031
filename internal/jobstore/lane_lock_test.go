package jobstore_test

import (
	"math"
	"testing"

	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/internal/storetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// A process that freezes in a transaction keeps its locks until the database ends the connection, which can take hours.
func TestASweepDoesNotLockTheJobsThatRun(t *testing.T) {
	for _, opener := range testdb.Openers() {
		t.Run(opener.Name, func(t *testing.T) {
			t.Parallel()
			db := opener.Open(t)
			b := storetest.New(t, db)
			forgotten := b.Insert(storetest.NewJob(1))[0]
			running := b.ClaimOne(b.Insert(storetest.NewJob(2))[0])
			b.NoError(db.Exec("UPDATE nawasync_jobs SET wake_at = NULL WHERE id = ?", forgotten.ID).Error)
			settled := false
			at := func(m jobstore.Moment) {
				if m == jobstore.MomentWoken && opener.Name != "sqlite" {
					settled = true
					b.SettleAll(&jobstore.Outcome{Job: running, Status: tracker.StatusQueued, NotBefore: b.Now()})
				}
			}
			sweeping, err := jobstore.New(db.DB, jobstore.Options{Now: b.Now, At: at})
			b.NoError(err)
			next, err := sweeping.SweepLanes(t.Context(), math.MinInt64, math.MaxInt64, 10)
			b.NoError(err)
			if next != math.MaxInt64 || b.Stored(forgotten.ID).WakeAt.IsZero() || !settled && opener.Name != "sqlite" {
				t.Errorf("next lane %d, job %+v; want the last lane, and the job in the claim index", next, b.Stored(forgotten.ID))
			}
		})
	}
}
