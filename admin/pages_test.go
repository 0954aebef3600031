package admin_test

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/secret"
	"github.com/nawasara/nawasync/tracker"
)

const secretText = "hunter2-is-the-secret"

func TestRetryReallyRunsTheJobAgainWithItsSecret(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSite(t, db, "/admin/sync", nil)
		s.start()
		job := s.await(s.dispatch(chore{ID: "a", How: "fail", Password: nawasync.NewSecret(secretText)}).ID, tracker.Failed)
		s.mu.Lock()
		s.well, s.did = true, nil
		s.mu.Unlock()
		back := "/admin/sync/jobs?q=status%3Afailed&n=25"
		got := s.post("operator", fmt.Sprintf("/jobs/%d/retry", job.ID), "back", back)
		if got.status != http.StatusSeeOther || got.header.Get("Location") != back {
			t.Fatalf("%d to %s", got.status, got.header.Get("Location"))
		}
		again := s.await(job.ID+1, tracker.Success)
		if again.RetryOf != job.ID || again.TriggeredBy != "operator" {
			t.Errorf("%+v", again)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.did) != 1 || s.did[0] != "a "+secretText {
			t.Errorf("the remote was told %q", s.did)
		}
		if page := s.get("viewer", "/jobs?q="+url.QueryEscape("status:conflict,failed -is:repaired")); !strings.Contains(page.body, "No job fits the query") {
			t.Error("a job that a later run repaired still needs somebody")
		}
	})
}

// After a rotation the old key opens, and the new one seals.
func TestRetryOpensWhatAnOlderKeySealed(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		before := newSite(t, db, "", nil)
		ok(t, before.engine.Start(t.Context()))
		job := before.await(before.dispatch(chore{ID: "a", How: "fail", Password: nawasync.NewSecret(secretText)}).ID, tracker.Failed)
		ok(t, before.engine.Stop(context.Background()))
		ring, err := secret.NewKeyring([]byte("another-key-of-thirty-two-bytes!"), []byte(sealingKey))
		ok(t, err)
		after := newSiteOf(t, db, "", func(c *nawasync.Config) { c.Sealer = ring }, nil)
		after.well = true
		after.start()
		after.post("operator", fmt.Sprintf("/jobs/%d/retry", job.ID))
		after.await(job.ID+1, tracker.Success)
		after.mu.Lock()
		defer after.mu.Unlock()
		if len(after.did) != 1 || after.did[0] != "a "+secretText {
			t.Errorf("the remote was told %q", after.did)
		}
	})
}

func TestCancelOfARunningJobSaysRequestedUntilItHasStopped(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", nil)
	s.start()
	job := s.await(s.dispatch(chore{ID: "a", How: "wait"}).ID, tracker.Running)
	path := fmt.Sprintf("/jobs/%d", job.ID)
	browser := s.browser("operator")
	if page := s.follow(browser, path+"/delete"); !strings.Contains(page, "has not ended. Cancel it first") {
		t.Error("a running job was deleted")
	}
	if now, err := s.engine.Reader().Get(t.Context(), job.ID); err != nil || !now.DeletedAt.IsZero() {
		t.Errorf("%+v %v", now, err)
	}
	page := s.follow(browser, path+"/cancel")
	if !strings.Contains(page, "is requested") {
		t.Errorf("cancel:\n%s", page)
	}
	s.await(job.ID, tracker.Cancelled)
	if page := s.get("viewer", path).body; !strings.Contains(page, "operator called it off") {
		t.Error("the page does not say who called it off")
	}
	if page := s.follow(browser, path+"/delete", "reason", "it was a mistake"); !strings.Contains(page, "is off the lists") {
		t.Errorf("delete:\n%s", page)
	}
	if page := s.get("viewer", "/jobs").body; strings.Contains(page, path+`"`) {
		t.Error("a deleted job is on the list")
	}
	if page := s.get("viewer", "/jobs?q=is:deleted").body; !strings.Contains(page, path+`"`) {
		t.Error("the tombstones do not show it")
	}
	if page := s.get("viewer", "/activity").body; !strings.Contains(page, "it was a mistake") {
		t.Error("the reason is not noted")
	}
	if page := s.follow(browser, path+"/restore"); !strings.Contains(page, "on the lists again") {
		t.Error("it was not put back")
	}
}

