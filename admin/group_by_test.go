package admin_test

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin"
	"github.com/nawasara/nawasync/admin/policy"
	"github.com/nawasara/nawasync/internal/testdb"
)

// groupLine is a line of the grouped list.
type groupLine struct {
	query string
	jobs  int
}

// groupLines returns the lines of the grouped list.
func groupLines(t *testing.T, page string) (lines []groupLine) {
	t.Helper()
	_, table, _ := strings.Cut(page, `<table class="groups">`)
	for _, row := range regexp.MustCompile(`(?s)<tr data-key=.*?</tr>`).FindAllString(table, -1) {
		link := regexp.MustCompile(`</span> <a href="([^"]*)"`).FindStringSubmatch(row)
		count := regexp.MustCompile(`data-label="Jobs" class="number">([\d,]+)<`).FindStringSubmatch(row)
		if link == nil || count == nil {
			t.Fatalf("a line without a link or a number: %s", row)
		}
		u, err := url.Parse(html.UnescapeString(link[1]))
		noError(t, err)
		n, err := strconv.Atoi(strings.ReplaceAll(count[1], ",", ""))
		noError(t, err)
		lines = append(lines, groupLine{u.Query().Get("q"), n})
	}
	return lines
}

func TestGroupedListHasTheNumbersOfTheListsItLeadsToForEverySubject(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		b := errorHistory(t, db, 120)
		s := newSiteOf(t, db, "", func(c *nawasync.Config) { c.Now = b.Now }, nil)
		for _, permission := range []string{admin.PermissionView, admin.PermissionManage} {
			noError(t, policy.Add(t.Context(), db.DB, policy.Rule{Subject: "tenant", Service: "whm", Instance: "second", Permission: permission}))
		}
		for _, subject := range []string{"operator", "other", "tenant"} {
			for _, q := range []string{"", "since:3d", "status:failed", "error:quota", "-instance:main ended:4d", "is:deleted"} {
				for group, restriction := range map[string]string{"error": " status:failed,conflict", "object": "", "service": ""} {
					s.renew() // gives the subject a new quota of searches
					got := s.get(subject, "/jobs?n=100&group="+group+"&q="+url.QueryEscape(q))
					if got.status != http.StatusOK {
						t.Fatalf("%s by %s for %s: status %d", q, group, subject, got.status)
					}
					all := len(listedIDs(t, s, subject, q+restriction))
					sum := 0
					for _, line := range groupLines(t, got.body) {
						if sum += line.jobs; group == "object" && line.jobs == 1 && sum%7 != 0 {
							continue // each object of the history has one job
						}
						s.renew()
						if n := len(listedIDs(t, s, subject, line.query)); n != line.jobs {
							t.Errorf("%q by %s for %s: %d jobs lead to %d of %q", q, group, subject, line.jobs, n, line.query)
						}
					}
					if more := strings.Contains(got.body, "groups are listed."); !more && sum != all {
						t.Errorf("%q by %s for %s: the groups have %d jobs, the list %d", q, group, subject, sum, all)
					}
				}
			}
		}
	})
}

func TestGroupedListOffersARetryToThoseWhoMayRetry(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", nil)
	s.start()
	s.failures(3)
	for group, q := range map[string]string{
		"error": "status:failed group:", "object": "status:failed service:whm", "service": "status:failed service:whm instance:main",
	} {
		for subject, want := range map[string]bool{"operator": true, "viewer": false} {
			page := s.get(subject, "/jobs?group="+group).body
			link := regexp.MustCompile(`href="(/bulk\?action=retry&amp;all=1&amp;q=[^"]*)"`).FindStringSubmatch(page)
			if (link != nil) != want {
				t.Fatalf("by %s, a retry is offered to %s: %t\n%s", group, subject, link != nil, page)
			}
			if !want {
				continue
			}
			preview, err := url.Parse(html.UnescapeString(link[1]))
			noError(t, err)
			if got := s.get(subject, preview.String()); got.status != http.StatusOK || !strings.HasPrefix(preview.Query().Get("q"), q) {
				t.Errorf("by %s, the preview of %s answers %d", group, preview.Query().Get("q"), got.status)
			}
		}
	}
}

func TestGroupingStaysWhenTheQueryChanges(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", nil)
	s.dispatch(elsewhere{ID: "someone@example.org"})
	page := s.get("operator", "/jobs?group=object").body
	if !strings.Contains(page, `href="/jobs?group=object&amp;q=status%3Aqueued"`) || !strings.Contains(page, `name="group" value="object"`) {
		t.Error("the tabs or the forms lose the grouping")
	}
	if !strings.Contains(page, `href="/jobs?q=service%3Acloudflare+type%3Arecord+instance%3A%22%22+target%3Asomeone%40example.org"`) {
		t.Error("the group of an object without an instance leads elsewhere")
	}
	if got := s.get("operator", "/jobs?form=1&group=object&status=queued").header.Get("Location"); got != "/jobs?group=object&q=status%3Aqueued" {
		t.Errorf("the form redirects to %s", got)
	}
	if page := s.get("operator", "/jobs?group=error").body; !strings.Contains(page, "No jobs to group.") {
		t.Error("a list without errors does not say so")
	}
	if page := s.get("operator", "/jobs?group=colour").body; !strings.Contains(page, "/jobs/1\"") {
		t.Error("an unknown grouping hides the list")
	}
}
