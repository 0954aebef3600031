package admin_test

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

const secretText = "hunter2-is-the-secret"

func TestSecretsAppearOnNoPageExportOrLog(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSite(t, db, "", nil)
		s.start()
		job := s.await(s.dispatch(chore{ID: "a", How: "fail", Password: nawasync.NewSecret(secretText)}).ID, tracker.StatusFailed)
		for _, path := range []string{
			"/jobs", "/jobs.csv", "/jobs.json", fmt.Sprintf("/jobs/%d", job.ID), fmt.Sprintf("/jobs/%d?stack=full", job.ID), fmt.Sprintf("/jobs/%d.json", job.ID),
			"/", "/health.json", "/metrics",
			"/services/whm", "/target?service=whm&type=mailbox&instance=main&id=a", "/audit", "/jobs?q=error:hunter2", "/jobs?q=status:x",
		} {
			got := s.get("operator", path)
			if strings.Contains(got.body, secretText) {
				t.Errorf("%s shows the secret", path)
			}
			if path == "/jobs.csv" && !strings.Contains(got.body, "quota exceeded for a, password was ***") {
				t.Errorf("the export lacks the redacted error: %s", got.body)
			}
		}
		if got := s.get("operator", "/jobs?q=error:hunter2"); !strings.Contains(got.body, "No jobs match.") {
			t.Error("a secret can be searched for")
		}
		if strings.Contains(s.log.String(), secretText) {
			t.Error("the log has the secret")
		}
	})
}

const hostile = `"><script>alert(1)</script>'; DROP TABLE nawasync_jobs; -- ` + "\u202eevil\u202c 💥 /../%2e%2e/"

func TestHostileStringsAreEscapedEverywhere(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSite(t, db, "/admin/sync", nil)
		s.start()
		job := s.await(s.dispatch(chore{ID: hostile, How: "fail"}).ID, tracker.StatusFailed)
		target := "/target?" + url.Values{"service": {"whm"}, "type": {"mailbox"}, "instance": {"main"}, "id": {hostile}}.Encode()
		for _, path := range []string{
			"/jobs", fmt.Sprintf("/jobs/%d", job.ID), "/", target, "/audit", "/services/whm",
			"/jobs?q=" + url.QueryEscape(hostile), "/jobs?q=" + url.QueryEscape(`target:"`+strings.ReplaceAll(hostile, `"`, `\"`)+`"`), "/jobs?form=1&target=" +
				url.QueryEscape(hostile),
			"/?window=" + url.QueryEscape(hostile), "/audit?subject=" + url.QueryEscape(hostile), "/jobs?before=" + url.QueryEscape(hostile) + "&n=x",
		} {
			got := s.get("operator", path)
			if strings.Contains(got.body, "<script>alert") || got.status >= 500 {
				t.Errorf("%s: %d", path, got.status)
			}
			if strings.Contains(path, "target%3A") && !strings.Contains(got.body, fmt.Sprintf("/jobs/%d\"", job.ID)) {
				t.Errorf("%s does not find the job", path)
			}
		}
		if page := s.get("operator", target).body; !strings.Contains(page, fmt.Sprintf("Job %d", job.ID)) {
			t.Error("the target's page does not show its job")
		}
		found := regexp.MustCompile(`class="target" href="([^"]+)"`).FindStringSubmatch(s.get("operator", fmt.Sprintf("/jobs/%d", job.ID)).body)
		if found == nil || !strings.Contains(s.get("operator", strings.TrimPrefix(strings.ReplaceAll(found[1], "&amp;", "&"), "/admin/sync")).body,
			fmt.Sprintf("Job %d", job.ID)) {
			t.Errorf("the job's page links to its target with %q", found)
		}
	})
}
