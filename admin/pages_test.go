package admin_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync/admin"
	"github.com/nawasara/nawasync/internal/testdb"
)

// follow submits a form as a browser does, and returns the page after the redirect.
func (s *site) follow(browser *http.Client, path string, form ...string) string {
	s.t.Helper()
	values := url.Values{"back": {s.prefix + strings.TrimRight(path[:strings.LastIndex(path, "/")], "/")}}
	for i := 0; i+1 < len(form); i += 2 {
		values.Set(form[i], form[i+1])
	}
	response, err := browser.PostForm(s.server.URL+s.prefix+path, withToken(values))
	noError(s.t, err)
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	noError(s.t, err)
	return string(body)
}

func TestPagesWorkUnderAnyPrefixAndBehindStripPrefix(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "/admin/sync", nil)
	job := s.dispatch(chore{ID: "a"})
	stripped := http.NewServeMux()
	stripped.Handle("/admin/sync/", http.StripPrefix("/admin/sync", s.handlers))
	inner := httptest.NewServer(stripped)
	t.Cleanup(inner.Close)
	bare := newSite(t, s.db, "", nil)
	for base, prefix := range map[string]string{s.server.URL: "/admin/sync", inner.URL: "/admin/sync", bare.server.URL: ""} {
		seen := map[string]bool{}
		links := []string{prefix + "/jobs", prefix + "/", prefix + "/services", prefix + "/audit", prefix + fmt.Sprintf("/jobs/%d", job.ID)}
		for len(links) > 0 {
			link := links[0]
			links = links[1:]
			if seen[link] || len(seen) > 80 {
				continue
			}
			seen[link] = true
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+link, nil)
			noError(t, err)
			request.Header.Set("X-Subject", "operator")
			response, err := http.DefaultClient.Do(request)
			noError(t, err)
			body, err := io.ReadAll(response.Body)
			noError(t, err)
			noError(t, response.Body.Close())
			if response.StatusCode != http.StatusOK {
				t.Errorf("%s%s: %d", base, link, response.StatusCode)
			}
			if !strings.HasPrefix(response.Header.Get("Content-Type"), "text/html") {
				continue
			}
			for _, found := range regexp.MustCompile(`(?:href|src|action)="([^"#]+)"`).FindAllStringSubmatch(string(body), -1) {
				to := strings.ReplaceAll(found[1], "&amp;", "&")
				if !strings.HasPrefix(to, prefix+"/") {
					t.Errorf("%s%s leads out of the prefix: %s", base, link, to)
				}
				if !strings.Contains(to, "/preferences") && !regexp.MustCompile(`/jobs/\d+/\w+$|/(pause|resume|sync|views|conflicts|refresh|run_schedule|pause_schedule)$`).MatchString(to) {
					links = append(links, to)
				}
			}
		}
		if len(seen) < 20 {
			t.Errorf("%s: only %d links", base, len(seen))
		}
	}
}

func TestBackRedirectsOnlyToThesePages(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "/admin/sync", nil)
	for _, to := range []string{
		"https://evil.example/", "//evil.example/admin/sync/", `/\evil.example`, "/elsewhere", "javascript:alert(1)",
		"/admin/sync/../x\\",
	} {
		if got := s.post("viewer", "/preferences", "back", to, "theme", "dark"); got.header.Get("Location") != "/admin/sync/jobs" {
			t.Errorf("%s leads to %s", to, got.header.Get("Location"))
		}
	}
}

func TestTimesAreInTheZoneOfTheReader(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", func(c *admin.Config) { c.Location = time.FixedZone("UTC+07:00", 7*3600) })
	job := s.dispatch(chore{ID: "a"})
	path := fmt.Sprintf("/jobs/%d", job.ID)
	if page := s.get("viewer", path).body; !strings.Contains(page, job.CreatedAt.In(time.FixedZone("", 7*3600)).Format("2006-01-02 15:04:05 +07:00")) {
		t.Error("the page does not use the zone of Config.Location")
	}
	for zone, found := range map[string]bool{"America/New_York": true, "../etc/passwd": false, "Local": false} {
		page := s.request("viewer", http.MethodGet, path, nil, map[string]string{"Cookie": "nawasync_zone=" + url.QueryEscape(zone)}).body
		location := time.FixedZone("", 7*3600)
		if found {
			var err error
			location, err = time.LoadLocation(zone)
			noError(t, err)
		}
		if !strings.Contains(page, job.CreatedAt.In(location).Format("2006-01-02 15:04:05 -07:00")) {
			t.Errorf("with the zone cookie %s the page does not use %s", zone, location)
		}
	}
	if page := s.follow(s.browser("viewer"), "/preferences", "zone", "Mars/Olympus", "back", "/health"); !strings.Contains(page, "is not a time zone") {
		t.Error("an unknown zone was accepted")
	}
}

func TestEveryPageRendersWithAnEmptyDatabase(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSite(t, db, "", nil)
		for _, path := range []string{
			"/jobs", "/jobs?q=status:failed+since:1h", "/jobs?q=target:x", "/", "/?window=7d", "/services", "/services/whm",
			"/audit", "/bulk", "/metrics", "/jobs.csv",
		} {
			if got := s.get("viewer", path); got.status != http.StatusOK {
				t.Errorf("%s: %d\n%s", path, got.status, s.log)
			}
		}
	})
}

func TestFutureAndVeryLongTimeRangesAreSearched(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", nil)
	s.dispatch(chore{ID: "a"})
	for query, found := range map[string]bool{
		"created:2030-01-01": false, "created:2026-02-01..2026-01-01": false, "since:36500d": true,
		"created:..2030-01-01": true, "created:2020-01-01..": true,
	} {
		got := s.get("viewer", "/jobs?q="+url.QueryEscape(query))
		if got.status != http.StatusOK || strings.Contains(got.body, `href="/jobs/1"`) != found {
			t.Errorf("%s: %d, found is %t", query, got.status, !found)
		}
	}
}

func TestAPageOutsideTheSectionsMarksNoneAsTheCurrentOne(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", nil)
	for path, want := range map[string]int{"/jobs/999999": 0, "/": 1, "/jobs": 1, "/workers": 1} {
		_, nav, _ := strings.Cut(s.get("viewer", path).body, `<nav aria-label="Sections">`)
		nav, _, _ = strings.Cut(nav, "</nav>")
		if n := strings.Count(nav, `aria-current="page"`); n != want || !strings.Contains(nav, `href="/jobs"`) {
			t.Errorf("%s: %d sections are marked, want %d", path, n, want)
		}
	}
}
