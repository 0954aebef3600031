package mirror_test

import (
	"context"
	"testing"
	"time"

	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

func TestLastSyncedAtIsPerInstance(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newShop(t, enginetest.New(t, db))
		s.waitStatus(t, s.sync(t), tracker.StatusSuccess)
		var one, two time.Time
		enginetest.Eventually(t, 20*time.Second, "the time of the last sync", func() bool {
			var err error
			one, err = s.repo.LastSyncedAt(context.Background(), gadget{Instance: "one"})
			enginetest.NoError(t, err)
			return !one.IsZero()
		})
		two, err := s.repo.LastSyncedAt(t.Context(), gadget{Instance: "two"})
		if err != nil || !two.IsZero() {
			t.Errorf("LastSyncedAt of an instance that was never synced = %v, %v, want the zero time", two, err)
		}
	})
}
