package admin_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

func TestOverviewJSONAndMetricsShowTheSameFigures(t *testing.T) {
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
			if got.Window != window || got.Totals.Ended != 3 || got.Totals.Success != 1 || got.Totals.Failed != 2 || len(got.Errors) != 1 ||
				got.Errors[0].Jobs != 2 {
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
		page := s.get("viewer", "/").body
		if !strings.Contains(page, "1 of 3") || !strings.Contains(page, "quota exceeded for") {
			t.Errorf("the page shows:\n%s", page)
		}
	})
}

func TestPagesReportAnUnavailableDatabaseAndRecover(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", func(c *admin.Config) { c.Timeout = 300 * time.Millisecond })
	noError(t, s.db.Exec("ALTER TABLE nawasync_jobs RENAME TO renamed").Error)
	for _, path := range []string{"/jobs", "/", "/jobs.json", "/metrics"} {
		begin := time.Now()
		got := s.get("viewer", path)
		if got.status != http.StatusServiceUnavailable || !strings.Contains(got.body, "The database does not answer") ||
			strings.Contains(got.body, "no such table") || time.Since(begin) > 5*time.Second {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
	if got := s.get("viewer", "/"); got.header.Get("Refresh") == "" {
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

func TestOldAddressOfTheOverviewLeadsToItWithTheQuery(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "/admin/sync", nil)
	for path, want := range map[string]string{"/health": "/admin/sync/", "/health?window=7d&x=%2F": "/admin/sync/?window=7d&x=%2F"} {
		if got := s.get("viewer", path); got.status != http.StatusMovedPermanently || got.header.Get("Location") != want {
			t.Errorf("%s: %d to %q, want %q", path, got.status, got.header.Get("Location"), want)
		}
	}
}

func TestOverviewBeforeTheFirstJobShowsHowToGetOne(t *testing.T) {
	t.Parallel()
	w := newClockedSite(t, testdb.SQLite(t))
	if page := w.get("viewer", "/").body; !strings.Contains(page, "engine.Dispatch(ctx") ||
		strings.Contains(page, "<h2") && strings.Contains(page, `id="services"`) {
		t.Errorf("the page shows:\n%s", page)
	}
	w.dispatch(chore{ID: "a"})
	if page := w.get("viewer", "/").body; strings.Contains(page, "engine.Dispatch(ctx") || !strings.Contains(page, `id="services"`) {
		t.Errorf("the page shows:\n%s", page)
	}
}

func TestOverviewSaysWhichPartsCannotBeReadAndShowsTheOthers(t *testing.T) {
	t.Parallel()
	for table, want := range map[string]string{
		"nawasync_error_stats":  "The failures could not be read.",
		"nawasync_schedules":    "The problems could not be read.",
		"nawasync_last_success": "Some figures of the services could not be read.",
		"nawasync_processes":    "The problems could not be read.",
	} {
		t.Run(table, func(t *testing.T) {
			t.Parallel()
			w := newClockedSite(t, testdb.SQLite(t))
			w.ended(tracker.StatusSuccess, 1234, w.now().Add(-time.Minute))
			if before := w.get("viewer", "/?window=1h").body; !strings.Contains(before, ">1,234</a>") || strings.Contains(before, "could not be read") {
				t.Fatalf("before, the page shows:\n%s", before)
			}
			w.exec("ALTER TABLE " + table + " RENAME TO renamed")
			page := w.get("viewer", "/?window=1h")
			if page.status != http.StatusOK || !strings.Contains(page.body, want) || !strings.Contains(page.body, ">1,234</a>") ||
				strings.Contains(page.body, "no such table") {
				t.Errorf("%d:\n%s", page.status, page.body)
			}
			if strings.Contains(page.body, "No problems") == (table != "nawasync_error_stats") {
				t.Errorf("the page claims to know of all problems, or not to:\n%s", page.body)
			}
			if !strings.Contains(w.log.String(), "no such table") {
				t.Error("the log lacks the error")
			}
			if got := w.get("viewer", "/health.json?window=1h"); got.status != http.StatusServiceUnavailable {
				t.Errorf("/health.json answers %d although a part is missing", got.status)
			}
		})
	}
}

func TestProblemOffersItsNextStepToThoseWhoMayTakeIt(t *testing.T) {
	t.Parallel()
	w := newClockedSite(t, testdb.SQLite(t))
	noError(t, w.engine.Pause(t.Context(), "whm", "main", nawasync.PauseOptions{By: "ann", Reason: "the rack moves"}))
	page := w.get("viewer", "/").body
	if strings.Contains(page, "/services/whm/resume") || !strings.Contains(page, `<a class="button" href="/services/whm">`) ||
		!strings.Contains(page, "1 problem: 1 warning") {
		t.Errorf("a viewer sees:\n%s", page)
	}
	if page := w.get("operator", "/").body; !strings.Contains(page, `action="/services/whm/resume"`) {
		t.Errorf("an operator sees:\n%s", page)
	}
	if got := w.post("operator", "/services/whm/resume", "instance", "main", "back", "/"); got.status != http.StatusSeeOther ||
		got.header.Get("Location") != "/" {
		t.Errorf("the form answers %d to %q", got.status, got.header.Get("Location"))
	}
	if page := w.get("operator", "/").body; !strings.Contains(page, "No problems.") {
		t.Errorf("after the service was resumed, an operator sees:\n%s", page)
	}
}

func TestOverviewSaysSinceWhenNoJobHasFailed(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", nil)
	s.start()
	s.await(s.dispatch(chore{ID: "a"}).ID, tracker.StatusSuccess)
	if page := s.get("viewer", "/").body; !strings.Contains(page, "No problems. No job failed in the last 24h.") {
		t.Errorf("the page shows:\n%s", page)
	}
	failed := s.await(s.dispatch(chore{ID: "b", How: "fail"}).ID, tracker.StatusFailed)
	page := s.get("viewer", "/").body
	if want := "No problems. No job has failed since " + failed.FinishedAt.UTC().Format("15:04:05") + "."; !strings.Contains(page, want) {
		t.Errorf("the page lacks %q:\n%s", want, page)
	}
	if strings.Contains(page, "/bulk?action=retry") {
		t.Error("a viewer is offered a retry")
	}
	if page := s.get("operator", "/").body; !strings.Contains(page, "/bulk?action=retry&amp;all=1&amp;q=group") {
		t.Error("an operator is not offered a retry of the group")
	}
}
