package admin_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// thousands writes a number below a million as the pages do.
func thousands(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%d,%03d", n/1000, n%1000)
}

func (s *site) setHealthy(healthy bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.healthy, s.calls = healthy, nil
}

// retryAll starts a bulk retry as a browser does, waits for its end, and returns the preview and the run's page.
func (s *site) retryAll(q string) (preview, page string) {
	s.t.Helper()
	form := url.Values{"reason": {"again"}, "typed": {"1200"}}
	preview, _, path := s.startBulkRun(s.browser("operator"), "/bulk?action=retry&all=1&q="+url.QueryEscape(q), form)
	if !strings.HasPrefix(path, "/bulk/") {
		s.t.Fatalf("the run was not started; its preview:\n%s", preview)
	}
	s.until(func() bool {
		page = s.get("operator", path).body
		return endedWell(page)
	})
	return preview, page
}

func TestBulkRetryAppliesTheNewestPasswordOnly(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSite(t, db, "", nil)
		noError(t, admin.Register(s.engine, s.enforcer))
		s.start()
		for _, password := range []string{"oldest-password", "older-password", "newest-password"} {
			s.await(s.dispatch(chore{ID: "info", How: "fail", Password: nawasync.NewSecret(password)}).ID, tracker.StatusFailed)
		}
		s.await(s.dispatch(chore{ID: "other", How: "fail", Password: nawasync.NewSecret("other-password")}).ID, tracker.StatusFailed)
		s.setHealthy(true)
		preview, page := s.retryAll("status:failed")
		if !strings.Contains(preview, "Retry 2 jobs") || !strings.Contains(preview, "only the newest is retried") {
			t.Errorf("the preview shows:\n%s", preview)
		}
		if !strings.Contains(page, "<dt>2</dt><dd>the job is an older failure of the same object and action") {
			t.Errorf("the run's page shows:\n%s", page)
		}
		s.until(func() bool { return s.count("status = 'success'") == 2 })
		s.mu.Lock()
		defer s.mu.Unlock()
		slices.Sort(s.calls)
		if !slices.Equal(s.calls, []string{"info newest-password", "other other-password"}) {
			t.Errorf("the remote received %q", s.calls)
		}
	})
}

// The query selects the older failures only. The newest wish still stands in their way.
func TestBulkRetryLeavesOutWhatALaterJobRepeats(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSite(t, db, "", nil)
		noError(t, admin.Register(s.engine, s.enforcer))
		s.start()
		fail := func(id string) int64 {
			return s.await(s.dispatch(chore{ID: id, How: "fail"}).ID, tracker.StatusFailed).ID
		}
		selected := []string{}
		for _, id := range []string{"failed", "open", "alone", "cancelled"} {
			selected = append(selected, fmt.Sprint(fail(id)))
		}
		fail("failed")
		noError(t, s.engine.Pause(t.Context(), "whm", "", nawasync.PauseOptions{By: "test"}))
		s.dispatch(chore{ID: "open"})
		_, err := s.engine.Cancel(t.Context(), s.dispatch(chore{ID: "cancelled"}).ID, nawasync.OperatorOptions{By: "test"})
		noError(t, err)
		_, page := s.retryAll("id:" + strings.Join(selected, ","))
		for _, text := range []string{
			"<dt>Succeeded</dt><dd>2</dd>", "<dt>1</dt><dd>a later job for the same object has not ended", "<dt>1</dt><dd>the job is an older failure",
		} {
			if !strings.Contains(page, text) {
				t.Errorf("the run's page lacks %q:\n%s", text, page)
			}
		}
		if n := s.count("retry_of IN (" + selected[2] + "," + selected[3] + ")"); n != 2 {
			t.Errorf("%d retries of the jobs that nothing stands in the way of, want 2", n)
		}
	})
}

func TestRepeatedBulkRetriesDoNotMultiplyFailures(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSite(t, db, "", nil)
		noError(t, admin.Register(s.engine, s.enforcer))
		s.start()
		n := 120
		if db.Dialect == "sqlite" {
			n = 1200
		}
		s.failures(n)
		for run := 1; run <= 2; run++ {
			preview, page := s.retryAll("status:failed")
			if !strings.Contains(preview, fmt.Sprintf("Retry %s jobs", thousands(n))) || !strings.Contains(page, "<dt>Succeeded</dt><dd>"+thousands(n)+"</dd>") {
				t.Errorf("run %d: the preview shows\n%s\nthe page shows\n%s", run, preview, page)
			}
			s.until(func() bool { return s.count("status = 'failed'") == n*(run+1) })
			if left := s.count("status = 'failed' AND retried_as IS NULL"); left != n {
				t.Errorf("after run %d, %d failures have no retry, want %d", run, left, n)
			}
		}
		if page := s.get("viewer", "/jobs?q="+url.QueryEscape("status:failed is:retried")).body; !strings.Contains(page, "retried as job ") {
			t.Error("the list does not say that jobs were retried")
		}
		page := s.get("viewer", "/jobs?q="+url.QueryEscape("status:conflict,failed -is:repaired -is:retried")).body
		if strings.Contains(page, "retried as job ") || !strings.Contains(page, fmt.Sprintf("/jobs/%d", s.count("1 = 1"))) {
			t.Errorf("the unresolved jobs are not the last retries:\n%s", page)
		}
	})
}