// follow posts a form as a browser does, and returns the page that it comes to.
func (s *site) follow(browser *http.Client, path string, form ...string) string {
	s.t.Helper()
	values := url.Values{"back": {s.prefix + strings.TrimRight(path[:strings.LastIndex(path, "/")], "/")}}
	for i := 0; i+1 < len(form); i += 2 {
		values.Set(form[i], form[i+1])
	}
	response, err := browser.PostForm(s.server.URL+s.prefix+path, values)
	ok(s.t, err)
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	ok(s.t, err)
	return string(body)
}

func TestSecretsStandOnNoPageInNoExportAndNoLog(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSite(t, db, "", nil)
		s.start()
		job := s.await(s.dispatch(chore{ID: "a", How: "fail", Password: nawasync.NewSecret(secretText)}).ID, tracker.Failed)
		for _, path := range []string{
			"/jobs", "/jobs.csv", "/jobs.json", fmt.Sprintf("/jobs/%d", job.ID), fmt.Sprintf("/jobs/%d?stack=full", job.ID), fmt.Sprintf("/jobs/%d.json", job.ID), "/health", "/health.json", "/metrics",
			"/services/whm", "/target?service=whm&type=mailbox&instance=main&id=a", "/activity", "/jobs?q=error:hunter2", "/jobs?q=status:x",
		} {
			got := s.get("operator", path)
			if strings.Contains(got.body, secretText) {
				t.Errorf("%s shows the secret", path)
			}
			if path == "/jobs.csv" && !strings.Contains(got.body, "quota exceeded for a, password was ***") {
				t.Errorf("the error is not there: %s", got.body)
			}
		}
		if got := s.get("operator", "/jobs?q=error:hunter2"); !strings.Contains(got.body, "No job fits") {
			t.Error("a secret can be searched for")
		}
		if strings.Contains(s.log.String(), secretText) {
			t.Error("the log has it")
		}
	})
}

const hostile = `"><script>alert(1)</script>'; DROP TABLE nawasync_jobs; -- ` + "\u202eevil\u202c 💥 /../%2e%2e/"

func TestHostileStringsAreTextEverywhere(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSite(t, db, "/admin/sync", nil)
		s.start()
		job := s.await(s.dispatch(chore{ID: hostile, How: "fail"}).ID, tracker.Failed)
		target := "/target?" + url.Values{"service": {"whm"}, "type": {"mailbox"}, "instance": {"main"}, "id": {hostile}}.Encode()
		for _, path := range []string{
			"/jobs", fmt.Sprintf("/jobs/%d", job.ID), "/health", target, "/activity", "/services/whm",
			"/jobs?q=" + url.QueryEscape(hostile), "/jobs?q=" + url.QueryEscape(`target:"`+strings.ReplaceAll(hostile, `"`, `\"`)+`"`), "/jobs?form=1&target=" + url.QueryEscape(hostile),
			"/health?window=" + url.QueryEscape(hostile), "/activity?subject=" + url.QueryEscape(hostile), "/jobs?before=" + url.QueryEscape(hostile) + "&n=x",
		} {
			got := s.get("operator", path)
			if strings.Contains(got.body, "<script>alert") || got.status >= 500 {
				t.Errorf("%s: %d", path, got.status)
			}
			if strings.Contains(path, "target%3A") && !strings.Contains(got.body, fmt.Sprintf("/jobs/%d\"", job.ID)) {
				t.Errorf("%s does not find it", path)
			}
		}
		if page := s.get("operator", target).body; !strings.Contains(page, fmt.Sprintf("Job %d", job.ID)) {
			t.Error("the target's page does not know its job")
		}
		// The link to the target on the job's page leads there.
		found := regexp.MustCompile(`class="target" href="([^"]+)"`).FindStringSubmatch(s.get("operator", fmt.Sprintf("/jobs/%d", job.ID)).body)
		if found == nil || !strings.Contains(s.get("operator", strings.TrimPrefix(strings.ReplaceAll(found[1], "&amp;", "&"), "/admin/sync")).body, fmt.Sprintf("Job %d", job.ID)) {
			t.Errorf("the link %q does not lead to it", found)
		}
	})
}

func TestQueryThatCannotBeAnsweredListsNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", nil)
	s.dispatch(chore{ID: "someone@example.org"})
	for path, status := range map[string]int{"/jobs": 422, "/jobs.json": 422, "/jobs.csv": 422} {
		got := s.get("operator", path+"?q=status:queued+servise:whm")
		if got.status != status || strings.Contains(got.body, "someone@example.org") || !strings.Contains(got.body, "service") {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
	if page := s.get("operator", "/jobs?q=status:queued+servise:whm").body; !strings.Contains(page, "did you mean service:?") || !strings.Contains(page, strings.Repeat(" ", 14)+"^") {
		t.Error("no caret, or no suggestion")
	}
}

func TestFormBecomesTheCanonicalQuery(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "/admin/sync", nil)
	got := s.get("viewer", "/jobs?form=1&status=failed&status=conflict&service=whm&target="+url.QueryEscape("a b")+"&by=&rest="+url.QueryEscape("attempts:>2"))
	want := "/admin/sync/jobs?" + url.Values{"q": {`status:conflict,failed service:whm target:"a b" attempts:>2`}}.Encode()
	if got.status != http.StatusSeeOther || got.header.Get("Location") != want {
		t.Errorf("%d %s", got.status, got.header.Get("Location"))
	}
	if got := s.get("viewer", "/jobs?form=1&rest=42"); got.header.Get("Location") != "/admin/sync/jobs/42" {
		t.Errorf("a number does not lead to its job: %s", got.header.Get("Location"))
	}
}

func TestExportIsSafeInASpreadsheetAndWhole(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", func(c *admin.Config) { c.ExportRows = 1200 })
	var args []nawasync.Args
	for i := range 1100 {
		args = append(args, elsewhere{ID: fmt.Sprintf("=HYPERLINK(%d)", i)})
	}
	_, err := s.engine.DispatchMany(t.Context(), args, nawasync.Options{By: "@user"})
	ok(t, err)
	rows, err := csv.NewReader(strings.NewReader(s.get("viewer", "/jobs.csv").body)).ReadAll()
	ok(t, err)
	if len(rows) != 1101 || rows[1][6] != "'=HYPERLINK(1099)" || rows[1][7] != "'@user" {
		t.Errorf("%d rows, the first %q", len(rows), rows[1])
	}
	_, err = s.engine.DispatchMany(t.Context(), args[:200], nawasync.Options{})
	ok(t, err)
	all := s.get("viewer", "/jobs.csv").body
	if !strings.Contains(all, "more than 1200 jobs: narrow the query") {
		t.Error("an export that was cut does not say so")
	}
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
		links := []string{prefix + "/jobs", prefix + "/health", prefix + "/services", prefix + "/activity", prefix + fmt.Sprintf("/jobs/%d", job.ID)}
		for len(links) > 0 {
			link := links[0]
			links = links[1:]
			if seen[link] || len(seen) > 80 {
				continue
			}
			seen[link] = true
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+link, nil)
			ok(t, err)
			request.Header.Set("X-Subject", "operator")
			response, err := http.DefaultClient.Do(request)
			ok(t, err)
			body, err := io.ReadAll(response.Body)
			ok(t, err)
			ok(t, response.Body.Close())
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
				if !strings.Contains(to, "/preferences") && !regexp.MustCompile(`/jobs/\d+/|/(pause|resume|sync)$`).MatchString(to) {
					links = append(links, to)
				}
			}
		}
		if len(seen) < 20 {
			t.Errorf("%s: only %d links", base, len(seen))
		}
	}
}

func TestBackLeadsNowhereElse(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "/admin/sync", nil)
	for _, to := range []string{"https://evil.example/", "//evil.example/admin/sync/", `/\evil.example`, "/elsewhere", "javascript:alert(1)", "/admin/sync/../x\\"} {
		if got := s.post("viewer", "/preferences", "back", to, "theme", "dark"); got.header.Get("Location") != "/admin/sync/jobs" {
			t.Errorf("%s leads to %s", to, got.header.Get("Location"))
		}
	}
}

func TestTimesAreInTheZoneThatTheReaderChose(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", func(c *admin.Config) { c.Location = time.FixedZone("UTC+07:00", 7*3600) })
	job := s.dispatch(chore{ID: "a"})
	path := fmt.Sprintf("/jobs/%d", job.ID)
	if page := s.get("viewer", path).body; !strings.Contains(page, job.CreatedAt.In(time.FixedZone("", 7*3600)).Format("2006-01-02 15:04:05 +07:00")) {
		t.Error("not in the host's zone")
	}
	for zone, found := range map[string]bool{"America/New_York": true, "../etc/passwd": false, "Local": false} {
		page := s.ask("viewer", http.MethodGet, path, nil, map[string]string{"Cookie": "nawasync_zone=" + url.QueryEscape(zone)}).body
		location := time.FixedZone("", 7*3600)
		if found {
			var err error
			location, err = time.LoadLocation(zone)
			ok(t, err)
		}
		if !strings.Contains(page, job.CreatedAt.In(location).Format("2006-01-02 15:04:05 -07:00")) {
			t.Errorf("not in %s", zone)
		}
	}
	if page := s.follow(s.browser("viewer"), "/preferences", "zone", "Mars/Olympus", "back", "/health"); !strings.Contains(page, "is no time zone") {
		t.Error("a zone that is none was taken")
	}
}

