package admin_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin"
	"github.com/nawasara/nawasync/admin/policy"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// failures creates n failed jobs, each with its own target.
func (s *site) failures(n int) {
	s.t.Helper()
	var args []nawasync.Args
	for i := range n {
		args = append(args, chore{ID: fmt.Sprint("box", i), How: "fail"})
	}
	_, err := s.engine.DispatchMany(s.t.Context(), args, nawasync.Options{By: "user:7"})
	noError(s.t, err)
	s.until(func() bool { return s.count("status = 'failed'") == n })
}

func (s *site) count(where string) (n int) {
	noError(s.t, s.db.Raw("SELECT COUNT(*) FROM nawasync_jobs WHERE service = 'whm' AND "+where).Row().Scan(&n))
	return n
}

func (s *site) until(done func() bool) {
	s.t.Helper()
	enginetest.Eventually(s.t, 30*time.Second, "done", done)
}

// startBulkRun opens a preview and submits its form, as a browser does. It returns the preview, the
// page after it and the path of that page.
func (s *site) startBulkRun(browser *http.Client, preview string, form url.Values) (before, after, path string) {
	s.t.Helper()
	response, err := browser.Get(s.server.URL + s.prefix + preview)
	noError(s.t, err)
	body, err := io.ReadAll(response.Body)
	noError(s.t, err)
	noError(s.t, response.Body.Close())
	for _, field := range regexp.MustCompile(`<input type="hidden" name="(\w+)" value="([^"]*)"`).FindAllStringSubmatch(string(body), -1) {
		if !form.Has(field[1]) {
			form.Set(field[1], strings.NewReplacer("&#34;", `"`, "&amp;", "&", "&#43;", "+").Replace(field[2]))
		}
	}
	response, err = browser.PostForm(s.server.URL+s.prefix+"/bulk", form)
	noError(s.t, err)
	defer func() { _ = response.Body.Close() }()
	next, err := io.ReadAll(response.Body)
	noError(s.t, err)
	return string(body), string(next), strings.TrimPrefix(response.Request.URL.RequestURI(), s.prefix)
}

func TestBulkRunRetriesAllMatchingJobsAndReportsSkippedOnes(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSite(t, db, "/admin/sync", nil)
		noError(t, admin.Register(s.engine, s.enforcer))
		s.start()
		s.failures(130)
		// Three jobs cannot be retried: a later job repaired box1, the arguments of box2 are dropped, and
		// box3 is in conflict.
		s.mu.Lock()
		s.healthy = true
		s.mu.Unlock()
		s.await(s.dispatch(chore{ID: "box1"}).ID, tracker.StatusSuccess)
		noError(t, db.Exec("UPDATE nawasync_jobs SET sealed = '' WHERE target_id = 'box2'").Error)
		noError(t, db.Exec("UPDATE nawasync_jobs SET status = 'conflict' WHERE target_id = 'box3'").Error)
		browser := s.browser("operator")
		noError(t, s.engine.Pause(t.Context(), "nawasync", "", nawasync.PauseOptions{By: "test", Reason: "until there is a late one"}))
		page, _, path := s.startBulkRun(browser, "/bulk?action=retry&all=1&q="+url.QueryEscape("status:conflict,failed service:whm"),
			url.Values{"reason": {"the disk is larger now"}})
		if !strings.Contains(page, "Retry 128 jobs") || !strings.Contains(page, "the job is in conflict: resolve each conflict on the job&#39;s page") {
			t.Errorf("the preview shows:\n%s", page)
		}
		// A job that fails after the preview is not part of the run.
		late := s.await(s.dispatch(chore{ID: "late", How: "broken"}).ID, tracker.StatusFailed)
		_, err := s.engine.Resume(t.Context(), "nawasync", "", nawasync.OperatorOptions{})
		noError(t, err)
		starts, err := s.engine.Reader().AuditLog(t.Context(), tracker.AuditFilter{Action: "bulk retry"})
		noError(t, err)
		if len(starts) != 1 || starts[0].Outcome != tracker.AuditDone || starts[0].Subject != "operator" || starts[0].Reason != "the disk is larger now" ||
			!strings.HasSuffix(path, fmt.Sprint(starts[0].JobID)) || starts[0].Detail != "status:conflict,failed service:whm" {
			t.Errorf("the audit log does not show who started the run: %+v", starts)
		}
		var body string
		s.until(func() bool {
			body = s.get("operator", path).body
			return endedWell(body)
		})
		if !strings.Contains(body, `rel="next"`) || strings.Count(body, fmt.Sprintf("bulk run %s", path[strings.LastIndex(path, "/")+1:])) != 50 {
			t.Errorf("the run's page does not list the run's actions: %s", body)
		}
		for _, text := range []string{
			"127</dd>", "<dd>3</dd>", "the job&#39;s arguments are no longer stored", "a later job for the same object succeeded",
			"the disk is larger now",
		} {
			if !strings.Contains(body, text) {
				t.Errorf("the run's page lacks %q:\n%s", text, body)
			}
		}
		s.until(func() bool { return s.count("status = 'success'") == 128 })
		if n := s.count("retry_of IS NOT NULL"); n != 127 {
			t.Errorf("the run made %d retries, want 127", n)
		}
		if n := s.count(fmt.Sprintf("retry_of = %d", late.ID)); n != 0 {
			t.Error("a job from after the preview was retried")
		}
		if page := s.get("viewer", "/target?service=whm&type=mailbox&instance=main&id=box5").body; !strings.Contains(page, "the disk is larger now") {
			t.Error("the target's history does not show the action and its reason")
		}
	})
}

