package admin_test

import (
	"strings"
	"testing"

	"github.com/nawasara/nawasync/internal/testdb"
)

// A page without data says what will be on it, and offers what can be done there.
func TestEmptyPagesSayWhatWillBeThereAndOfferNothingElse(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", nil)
	for path, c := range map[string]struct{ want, lacks []string }{
		"/":                  {[]string{"Nothing has run yet.", "engine.Dispatch("}, []string{"<table", "<figure"}},
		"/jobs":              {[]string{"No jobs yet.", "engine.Dispatch("}, []string{"<table"}},
		"/jobs?group=error":  {[]string{"No jobs to group. Jobs that failed or ended in conflict appear here by their error."}, []string{"<table"}},
		"/workers":           {[]string{"No process runs.", "Engine.Start"}, nil},
		"/audit":             {[]string{"No actions yet.", "reason and the result"}, []string{"Export as CSV", `name="subject"`}},
		"/audit?subject=ann": {[]string{"No entries match.", "Clear filters", `name="subject"`}, []string{"No actions yet.", "Export as CSV"}},
		"/bulk":              {[]string{"No bulk runs yet.", `href="/jobs">Open the job list`}, []string{"<table"}},
		"/bulk?action=retry&all=1&q=status:failed":               {[]string{"No jobs match", "Change the query"}, []string{"By status and service", "after job 0"}},
		"/target?service=whm&type=mailbox&instance=main&id=gone": {[]string{"This object has no history yet."}, nil},
	} {
		page := s.get("operator", path).body
		_, page, _ = strings.Cut(page, "<main")
		for _, text := range c.want {
			if !strings.Contains(page, text) {
				t.Errorf("%s lacks %q:\n%s", path, text, page)
			}
		}
		for _, text := range c.lacks {
			if strings.Contains(page, text) {
				t.Errorf("%s has %q:\n%s", path, text, page)
			}
		}
	}
	s.start()
	s.until(func() bool { return strings.Contains(s.get("operator", "/services").body, ">whm</a>") })
	_, page, _ := strings.Cut(s.get("operator", "/services").body, "<main")
	if strings.Contains(page, "<rect") || strings.Contains(page, `class="bars"`) {
		t.Errorf("a service without jobs has an empty chart:\n%s", page)
	}
}
