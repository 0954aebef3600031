package admin_test

import (
	"html"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin"
	"github.com/nawasara/nawasync/admin/policy"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

func TestBulkRunOfASelectionThatGrewIsRefusedWithTheNewNumber(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", nil)
	s.start() // no process works bulk runs
	early := s.await(s.dispatch(chore{ID: "early"}).ID, tracker.StatusSuccess)
	s.failures(101)
	browser := s.browser("operator")
	const q = "/bulk?action=delete&all=1&q=status:failed"
	// The early job is not newer than the preview, and joins the selection after it.
	hide, show := "UPDATE nawasync_jobs SET status = 'success' WHERE id = ?", "UPDATE nawasync_jobs SET status = 'failed' WHERE id = ?"
	noError(t, s.db.Exec(show, early.ID).Error)
	preview, page, _ := s.startBulkRun(browser, q, url.Values{"reason": {"old"}, "typed": {"101"}, "must": {"101"}})
	if !strings.Contains(preview, "Delete 102 jobs") || !strings.Contains(page, "Type 102, the number of jobs, to confirm") {
		t.Errorf("with the number of an older preview the page shows:\n%s", page)
	}
	if n := s.count("1 = 2 OR type = 'bulk'"); n != 0 {
		t.Errorf("%d bulk runs were started, want none", n)
	}
	noError(t, s.db.Exec(hide, early.ID).Error)
	if _, _, path := s.startBulkRun(browser, q, url.Values{"reason": {"old"}, "typed": {"102"}}); !strings.HasPrefix(path, "/bulk/") {
		t.Errorf("after one job left the selection, the run was not started: %s", path)
	}
}

// previewForm returns the hidden fields of the form of an operator's preview.
func (s *site) previewForm(preview string) url.Values {
	s.t.Helper()
	form, page := url.Values{}, s.get("operator", preview).body
	for _, field := range regexp.MustCompile(`<input type="hidden" name="(\w+)" value="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		form.Set(field[1], html.UnescapeString(field[2]))
	}
	form.Set("reason", "old")
	return form
}

// sendBulk sends the form of a preview and reports whether the run was started.
func (s *site) sendBulk(subject string, form url.Values, changes ...string) bool {
	s.t.Helper()
	form = maps.Clone(form)
	form.Del("token") // request adds another, as a page does that is loaded again
	for i := 0; i+1 < len(changes); i += 2 {
		form.Set(changes[i], changes[i+1])
	}
	return strings.HasPrefix(s.request(subject, http.MethodPost, "/bulk", form, nil).header.Get("Location"), "/bulk/")
}

func TestNumberOfThePreviewIsAcceptedAlthoughManyJobsHaveLeftTheSelection(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", nil)
	s.start() // no process works bulk runs
	s.failures(170)
	form := s.previewForm("/bulk?action=delete&all=1&q=status:failed")
	noError(t, policy.Grant(t.Context(), s.db.DB, "another", admin.RoleOperator))
	noError(t, s.db.Exec("UPDATE nawasync_jobs SET status = 'success' WHERE target_id LIKE 'box11_' OR target_id LIKE 'box12_' OR target_id LIKE 'box13_'").Error)
	for name, changes := range map[string][]string{
		"a number that no preview has shown": {"typed", "9999999", "shown", "9999999"},
		"a number without its proof":         {"typed", "170", "proof", ""},
		"the word of another preview":        {"typed", "all", "shown", "all"},
		"the proof of another query":         {"typed", "170", "q", "status:failed type:mailbox"},
		"the proof of another time":          {"typed", "170", "at", time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)},
		"the proof of another newest job":    {"typed", "170", "through", "100000"},
	} {
		if s.sendBulk("operator", form, changes...) {
			t.Errorf("%s was accepted", name)
		}
	}
	if s.sendBulk("another", form, "typed", "170") {
		t.Error("the proof of another operator was accepted")
	}
	s.renew() // another process, which reads the key from the database
	if !s.sendBulk("operator", form, "typed", "170") {
		t.Error("the number of the preview was refused, although fewer jobs match now")
	}
}

// The preview has more jobs than it counts. When the form arrives, it has fewer, or the other way round.
func TestConfirmationDoesNotDependOnWhetherTheCountWasComplete(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", func(c *admin.Config) { c.Timeout = time.Minute }) // so that only the number ends a count
	noError(t, s.db.Exec(`WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 20600)
 INSERT INTO nawasync_jobs (target_key, lane, not_before, due_at, created_at, updated_at, finished_at, epoch, in_lane,
 attempt, max_attempts, status, service, type, action, instance, target_id, queue, triggered_by, trigger_source, error)
 SELECT n, n, 0, 0, 1, 0, 1, 0, FALSE, 1, 3, 'failed', 'whm', 'mailbox', 'update', 'main', 'box', 'default', 'user:1', 'manual', 'x' FROM numbers`).Error)
	const q = "/bulk?action=delete&all=1&q=status:failed"
	few, many := "UPDATE nawasync_jobs SET status = 'success' WHERE id <= 1200", "UPDATE nawasync_jobs SET status = 'failed'"
	incomplete := s.previewForm(q)
	if page := s.get("operator", q).body; !strings.Contains(page, "Type “all” to confirm") {
		t.Errorf("the preview of many jobs shows:\n%s", page)
	}
	noError(t, s.db.Exec(few).Error)
	complete := s.previewForm(q)
	if complete.Get("shown") != "19400" {
		t.Fatalf("the preview shows %s jobs, want 19400", complete.Get("shown"))
	}
	if !s.sendBulk("operator", incomplete, "typed", "all") {
		t.Error("what the preview of more jobs has asked for was refused when all could be counted")
	}
	noError(t, s.db.Exec(many).Error)
	if s.sendBulk("operator", complete, "typed", "19400") {
		t.Error("a run was started over more jobs than the preview has shown")
	}
	if s.sendBulk("operator", incomplete, "typed", "20000") {
		t.Error("a number was accepted for jobs that cannot be counted")
	}
	if !s.sendBulk("operator", incomplete, "typed", "all") {
		t.Error("what the preview has asked for was refused")
	}
}

func TestBulkRunChangesNoMoreJobsThanWereConfirmed(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSite(t, db, "", nil)
		noError(t, admin.Register(s.engine, s.enforcer))
		s.start()
		early := s.await(s.dispatch(chore{ID: "early"}).ID, tracker.StatusSuccess)
		s.failures(101)
		noError(t, s.engine.Pause(t.Context(), "nawasync", "", nawasync.PauseOptions{By: "test", Reason: "not yet"}))
		_, _, path := s.startBulkRun(s.browser("operator"), "/bulk?action=delete&all=1&q=status:failed", url.Values{"reason": {"old"}, "typed": {"101"}})
		noError(t, db.Exec("UPDATE nawasync_jobs SET status = 'failed' WHERE id = ?", early.ID).Error) // joins the selection
		_, err := s.engine.Resume(t.Context(), "nawasync", "", nawasync.OperatorOptions{})
		noError(t, err)
		var page string
		s.until(func() bool {
			page = s.get("operator", path).body
			return endedWell(page)
		})
		if n := s.count("deleted_at IS NOT NULL"); n != 101 || !strings.Contains(page, "the run has changed as many jobs as were confirmed") {
			t.Errorf("the run deleted %d jobs, want 101:\n%s", n, page)
		}
	})
}