func TestServiceIsPausedAndResumedWithAReason(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", nil)
	s.start()
	s.await(s.dispatch(chore{ID: "first"}).ID, tracker.Success)
	browser := s.browser("operator")
	if page := s.follow(browser, "/services/whm/pause"); !strings.Contains(page, "Give a reason") {
		t.Errorf("paused without a reason:\n%s", page)
	}
	if page := s.follow(browser, "/services/whm/pause", "reason", "the rack moves"); !strings.Contains(page, "is paused by operator until somebody resumes it") {
		t.Errorf("not paused:\n%s", page)
	}
	job := s.dispatch(chore{ID: "second"})
	if page := s.get("viewer", fmt.Sprintf("/jobs/%d", job.ID)).body; !strings.Contains(page, "operator has paused the service") {
		t.Error("the job's page does not say what it waits for")
	}
	if page := s.get("viewer", "/health").body; !strings.Contains(page, "the rack moves") {
		t.Error("the health page does not say so")
	}
	if page := s.follow(browser, "/services/whm/resume"); !strings.Contains(page, "goes on") {
		t.Errorf("not resumed:\n%s", page)
	}
	s.await(job.ID, tracker.Success)
	if page := s.follow(browser, "/services/whm/sync", "type", "mailbox"); !strings.Contains(page, "has no repository of that name") {
		t.Errorf("sync:\n%s", page)
	}
}

func TestHealthIsTheSameAsAPageAsJSONAndForPrometheus(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSite(t, db, "", nil)
		s.start()
		s.await(s.dispatch(chore{ID: "a"}).ID, tracker.Success)
		s.await(s.dispatch(chore{ID: "b@example.org", How: "fail"}).ID, tracker.Failed)
		s.await(s.dispatch(chore{ID: "c@example.org", How: "fail"}).ID, tracker.Failed)
		// One that was dispatched long ago and failed now is of this window too.
		ok(t, db.Exec("UPDATE nawasync_jobs SET created_at = 1 WHERE target_id = 'b@example.org'").Error)
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
			ok(t, json.Unmarshal([]byte(s.get("viewer", "/health.json?window="+window).body), &got))
			if got.Window != window || got.Totals.Ended != 3 || got.Totals.Success != 1 || got.Totals.Failed != 2 || len(got.Errors) != 1 || got.Errors[0].Jobs != 2 {
				t.Errorf("%s: %+v", window, got)
			}
		}
		metrics := s.get("viewer", "/metrics").body
		for _, line := range []string{`nawasync_jobs_ended{service="whm",outcome="failed"} 2`, `nawasync_jobs_queued{service="whm"} 0`, "# TYPE nawasync_run_seconds gauge"} {
			if !strings.Contains(metrics, line) {
				t.Errorf("no %s in\n%s", line, metrics)
			}
		}
		page := s.get("viewer", "/health").body
		if !strings.Contains(page, "1 of 3") || !strings.Contains(page, "quota exceeded for") {
			t.Errorf("%s", page)
		}
	})
}

