package mirror_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// Two batches of a sync share the connection that the heartbeat leaves.
func TestSyncEndsWithASmallPool(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote, m := newPaged(t, db, 20, paging)
		remote.size, remote.limit = 500, 0
		m.syncNow(person{Realm: "r"})
		m.ends(m.drain(m.Delete(t.Context(), m.rows()[0], byUser)), tracker.StatusSuccess, "")
		remote.put(numbered(12000)...)
		m.clock.Advance(48 * time.Hour)
		pool, err := db.DB.DB()
		enginetest.NoError(t, err)
		pool.SetMaxOpenConns(1)
		began := time.Now()
		job := m.drain(m.SyncNow(t.Context(), person{Realm: "r"}, "", byUser))
		t.Log(fmt.Sprint(time.Since(began)), string(job.Result))
		m.ends(job, tracker.StatusSuccess, "")
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("the sync took %s", took)
		}
	})
}
