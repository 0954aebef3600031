package admin_test

import (
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// gather returns the metrics of a registry by name.
func gather(t *testing.T, registry *prometheus.Registry) map[string]*dto.MetricFamily {
	t.Helper()
	list, err := registry.Gather()
	noError(t, err)
	found := map[string]*dto.MetricFamily{}
	for _, family := range list {
		found[family.GetName()] = family
	}
	problems, err := promlint.NewWithMetricFamilies(list).Lint()
	noError(t, err)
	if len(problems) > 0 {
		t.Errorf("the linter of Prometheus found %v", problems)
	}
	return found
}

func TestCollectorReportsEveryServiceAndTheSameMetricsAsThePage(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", nil)
	registry := prometheus.NewPedanticRegistry()
	noError(t, registry.Register(admin.Collector(s.engine)))
	s.start()
	s.await(s.dispatch(chore{ID: "a", How: "broken"}).ID, tracker.StatusFailed)
	s.await(s.dispatch(elsewhere{ID: "b"}).ID, tracker.StatusSuccess)
	found, page := gather(t, registry), scrape(t, s, "viewer")
	for name := range page {
		if found[name] == nil || len(found[name].GetMetric()) != len(page[name].GetMetric()) || found[name].GetType() != page[name].GetType() {
			t.Errorf("%s: the collector reports %v, the page %v", name, found[name], page[name])
		}
	}
	if len(found) != len(page) {
		t.Errorf("the collector has %d metrics, the page %d", len(found), len(page))
	}
	if n := sample(t, found, "nawasync_jobs_ended_total", "failed", "whm").GetCounter().GetValue(); n != 1 {
		t.Errorf("%v failed jobs of whm", n)
	}
	if n := sample(t, found, "nawasync_jobs_ended_total", "success", "cloudflare").GetCounter().GetValue(); n != 1 {
		t.Errorf("%v succeeded jobs of cloudflare", n)
	}
	if n := sample(t, found, "nawasync_up").GetGauge().GetValue(); n != 1 {
		t.Error("not up")
	}
}

func TestCollectorKeepsTheRegistryAliveWithoutTheDatabase(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", nil)
	noError(t, s.db.Exec("ALTER TABLE nawasync_jobs RENAME TO renamed").Error)
	for name, engine := range map[string]*nawasync.Engine{"a database that fails": s.engine, "no engine": nil} {
		registry := prometheus.NewPedanticRegistry()
		requests := prometheus.NewCounter(prometheus.CounterOpts{Name: "host_requests_total", Help: "Requests."})
		registry.MustRegister(requests, admin.Collector(engine))
		requests.Inc()
		found := gather(t, registry)
		if len(found) != 2 || sample(t, found, "host_requests_total").GetCounter().GetValue() != 1 || sample(t, found, "nawasync_up").GetGauge().GetValue() != 0 {
			t.Errorf("%s: %v", name, found)
		}
	}
}

func TestScrapeReadsOnlyOpenJobs(t *testing.T) {
	t.Parallel()
	for _, open := range []func(testing.TB) *testdb.Database{testdb.Postgres, testdb.MySQL} {
		db := open(t)
		s := newSite(t, db, "", nil) // not started
		jobs := make([]nawasync.Args, 3000)
		for i := range jobs {
			jobs[i] = chore{ID: fmt.Sprint("box-", i)}
		}
		_, err := s.engine.DispatchMany(t.Context(), jobs, nawasync.Options{})
		noError(t, err)
		noError(t, db.Exec("UPDATE nawasync_jobs SET status = 'success', finished_at = 1, open_lane = NULL, wake_at = NULL WHERE target_id NOT LIKE 'box-1_'").Error)
		noError(t, db.Exec(map[string]string{"postgres": "VACUUM ANALYZE nawasync_jobs", "mysql": "ANALYZE TABLE nawasync_jobs"}[db.Dialect]).Error)
		registry := prometheus.NewPedanticRegistry()
		noError(t, registry.Register(admin.Collector(s.engine)))
		n := testdb.JobRowsRead(t, db, func() {
			if queued := sample(t, gather(t, registry), "nawasync_jobs_queued", "whm").GetGauge().GetValue(); queued != 10 {
				t.Errorf("%s: %v queued jobs, want 10", db.Dialect, queued)
			}
		})
		if n < 10 || n > 500 {
			t.Errorf("%s: a scrape with 10 open jobs reads %d rows; there are %d jobs", db.Dialect, n, len(jobs))
		}
		again := testdb.JobRowsRead(t, db, func() { gather(t, registry) })
		if again > 20 { // the counting itself
			t.Errorf("%s: a second scrape at once reads %d rows", db.Dialect, again)
		}
	}
}