func TestDatabaseThatIsGoneIsSaidAndThePagesComeBack(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", func(c *admin.Config) { c.Timeout = 300 * time.Millisecond })
	ok(t, s.db.Exec("ALTER TABLE nawasync_jobs RENAME TO gone").Error)
	for _, path := range []string{"/jobs", "/health", "/jobs.json", "/metrics"} {
		begin := time.Now()
		got := s.get("viewer", path)
		if got.status != http.StatusServiceUnavailable || !strings.Contains(got.body, "The database does not answer") || strings.Contains(got.body, "no such table") || time.Since(begin) > 5*time.Second {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
	if got := s.get("viewer", "/health"); got.header.Get("Refresh") == "" {
		t.Error("the page does not ask again by itself")
	}
	ok(t, s.db.Exec("ALTER TABLE gone RENAME TO nawasync_jobs").Error)
	if got := s.get("viewer", "/jobs"); got.status != http.StatusOK {
		t.Errorf("%d after it came back", got.status)
	}
	// One that does not answer in time: all of its connections are taken.
	pool, err := s.db.DB.DB()
	ok(t, err)
	pool.SetMaxOpenConns(1)
	held, err := pool.Conn(context.Background())
	ok(t, err)
	if got := s.get("viewer", "/jobs"); got.status != http.StatusServiceUnavailable || !strings.Contains(got.body, "did not answer within") {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := s.get("", "/readyz"); got.status != http.StatusServiceUnavailable {
		t.Errorf("ready: %d", got.status)
	}
	ok(t, held.Close())
	if got := s.get("viewer", "/jobs"); got.status != http.StatusOK {
		t.Errorf("%d after it came back", got.status)
	}
}

func TestHostNamesKindsAndAddsLinksThatLeadSomewhere(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", func(c *admin.Config) {
		c.ActionLabel = func(k nawasync.Kind) string { return map[string]string{"whm": "Ubah kuota"}[k.Service] }
		c.JobLinks = func(j *tracker.Job) []admin.Link {
			return []admin.Link{{Name: "The <customer>", URL: "/customers/" + url.PathEscape(j.TargetID)}, {Name: "Logs", URL: "https://logs.example.org/?q=1"}, {Name: "Bad", URL: "javascript:alert(1)"}, {Name: "Worse", URL: "data:text/html,x"}}
		}
	})
	ours, theirs := s.dispatch(chore{ID: "a/b"}), s.dispatch(elsewhere{ID: "c"})
	page := s.get("viewer", fmt.Sprintf("/jobs/%d", ours.ID)).body
	for _, want := range []string{"Ubah kuota", `href="/customers/a%2Fb"`, "The &lt;customer&gt;", `href="https://logs.example.org/?q=1"`} {
		if !strings.Contains(page, want) {
			t.Errorf("no %s in %s", want, page)
		}
	}
	if strings.Contains(page, "javascript:") || strings.Contains(page, "data:text") || strings.Contains(page, "Worse") {
		t.Error("a link that runs something is on the page")
	}
	if list := s.get("viewer", "/jobs").body; !strings.Contains(list, "Ubah kuota") {
		t.Error("the list does not name the kind")
	}
	if page := s.get("viewer", fmt.Sprintf("/jobs/%d", theirs.ID)).body; !strings.Contains(page, "update <bdi>c</bdi>") {
		t.Errorf("a kind without a name of the host's: %s", page)
	}
}

func TestEveryPageOfAnEmptyInstallationIsShown(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSite(t, db, "", nil)
		for _, path := range []string{"/jobs", "/jobs?q=status:failed+since:1h", "/jobs?q=target:x", "/health", "/health?window=7d", "/services", "/services/whm", "/activity", "/bulk", "/metrics", "/jobs.csv"} {
			if got := s.get("viewer", path); got.status != http.StatusOK {
				t.Errorf("%s: %d\n%s", path, got.status, s.log)
			}
		}
	})
}

func TestTimesToComeAndLongOnesAreAnswered(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", nil)
	s.dispatch(chore{ID: "a"})
	for query, found := range map[string]bool{"created:2030-01-01": false, "created:2026-02-01..2026-01-01": false, "since:36500d": true, "created:..2030-01-01": true, "created:2020-01-01..": true} {
		got := s.get("viewer", "/jobs?q="+url.QueryEscape(query))
		if got.status != http.StatusOK || strings.Contains(got.body, `href="/jobs/1"`) != found {
			t.Errorf("%s: %d, found %t", query, got.status, !found)
		}
	}
}

// Every act on a target is on one page of its history, and on one only.
func TestHistoryOfATargetHasEveryActOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", nil)
	for i := range 120 {
		s.dispatch(chore{ID: "a"})
		ok(t, enginetest.Store(s.engine).AppendAudit(t.Context(), tracker.AuditEntry{Subject: "operator", Action: fmt.Sprintf("act-%03d", i), Outcome: tracker.AuditDone, Service: "whm", Type: "mailbox", Instance: "main", TargetID: "a"}))
	}
	seen := map[string]int{}
	path := "/target?service=whm&type=mailbox&instance=main&id=a"
	for pages := 1; ; pages++ {
		body := s.get("viewer", path).body
		for _, act := range regexp.MustCompile(`act-\d{3}`).FindAllString(body, -1) {
			seen[act]++
		}
		older := regexp.MustCompile(`href="([^"]+)" rel="next"`).FindStringSubmatch(body)
		if older == nil {
			if pages != 3 || len(seen) != 120 {
				t.Errorf("%d acts on %d pages", len(seen), pages)
			}
			break
		}
		path = strings.ReplaceAll(older[1], "&amp;", "&")
	}
	for act, n := range seen {
		if n != 1 {
			t.Errorf("%s is there %d times", act, n)
		}
	}
}
