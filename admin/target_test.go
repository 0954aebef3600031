package admin_test

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

func TestApplicationLabelsActionsAndAddsSafeLinks(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", func(c *admin.Config) {
		c.ActionLabel = func(k nawasync.Kind) string { return map[string]string{"whm": "Ubah kuota"}[k.Service] }
		c.JobLinks = func(j *tracker.Job) []admin.Link {
			return []admin.Link{
				{Name: "The <customer>", URL: "/customers/" + url.PathEscape(j.TargetID)},
				{Name: "Logs", URL: "https://logs.example.org/?q=1"},
				{Name: "Bad", URL: "javascript:alert(1)"},
				{Name: "Worse", URL: "data:text/html,x"},
			}
		}
	})
	ours, theirs := s.dispatch(chore{ID: "a/b"}), s.dispatch(elsewhere{ID: "c"})
	page := s.get("viewer", fmt.Sprintf("/jobs/%d", ours.ID)).body
	for _, want := range []string{"Ubah kuota", `href="/customers/a%2Fb"`, "The &lt;customer&gt;", `href="https://logs.example.org/?q=1"`} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s: %s", want, page)
		}
	}
	if strings.Contains(page, "javascript:") || strings.Contains(page, "data:text") || strings.Contains(page, "Worse") {
		t.Error("the page has a link that runs a script")
	}
	if list := s.get("viewer", "/jobs").body; !strings.Contains(list, "Ubah kuota") {
		t.Error("the list does not show the label of the action")
	}
	if page := s.get("viewer", fmt.Sprintf("/jobs/%d", theirs.ID)).body; !strings.Contains(page, "update <bdi>c</bdi>") {
		t.Errorf("the page of an action without a label: %s", page)
	}
}

// Every audit entry of a target is on exactly one page of its history.
func TestTargetHistoryShowsEveryActionOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", nil)
	for i := range 120 {
		s.dispatch(chore{ID: "a"})
		noError(t, enginetest.Store(s.engine).AppendAudit(t.Context(), tracker.AuditEntry{
			Subject: "operator", Action: fmt.Sprintf("act-%03d", i),
			Outcome: tracker.AuditDone, Service: "whm", Type: "mailbox", Instance: "main", TargetID: "a",
		}))
	}
	seen := map[string]int{}
	path := "/target?service=whm&type=mailbox&instance=main&id=a"
	for pages := 1; ; pages++ {
		body := s.get("viewer", path).body
		for _, action := range regexp.MustCompile(`act-\d{3}`).FindAllString(body, -1) {
			seen[action]++
		}
		older := regexp.MustCompile(`href="([^"]+)" rel="next"`).FindStringSubmatch(body)
		if older == nil {
			if pages != 3 || len(seen) != 120 {
				t.Errorf("%d actions on %d pages", len(seen), pages)
			}
			break
		}
		path = strings.ReplaceAll(older[1], "&amp;", "&")
	}
	for action, n := range seen {
		if n != 1 {
			t.Errorf("%s is shown %d times", action, n)
		}
	}
}
