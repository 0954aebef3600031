package admin_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync/admin"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

func TestHealthPageJSONAndMetricsShowTheSameFigures(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSite(t, db, "", nil)
		s.start()
		s.await(s.dispatch(chore{ID: "a"}).ID, tracker.StatusSuccess)
		s.await(s.dispatch(chore{ID: "b@example.org", How: "fail"}).ID, tracker.StatusFailed)
		s.await(s.dispatch(chore{ID: "c@example.org", How: "fail"}).ID, tracker.StatusFailed)
		// The window counts by when jobs ended. A job that was created long ago and failed now counts too.
		noError(t, db.Exec("UPDATE nawasync_jobs SET created_at = 1 WHERE target_id = 'b@example.org'").Error)
		for _, window := range []string{"15m", "1h", "24h", "7d", "30d"} {
			var got struct {
				Window string `json:"window"`
				Totals struct {
					Ended   int `json:"ended"`
					Success int `json:"success"`
					Failed  int `json:"failed"`
				} `json:"totals"`
				Errors []struct {
					Jobs int `json:"jobs"`
				} `json:"errors"`
			}
			noError(t, json.Unmarshal([]byte(s.get("viewer", "/health.json?window="+window).body), &got))
			if got.Window != window || got.Totals.Ended != 3 || got.Totals.Success != 1 || got.Totals.Failed != 2 || len(got.Errors) != 1 || got.Errors[0].Jobs != 2 {
				t.Errorf("%s: %+v", window, got)
			}
		}
		metrics := s.get("viewer", "/metrics").body
		for _, line := range []string{
			`nawasync_jobs_ended_total{outcome="failed",service="whm"} 2`, `nawasync_jobs_queued{service="whm"} 0`,
			"# TYPE nawasync_jobs_ended_total counter", "# TYPE nawasync_job_run_seconds histogram",
		} {
			if !strings.Contains(metrics, line) {
				t.Errorf("the metrics lack %s:\n%s", line, metrics)
			}
		}
		page := s.get("viewer", "/health").body
		if !strings.Contains(page, "1 of 3") || !strings.Contains(page, "quota exceeded for") {
			t.Errorf("the page shows:\n%s", page)
		}
	})
}

func TestPagesReportAnUnavailableDatabaseAndRecover(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", func(c *admin.Config) { c.Timeout = 300 * time.Millisecond })
	noError(t, s.db.Exec("ALTER TABLE nawasync_jobs RENAME TO renamed").Error)
	for _, path := range []string{"/jobs", "/health", "/jobs.json", "/metrics"} {
		begin := time.Now()
		got := s.get("viewer", path)
		if got.status != http.StatusServiceUnavailable || !strings.Contains(got.body, "The database does not answer") ||
			strings.Contains(got.body, "no such table") || time.Since(begin) > 5*time.Second {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
	if got := s.get("viewer", "/health"); got.header.Get("Refresh") == "" {
		t.Error("the error page does not reload itself")
	}
	noError(t, s.db.Exec("ALTER TABLE renamed RENAME TO nawasync_jobs").Error)
	if got := s.get("viewer", "/jobs"); got.status != http.StatusOK {
		t.Errorf("status %d after the table was renamed back", got.status)
	}
	// The database does not answer in time, because its only connection is in use.
	pool, err := s.db.DB.DB()
	noError(t, err)
	pool.SetMaxOpenConns(1)
	held, err := pool.Conn(context.Background())
	noError(t, err)
	if got := s.get("viewer", "/jobs"); got.status != http.StatusServiceUnavailable || !strings.Contains(got.body, "did not answer within") {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := s.get("", "/readyz"); got.status != http.StatusServiceUnavailable {
		t.Errorf("/readyz: %d", got.status)
	}
	noError(t, held.Close())
	if got := s.get("viewer", "/jobs"); got.status != http.StatusOK {
		t.Errorf("status %d after the connection was released", got.status)
	}
}
