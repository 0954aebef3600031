package admin_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// scrape reads /metrics as Prometheus does, and checks the text with Prometheus' own linter.
func scrape(t *testing.T, s *site, subject string) map[string]*dto.MetricFamily {
	t.Helper()
	body := s.get(subject, "/metrics").body
	problems, err := promlint.New(strings.NewReader(body)).Lint()
	noError(t, err)
	if len(problems) > 0 {
		t.Errorf("the linter of Prometheus found %v", problems)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(body))
	noError(t, err)
	return families
}

// sample returns the metric of a family that has exactly these values of labels, in the order of
// the labels' names. It fails the test if there is none.
func sample(t *testing.T, families map[string]*dto.MetricFamily, name string, labels ...string) *dto.Metric {
	t.Helper()
	for _, m := range families[name].GetMetric() {
		var values []string
		for _, l := range m.GetLabel() {
			values = append(values, l.GetValue())
		}
		if fmt.Sprint(values) == fmt.Sprint(labels) {
			return m
		}
	}
	t.Fatalf("no %s%v in %v", name, labels, families[name])
	return nil
}

func TestMetricsAreCountersAndHistogramsThatOnlyGrow(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSite(t, db, "", nil)
		first := scrape(t, s, "viewer")
		if c := sample(t, first, "nawasync_jobs_ended_total", "conflict", "whm"); c.GetCounter() == nil || c.GetCounter().GetValue() != 0 {
			t.Errorf("before the first job: %v", c)
		}
		s.start()
		var before float64
		for i := range 12 {
			how := map[bool]string{true: "broken"}[i%3 == 0]
			s.await(s.dispatch(chore{ID: fmt.Sprint("box-", i), How: how}).ID, map[bool]tracker.Status{true: tracker.StatusFailed, false: tracker.StatusSuccess}[how != ""])
			found := scrape(t, s, "viewer") // while the engine rolls up
			success := sample(t, found, "nawasync_jobs_ended_total", "success", "whm").GetCounter().GetValue()
			failed := sample(t, found, "nawasync_jobs_ended_total", "failed", "whm").GetCounter().GetValue()
			if success+failed != before+1 || failed != float64(i/3+1) {
				t.Fatalf("%v succeeded and %v failed of %d", success, failed, i+1)
			}
			before = success + failed
		}
		found := scrape(t, s, "viewer")
		for _, name := range []string{"nawasync_job_run_seconds", "nawasync_job_wait_seconds"} {
			h := sample(t, found, name, "whm").GetHistogram()
			var last *dto.Bucket
			for _, b := range h.GetBucket() {
				if last != nil && (b.GetUpperBound() <= last.GetUpperBound() || b.GetCumulativeCount() < last.GetCumulativeCount()) {
					t.Errorf("%s: bucket %v after %v", name, b, last)
				}
				last = b
			}
			if len(h.GetBucket()) < 10 || h.GetBucket()[0].GetUpperBound() != 0.004 || last.GetCumulativeCount() != 12 {
				t.Errorf("%s has the buckets %v", name, h.GetBucket())
			}
			if h.GetSampleCount() != 12 || h.GetSampleSum() <= 0 || h.GetSampleSum() > 12*60 {
				t.Errorf("%s: %v", name, h)
			}
		}
	})
}

func TestMetricsShowWhatWaitsAndWhatIsHeldUp(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", nil) // not started
	old := s.dispatch(chore{ID: "a"})
	s.dispatch(chore{ID: "b"})
	s.dispatch(elsewhere{ID: "c"})
	noError(t, s.db.Exec("UPDATE nawasync_jobs SET not_before = not_before - 90000000 WHERE id = ?", old.ID).Error)
	noError(t, s.db.Exec(`INSERT INTO nawasync_scopes (service, instance, paused_until, parked, paused_by, created_at, reason)
 VALUES ('whm', 'main', ?, TRUE, '', 0, ''), ('whm', 'b', ?, FALSE, '', 0, '')`, tracker.Forever.UnixMicro(), tracker.Forever.UnixMicro()).Error)
	noError(t, s.db.Exec(`INSERT INTO nawasync_held (service, type, instance, open_key, status, job_id, snap_table, rows_known, rows_absent, rows_limit, created_at, arguments)
 VALUES ('whm', 'mailbox', 'main', 'a', 'open', 1, 't', 1, 1, 0, 0, '')`).Error)
	noError(t, s.db.Exec("INSERT INTO nawasync_last_success (service, type, action, instance, job_id, finished_at) VALUES ('whm', 'a', 'b', '', 1, 1500000)").Error)
	found := scrape(t, s, "viewer")
	for name, want := range map[string]float64{
		"nawasync_jobs_queued": 2, "nawasync_jobs_due": 2, "nawasync_jobs_running": 0, "nawasync_jobs_stuck": 0, "nawasync_scopes_parked": 1,
		"nawasync_scopes_paused": 1, "nawasync_syncs_held": 1, "nawasync_last_success_timestamp_seconds": 1.5,
	} {
		if m := sample(t, found, name, "whm"); m.GetGauge() == nil || m.GetGauge().GetValue() != want {
			t.Errorf("%s is %v, want %v", name, m, want)
		}
	}
	if oldest := sample(t, found, "nawasync_oldest_queued_seconds", "whm").GetGauge().GetValue(); oldest < 90 || oldest > 90+time.Minute.Seconds() {
		t.Errorf("the oldest job waits for %v s, want 90", oldest)
	}
	if n := sample(t, found, "nawasync_alerts", "critical").GetGauge().GetValue(); n == 0 {
		t.Error("no alerts although a scope is parked")
	}
	if n := sample(t, found, "nawasync_open_jobs_limited").GetGauge().GetValue(); n != 0 {
		t.Error("3 open jobs are too many to count")
	}
	other := scrape(t, s, "other")
	sample(t, other, "nawasync_jobs_queued", "cloudflare")
	for name, family := range other {
		if strings.Contains(family.String(), "whm") {
			t.Errorf("%s shows a service that the subject must not view: %v", name, family)
		}
	}
}
