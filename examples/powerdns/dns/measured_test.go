package dns_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/nawasara/nawasync/examples/powerdns/dns"
	"github.com/nawasara/nawasync/examples/powerdns/pdnsapi"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// A sync of 20,000 sets takes less than 10 s, and less than 2 s when nothing has changed. There are 2,000 unless
// NAWASYNC_TEST_FULL is set.
func TestMeasuredSyncOfALargeZone(t *testing.T) {
	n := enginetest.Sized(2000, 20_000)
	onEachServer(t, func(t *testing.T, s *server) {
		testdb.Each(t, func(t *testing.T, db *testdb.Database) {
			w := newWorld(t, db, s)
			for from := 0; from < n; from += 1000 {
				var sets []pdnsapi.Set
				for i := range 1000 {
					sets = append(sets, one(fmt.Sprintf("host%05d.%s", from+i, w.zone), "A", 300, fmt.Sprintf("192.0.%d.%d", (from+i)/250, 1+i%250)))
				}
				w.noError(s.other.ReplaceSets(t.Context(), w.zone, sets...))
			}
			measure := func(want string, limit time.Duration) {
				start := time.Now()
				job, err := w.Sets.SyncNow(t.Context(), w.scope(), "", byAnn)
				w.noError(err)
				w.drain()
				took := time.Since(start)
				w.want(job, tracker.StatusSuccess, want)
				t.Logf("a sync of %d sets (%s) took %s", n, want, took)
				if took > limit {
					t.Errorf("a sync of %d sets (%s) took %s, want less than %s", n, want, took, limit)
				}
			}
			_, err := w.Zones.SyncNow(t.Context(), dns.Zone{Server: "main"}, "", byAnn)
			w.noError(err)
			measure(fmt.Sprintf(`"created":%d`, n), 10*time.Second)
			measure(fmt.Sprintf(`"unchanged":%d`, n), 2*time.Second)
		})
	})
}
