package admin_test

import (
	"net/http"
	"sync"
	"testing"

	"github.com/nawasara/nawasync/internal/testdb"
)

// waits returns how many callers have ever waited for a connection of the engine's pool, while send runs and the
// only connection is in use.
func (s *site) waits(send func()) int64 {
	s.t.Helper()
	pool, err := s.db.DB.DB()
	noError(s.t, err)
	pool.SetMaxOpenConns(1)
	held, err := pool.Conn(s.t.Context())
	noError(s.t, err)
	before := pool.Stats().WaitCount
	send()
	after := pool.Stats().WaitCount
	noError(s.t, held.Close())
	return after - before
}

func TestProbesUseOneConnectionHoweverManyThereAre(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSite(t, db, "", nil)
		waited := s.waits(func() {
			var all sync.WaitGroup
			for range 20 {
				all.Go(func() {
					if got := s.get("", "/readyz"); got.status != http.StatusServiceUnavailable {
						t.Errorf("without a connection: status %d, want 503", got.status)
					}
				})
			}
			all.Wait()
		})
		// One ping, or two if a request came after the first one has failed for a second.
		if waited < 1 || waited > 2 {
			t.Errorf("20 probes have waited for %d connections, want 1", waited)
		}
		s.until(func() bool { return s.get("", "/readyz").status == http.StatusOK })
	})
}