func TestBulkRunRequiresAReasonATypedCountAndAPermission(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", nil)
	s.start() // no process works bulk runs
	s.failures(101)
	browser := s.browser("operator")
	q := "/bulk?action=delete&all=1&q=status:failed"
	for want, form := range map[string]url.Values{
		"Enter a reason":       {"reason": {" "}, "typed": {"101"}},
		"Type 101, the number": {"reason": {"old"}, "typed": {"100"}},
		"form was incomplete":  {"reason": {"old"}, "through": {"x"}, "typed": {"101"}},
		"Invalid query":        {"reason": {"old"}, "q": {"servise:whm"}, "typed": {"101"}},
		"Unknown action":       {"reason": {"old"}, "action": {"explode"}, "typed": {"101"}},
	} {
		preview, page, _ := s.startBulkRun(browser, q, form)
		if !strings.Contains(preview, "Delete 101 jobs") || !strings.Contains(preview, "No running process handles bulk runs") {
			t.Errorf("the preview shows:\n%s", preview)
		}
		if !strings.Contains(page, want) || !strings.Contains(page, "Not done.") {
			t.Errorf("%v: the page lacks %q:\n%s", form, want, page)
		}
	}
	// A form without a typed number is rejected too.
	_, page, _ := s.startBulkRun(browser, q, url.Values{"reason": {"old"}, "typed": {""}})
	if !strings.Contains(page, "Type 101, the number") {
		t.Errorf("without a typed number the page shows:\n%s", page)
	}
	if n := s.count("1 = 1"); n != 101 {
		t.Errorf("%d jobs of whm, want 101", n)
	}
	if n := s.count("deleted_at IS NOT NULL"); n != 0 {
		t.Errorf("%d jobs are deleted, want none", n)
	}
	for subject, want := range map[string]int{"": 403, "nobody": 403, "viewer": 403, "operator": 200, "other": 200} {
		if got := s.get(subject, q); got.status != want || (subject == "other" && !strings.Contains(got.body, "so there is nothing to do")) {
			t.Errorf("the preview of %q: %d", subject, got.status)
		}
	}
	for subject, want := range map[string]int{"": 403, "nobody": 403, "viewer": 403} {
		if got := s.post(subject, "/bulk", "action", "delete", "q", "", "through", "1000", "reason", "x"); got.status != want {
			t.Errorf("starting a run as %q: %d", subject, got.status)
		}
	}
	if got := s.get("operator", "/bulk?action=retry"); got.status != http.StatusUnprocessableEntity || !strings.Contains(got.body, "No jobs selected") {
		t.Errorf("a preview without a selection: %d", got.status)
	}
}

// The operator of one service runs an action on all jobs. The run changes only jobs of that service.
func TestBulkRunChangesOnlyManageableJobsAndDeletedJobsCanBeRestored(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", nil)
	noError(t, admin.Register(s.engine, s.enforcer))
	s.start()
	s.failures(3)
	theirs := s.await(s.dispatch(elsewhere{ID: "a"}).ID, tracker.StatusSuccess)
	browser := s.browser("other")
	_, _, path := s.startBulkRun(browser, "/bulk?action=delete&all=1&q=", url.Values{"reason": {"tidy"}})
	s.until(func() bool { return endedWell(s.get("other", path).body) })
	if n := s.count("deleted_at IS NOT NULL"); n != 0 {
		t.Errorf("%d jobs of another service are deleted", n)
	}
	now, err := s.engine.Reader().Get(t.Context(), theirs.ID)
	if err != nil || now.DeletedAt.IsZero() {
		t.Fatalf("the job is %+v, %v", now, err)
	}
	if got := s.get("nobody", path); got.status != http.StatusForbidden {
		t.Errorf("the run's page for a subject without permissions: %d", got.status)
	}
	_, _, path = s.startBulkRun(browser, fmt.Sprintf("/bulk?action=restore&id=%d&q=is:deleted", theirs.ID), url.Values{"reason": {"a mistake"}})
	s.until(func() bool { return endedWell(s.get("other", path).body) })
	if now, err = s.engine.Reader().Get(t.Context(), theirs.ID); err != nil || !now.DeletedAt.IsZero() {
		t.Errorf("the job is %+v, %v", now, err)
	}
}

