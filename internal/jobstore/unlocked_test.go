package jobstore_test

import (
	"errors"
	"testing"

	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/internal/storetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

func TestUnlockedFindsTheRowsThatAreFreeOrDeleted(t *testing.T) {
	for _, opener := range testdb.Openers()[1:] { // SQLite locks no rows
		t.Run(opener.Name, func(t *testing.T) {
			t.Parallel()
			db := opener.Open(t)
			b := storetest.New(t, db)
			const n = 300 // more than one statement reads
			var outcomes []*jobstore.Outcome
			for lane := range int64(n) {
				job := b.ClaimOne(b.Insert(storetest.NewJob(lane + 1))[0])
				outcomes = append(outcomes, &jobstore.Outcome{Job: job, Status: tracker.StatusSuccess})
			}
			all := db.Begin()
			defer all.Rollback()
			b.NoError(all.Exec("UPDATE nawasync_jobs SET updated_at = updated_at + 1").Error)
			_, errs := b.Settle(t.Context(), outcomes)
			locked := make([]*jobstore.LockedError, n)
			for i, err := range errs {
				if !errors.As(err, &locked[i]) {
					t.Fatalf("outcome %d: %v, want a LockedError", i, err)
				}
			}
			count := func() (free int) {
				t.Helper()
				list, err := b.Unlocked(t.Context(), locked)
				b.NoError(err)
				for _, one := range list {
					if one {
						free++
					}
				}
				return free
			}
			if free := count(); free != 0 {
				t.Errorf("%d rows are free while a transaction holds all, want 0", free)
			}
			b.NoError(all.Rollback().Error)
			b.NoError(db.Exec("DELETE FROM nawasync_jobs WHERE id = ?", outcomes[0].Job.ID).Error)
			one := db.Begin()
			defer one.Rollback()
			b.NoError(one.Exec("UPDATE nawasync_jobs SET updated_at = updated_at + 1 WHERE id = ?", outcomes[1].Job.ID).Error)
			if free := count(); free != n-1 {
				t.Errorf("%d rows are free while a transaction holds one, want %d", free, n-1)
			}
		})
	}
}
