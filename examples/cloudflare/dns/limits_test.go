package dns_test

import (
	"fmt"
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/examples/cloudflare/cfapi"
	"github.com/nawasara/nawasync/examples/cloudflare/dns"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/nawasynctest"
	"github.com/nawasara/nawasync/tracker"
)

// The simulated Cloudflare counts the calls of a token over all zones and refuses each one over the limit. The changes
// need several windows; the other token has a window of its own.
func TestLimitOfATokenHoldsOverAllZonesAndNoCallIsOverIt(t *testing.T) {
	t.Parallel()
	limit := enginetest.Sized(100, cfapi.Calls)
	w := newWorldLimited(t, testdb.SQLite(t), 9, limit)
	for i := range 20 {
		_, err := w.server.AddZone("main", fmt.Sprintf("zone%02d.example", i), 4)
		w.noError(err)
	}
	w.syncAll()
	start := w.clock.Now()
	_, err := w.Records.SyncNow(w.t.Context(), dns.Record{}, "", byAnn)
	w.noError(err)
	var jobs []*tracker.Job
	for i, zone := range w.server.ZoneNames("main") {
		for n := range limit / 20 {
			job, err := w.Records.Create(w.t.Context(), w.record(zone, 100*i+n), byAnn)
			w.noError(err)
			jobs = append(jobs, job)
		}
	}
	w.noError(nawasynctest.Drain(w.t.Context(), w.engine, w.clock))
	for _, job := range jobs {
		w.want(job, tracker.StatusSuccess, "")
		if ended := w.job(job); ended.Attempt > 1 {
			w.t.Errorf("%s took %d attempts, want 1: waiting for the limit is none", ended.TargetID, ended.Attempt)
		}
	}
	for _, account := range []string{"main", "shop"} {
		if _, refused := w.server.Spent(account); refused != 0 {
			w.t.Errorf("%d calls with the token of %s were over the limit", refused, account)
		}
	}
	calls, took := 0, w.clock.Now().Sub(start)
	for _, n := range w.server.AllCalls() {
		calls += n
	}
	if windows := took / cfapi.Window; windows < 1 || calls < 2*limit {
		w.t.Errorf("%d calls in %s: the test needs more than one window of %d", calls, took, limit)
	}
	if got := len(w.rows("zone19.example", nawasync.StateSynced)); got != 4+limit/20 {
		w.t.Errorf("the last zone has %d rows, want %d", got, 4+limit/20)
	}
}