// stalling is an enforcer that does not answer once it was asked a number of times, so that a run stands still.
type stalling struct {
	admin.Enforcer
	left atomic.Int64
}

func (s *stalling) Refresh(ctx context.Context) (string, error) {
	if s.left.Add(-1) < 0 {
		<-ctx.Done()
		return "", context.Cause(ctx)
	}
	return "", nil
}

// If the process of a run ends, another process continues the run and retries no job twice. A run
// that an operator stops shows what it did.
func TestBulkRunContinuesInAnotherProcessAndCanBeStopped(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSite(t, db, "", nil)
		enforcer := &stalling{Enforcer: s.enforcer}
		enforcer.left.Store(40)
		noError(t, admin.Register(s.engine, enforcer))
		noError(t, s.engine.Start(t.Context()))
		s.failures(400)
		_, _, path := s.startBulkRun(s.browser("operator"), "/bulk?action=retry&all=1&q=status:failed", url.Values{"reason": {"again"}})
		s.until(func() bool { return s.count("retry_of IS NOT NULL") > 30 })
		noError(t, s.engine.Stop(context.Background()))
		next := newSite(t, db, "", nil)
		enforcer.left.Store(1000)
		noError(t, admin.Register(next.engine, enforcer))
		next.start()
		next.until(func() bool { return endedWell(next.get("operator", path).body) })
		var retried, twice int
		noError(t, db.Raw("SELECT COUNT(DISTINCT retry_of), COUNT(*) - COUNT(DISTINCT retry_of) FROM nawasync_jobs WHERE retry_of IS NOT NULL").Row().Scan(&retried,
			&twice))
		if retried != 400 || twice != 0 {
			t.Errorf("%d retried, %d twice", retried, twice)
		}
		enforcer.left.Store(40)
		_, _, path = next.startBulkRun(next.browser("operator"), "/bulk?action=retry&all=1&q=status:failed", url.Values{"reason": {"again"}})
		next.until(func() bool { return next.count("retry_of IS NOT NULL") > 430 })
		next.post("operator", path+"/stop", "back", path)
		next.until(func() bool { return shows(next.get("operator", path).body, "cancelled") })
		if page := next.get("operator", path).body; strings.Contains(page, `<dt>Succeeded</dt><dd>0</dd>`) {
			t.Errorf("the page of a stopped run does not show what it did:\n%s", page)
		}
	})
}

// If the operator's role is revoked while the run waits, the run changes nothing. Another operator
// cannot retry the run.
func TestBulkRunOfARevokedOperatorChangesNothingAndCannotBeRetried(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", nil)
	noError(t, admin.Register(s.engine, s.enforcer))
	s.start()
	s.failures(3)
	noError(t, s.engine.Pause(t.Context(), "nawasync", "", nawasync.PauseOptions{By: "test", Reason: "not yet"}))
	_, _, path := s.startBulkRun(s.browser("operator"), "/bulk?action=delete&all=1&q=status:failed", url.Values{"reason": {"tidy"}})
	noError(t, policy.Revoke(t.Context(), s.db.DB, "operator", admin.RoleOperator)) // as another process does
	_, err := s.engine.Resume(t.Context(), "nawasync", "", nawasync.OperatorOptions{})
	noError(t, err)
	s.until(func() bool { return endedWell(s.get("viewer", path).body) })
	if n := s.count("deleted_at IS NOT NULL"); n != 0 {
		t.Errorf("%d jobs are deleted, want none", n)
	}
	if page := s.get("viewer", path).body; !strings.Contains(page, "the operator no longer has permission for the job&#39;s service") {
		t.Errorf("the run's page does not show why the jobs were skipped:\n%s", page)
	}
	noError(t, policy.Grant(t.Context(), s.db.DB, "another", admin.RoleOperator))
	// A stopped run keeps its arguments, so only the check in the handler of the retry rejects it.
	noError(t, s.engine.Pause(t.Context(), "nawasync", "", nawasync.PauseOptions{By: "test", Reason: "not yet"}))
	another := s.browser("another")
	_, _, path = s.startBulkRun(another, "/bulk?action=delete&all=1&q=status:failed", url.Values{"reason": {"tidy"}})
	if page := s.follow(another, path+"/stop"); !strings.Contains(page, "Stopping… Jobs that the bulk run") {
		t.Errorf("the run was not stopped:\n%s", page)
	}
	page := s.follow(another, strings.Replace(path, "/bulk/", "/jobs/", 1)+"/retry")
	var runs int
	noError(t, s.db.Raw("SELECT COUNT(*) FROM nawasync_jobs WHERE service = 'nawasync'").Row().Scan(&runs))
	if !strings.Contains(page, "Not done.") || runs != 2 {
		t.Errorf("a run was retried, there are %d runs:\n%s", runs, page)
	}
	if admin.Register(s.engine, nil) == nil {
		t.Error("Register accepted a nil enforcer")
	}
}