func TestBulkRunSaysWhatBecameOfTheJobsThatItMade(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSite(t, db, "", nil)
		noError(t, admin.Register(s.engine, s.enforcer))
		s.start()
		s.failures(5)
		s.await(s.dispatch(chore{ID: "box9", How: "broken"}).ID, tracker.StatusFailed)
		waiting := s.await(s.dispatch(elsewhere{ID: "zone", How: "broken"}).ID, tracker.StatusFailed)
		noError(t, s.engine.Pause(t.Context(), "cloudflare", "", nawasync.PauseOptions{By: "test"}))
		s.setHealthy(true)
		s.retryAll("status:failed")
		path := fmt.Sprintf("/bulk/%d", waiting.ID+1)
		s.until(func() bool { return s.count("status = 'success'") == 5 && s.count("status = 'failed'") == 7 })
		page := s.get("operator", path).body
		run := fmt.Sprintf("run%%3A%d", waiting.ID+1)
		for _, text := range []string{"Of 7 new jobs:", "5 succeeded", "1 failed again", "1 waiting or running", "quota exceeded for box9", run} {
			if !strings.Contains(page, text) {
				t.Errorf("the run's page lacks %q:\n%s", text, page)
			}
		}
		for q, want := range map[string]int{"status:success": 5, "status:failed": 1, "is:open": 1, "": 7} {
			list := s.get("operator", "/jobs.json?q="+url.QueryEscape(fmt.Sprintf("run:%d %s", waiting.ID+1, q))).body
			if got := strings.Count(list, `"retry_of"`); got != want {
				t.Errorf("run:… %s lists %d jobs, want %d", q, got, want)
			}
		}
		if body := s.get("other", "/jobs.json?q="+url.QueryEscape(fmt.Sprintf("run:%d", waiting.ID+1))).body; strings.Count(body, `"retry_of"`) != 1 {
			t.Errorf("a user who may view one service sees %s", body)
		}
	})
}

func TestRetryBesideALaterJobNeedsAConfirmationThatNamesIt(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", nil)
	s.start()
	first := s.await(s.dispatch(chore{ID: "a", How: "fail"}).ID, tracker.StatusFailed)
	second := s.await(s.dispatch(chore{ID: "a", How: "fail"}).ID, tracker.StatusFailed)
	path, browser := fmt.Sprintf("/jobs/%d", first.ID), s.browser("operator")
	page := s.get("operator", path).body
	if !strings.Contains(page, "A later job of the same object failed.") || !strings.Contains(page, fmt.Sprintf(`name="later" value="%d"`, second.ID)) {
		t.Errorf("the page does not warn of job %d:\n%s", second.ID, page)
	}
	if page := s.follow(browser, path+"/retry"); !strings.Contains(page, fmt.Sprintf("Job %d of the same object was dispatched later", second.ID)) {
		t.Errorf("a retry without confirmation: %s", page)
	}
	noError(t, s.engine.Pause(t.Context(), "whm", "", nawasync.PauseOptions{By: "test"}))
	third := s.dispatch(chore{ID: "a", How: "fail"})
	page = s.follow(browser, path+"/retry", "force", "yes", "later", fmt.Sprint(second.ID))
	if !strings.Contains(page, fmt.Sprintf("Job %d of the same object was dispatched in the meantime", third.ID)) {
		t.Errorf("a retry that was confirmed before job %d: %s", third.ID, page)
	}
	page = s.follow(browser, path+"/retry", "force", "yes", "later", fmt.Sprint(third.ID))
	if !strings.Contains(page, fmt.Sprintf("Retried as job %d", third.ID+1)) {
		t.Errorf("a confirmed retry: %s", page)
	}
	page = s.get("operator", path).body
	for _, text := range []string{fmt.Sprintf("Retried as job %d: queued.", third.ID+1), "This job is being retried:"} {
		if !strings.Contains(page, text) {
			t.Errorf("the page of the retried job lacks %q:\n%s", text, page)
		}
	}
	if csv := s.get("operator", "/jobs.csv?q=is:retried").body; !strings.Contains(csv, "retried_as") || !strings.Contains(csv, fmt.Sprintf(",%d\n", third.ID+1)) {
		t.Errorf("the export does not name the retry:\n%s", csv)
	}
}
