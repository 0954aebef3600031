package admin_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/nawasara/nawasync/admin"
	"github.com/nawasara/nawasync/admin/policy"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// postIDs sends the form of several conflicts as a browser does, and returns the page that follows.
func (s *site) postIDs(subject string, answer, confirm string, job *tracker.Job, ids ...int64) (status int, page string) {
	s.t.Helper()
	form := url.Values{"job": {fmt.Sprint(job.ID)}, "answer": {answer}, "confirm": {confirm}, "reason": {"agreed"}}
	for _, id := range ids {
		form.Add("id", fmt.Sprint(id))
	}
	response, err := s.browser(subject).PostForm(s.server.URL+s.prefix+"/conflicts", withToken(form))
	noError(s.t, err)
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	noError(s.t, err)
	return response.StatusCode, string(body)
}

func TestSeveralConflictsAreAnsweredAlike(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := newHostOf(t, db, 5, withQuota)
		var jobs []*tracker.Job
		for i := range 4 {
			jobs = append(jobs, h.conflict(i))
		}
		path := fmt.Sprintf("/conflicts?job=%d", jobs[0].ID)
		page := text(h.get("operator", path).body)
		if n := strings.Count(page, `<mark><bdi title="300">300 MB</bdi></mark>`); n != 4 {
			t.Errorf("the page shows %d conflicts:\n%s", n, page)
		}
		if got := h.get("viewer", path); got.status != http.StatusForbidden {
			t.Errorf("the page for a viewer: %d", got.status)
		}
		if status, _ := h.postIDs("viewer", "keep_theirs", "yes", jobs[0], jobs[0].ID); status != http.StatusForbidden {
			t.Errorf("the form of a viewer: %d", status)
		}
		if _, page := h.postIDs("operator", "overwrite", "", jobs[0], jobs[0].ID); !strings.Contains(page, "Tick the box") || len(h.related(jobs[0])) != 1 {
			t.Errorf("an answer that was not confirmed:\n%s", page)
		}
		h.post("operator", fmt.Sprintf("/jobs/%d/keep_theirs", jobs[3].ID)) // somebody else answers one meanwhile
		_, page = h.postIDs("operator", "overwrite", "yes", jobs[0], jobs[0].ID, jobs[1].ID, jobs[3].ID)
		if !strings.Contains(page, "2 conflicts were answered. 1 was not:") || !strings.Contains(page, "Somebody has answered this conflict in the meantime.") {
			t.Errorf("after the answers, the page shows:\n%s", page)
		}
		for i, quota := range []int{500, 500, 300, 300} {
			if related := h.related(jobs[i]); i != 2 {
				h.await(related[0].ID, tracker.StatusSuccess)
			} else if len(related) != 1 {
				t.Errorf("a conflict that was not selected was answered")
			}
			if got := h.server.Quota(address(i)); got != quota {
				t.Errorf("the server has the quota %d for %s, want %d", got, address(i), quota)
			}
		}
		entries, err := h.engine.Reader().AuditLog(t.Context(), tracker.AuditFilter{Action: "overwrite", Limit: 10})
		noError(t, err)
		done := 0
		for _, e := range entries {
			if e.Outcome == tracker.AuditDone && e.Reason == "agreed" {
				done++
			}
		}
		if done != 2 {
			t.Errorf("the audit log has %+v", entries)
		}
		if page := h.get("operator", path).body; strings.Count(page, `name="id"`) != 1 || !strings.Contains(page, address(2)) {
			t.Errorf("the answered conflicts are still there:\n%s", page)
		}
	})
}

func TestRefusedAnswerIsRecordedUnderTheConflictThatWasAskedFor(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := newHost(t, db, 2)
		noError(t, policy.Add(t.Context(), db.DB, policy.Rule{Subject: "other", Service: "whm", Permission: admin.PermissionView}))
		noError(t, policy.Add(t.Context(), db.DB, policy.Rule{Subject: "other", Service: "cloudflare", Permission: admin.PermissionManage}))
		own := h.dispatch(elsewhere{ID: "record.example.org"})
		first, second := h.conflict(0), h.conflict(1)
		if status, page := h.postIDs("other", "keep_theirs", "", own, first.ID); status != http.StatusForbidden || !strings.Contains(page, "sync.job.manage on whm") {
			t.Fatalf("the form for another service: %d\n%s", status, page)
		}
		h.postIDs("operator", "overwrite", "", first, second.ID) // not confirmed
		for action, want := range map[string]int64{"keep_theirs": first.ID, "overwrite": second.ID} {
			entries, err := h.engine.Reader().AuditLog(t.Context(), tracker.AuditFilter{Action: action})
			noError(t, err)
			if len(entries) != 1 || entries[0].JobID != want || entries[0].Service != "whm" || entries[0].TargetID == "" {
				t.Errorf("%s: the audit log has %+v, want one entry about job %d", action, entries, want)
			}
		}
	})
}

func TestNextConflictIsAnUnresolvedOneOfTheSameKind(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := newHost(t, db, 3)
		first, second, third := h.conflict(0), h.conflict(1), h.conflict(2)
		next := func(job *tracker.Job) string {
			_, after, _ := strings.Cut(h.get("operator", fmt.Sprintf("/jobs/%d", job.ID)).body, `<a rel="next" href="`)
			to, _, _ := strings.Cut(after, `"`)
			return strings.TrimPrefix(to, "/admin/sync")
		}
		path := func(job *tracker.Job) string { return fmt.Sprintf("/jobs/%d", job.ID) }
		if next(third) != path(second) || next(second) != path(first) || next(first) != path(third) {
			t.Errorf("next: %s, %s, %s", next(third), next(second), next(first))
		}
		h.post("operator", path(second)+"/keep_theirs")
		if next(third) != path(first) {
			t.Errorf("after the second was answered, the next one of the third is %s", next(third))
		}
		h.post("operator", path(first)+"/keep_theirs")
		if next(third) != "" {
			t.Errorf("the last conflict leads to %s", next(third))
		}
	})
}
