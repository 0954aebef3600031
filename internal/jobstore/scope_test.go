package jobstore_test

import (
	"testing"
	"time"

	"github.com/nawasara/nawasync/internal/storetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

func TestTimeInAPausedScopeDoesNotCountTowardsExpiry(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		b := storetest.New(t, db)
		const day, expiry = 24 * time.Hour, 7 * 24 * time.Hour
		expired := func() int {
			t.Helper()
			list, err := b.Expired(t.Context(), b.Now().Add(-expiry), 10)
			b.NoError(err)
			return len(list)
		}
		job := b.Insert(storetest.NewJob(1))[0]
		b.Advance(day)
		b.NoError(b.Pause(t.Context(), tracker.Scope{Service: job.Service, Instance: job.Instance, Until: tracker.Forever, By: "user:1"}))
		b.Advance(30 * day)
		if expired() != 0 {
			t.Fatal("the job expired in a paused scope")
		}
		_, err := b.Resume(t.Context(), job.Service, job.Instance)
		b.NoError(err)
		b.Advance(5 * day)
		if paused, err := b.PausedTime(t.Context(), job.ID); err != nil || paused != 30*day || expired() != 0 {
			t.Fatalf("6 days without the pause: paused for %s, %d expired, error %v; want 30 days and none", paused, expired(), err)
		}
		b.Advance(2 * day)
		if expired() != 1 {
			t.Fatal("the job has not expired 8 days without the pause after it came due")
		}
	})
}
