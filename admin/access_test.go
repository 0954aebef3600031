package admin_test

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/nawasara/nawasync/admin"
	"github.com/nawasara/nawasync/admin/policy"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// TestEveryRouteAnswersEachSubjectAsItsRightsSay compares the answers with the rights. This test looks at what every
// answer has, also those of requests that no route takes.
func TestEveryAnswerHasTheHeadersThatProtectTheReader(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "/admin/sync", nil)
	id := fmt.Sprintf("/jobs/%d", s.dispatch(chore{ID: "ours@example.org"}).ID)
	const get, post = http.MethodGet, http.MethodPost
	requests := []access{
		{get, "/"},
		{get, "/jobs"},
		{get, "/jobs.json"},
		{get, "/jobs.csv"},
		{get, "/suggest.json"},
		{get, id},
		{get, id + ".json"},
		{get, id + "/edit"},
		{get, "/audit"},
		{get, "/audit.csv"},
		{get, "/workers"},
		{get, "/health"},
		{get, "/target?service=whm&type=mailbox&instance=main&id=ours@example.org"},
		{get, "/health.json"},
		{get, "/metrics"},
		{get, "/services"},
		{get, "/services/whm"},
		{get, "/services/none"},
		{get, "/bulk"},
		{get, "/bulk/1"},
		{get, "/bulk?action=retry&all=1&q=status:failed"},
		{get, "/livez"},
		{get, "/readyz"},
		{get, "/assets/none.css"},
		{get, "/nothing"},
		{get, "/jobs?q=servise:whm"},
		{get, "/jobs?q=%00"},
		{get, "/jobs?group=error"},
		{post, "/views"},
		{post, "/views/1/delete"},
		{get, "/conflicts?job=1"},
		{post, "/conflicts"},
		{post, "/target/refresh"},
		{post, "/bulk"},
		{post, "/bulk/1/stop"},
		{post, id + "/cancel"},
		{post, id + "/nonsense"},
		{post, "/services/whm/pause"},
		{post, "/held/1/release"},
		{post, "/preferences"},
	}
	for _, route := range routes(t) {
		if !slices.ContainsFunc(requests, route.answers) {
			t.Errorf("no request covers %s %s", route.method, route.path)
		}
	}
	requests = append(requests, access{post, "/jobs"}, access{http.MethodDelete, id}, access{get, id + "/cancel"})
	for _, c := range requests {
		for _, subject := range []string{"", "nobody", "viewer", "operator", "other"} {
			got := s.request(subject, c.method, c.path, nil, nil)
			for name, want := range map[string]string{
				"Content-Security-Policy": "default-src 'none'", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "X-Frame-Options": "DENY",
				"Cache-Control": "private, no-store",
			} {
				if !strings.HasPrefix(got.header.Get(name), want) {
					t.Errorf("%s %s by %q: status %d, and the header %s is %q", c.method, c.path, subject, got.status, name, got.header.Get(name))
				}
			}
		}
	}
}

func TestUnknownActionsAndMethodsAreRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", nil)
	job := s.dispatch(chore{ID: "a"})
	id := fmt.Sprintf("/jobs/%d", job.ID)
	for _, c := range []struct {
		access
		status int
		allow  string
	}{
		{access{http.MethodPost, "/jobs"}, http.StatusMethodNotAllowed, http.MethodGet},
		{access{http.MethodDelete, id}, http.StatusMethodNotAllowed, http.MethodGet},
		{access{http.MethodGet, id + "/cancel"}, http.StatusMethodNotAllowed, http.MethodPost},
		{access{http.MethodPost, id + "/nonsense"}, http.StatusNotFound, ""},
		{access{http.MethodPost, "/services/whm/nonsense"}, http.StatusNotFound, ""},
	} {
		if got := s.request("operator", c.method, c.path, nil, nil); got.status != c.status || got.header.Get("Allow") != c.allow {
			t.Errorf("%s %s: status %d, Allow %q, want %d, %q", c.method, c.path, got.status, got.header.Get("Allow"), c.status, c.allow)
		}
	}
	if now, err := s.engine.Reader().Get(t.Context(), job.ID); err != nil || now.Status != tracker.StatusQueued {
		t.Errorf("the job is %+v, %v", now, err)
	}
}

// Only subjects who may view the service see what was refused.
func TestRefusedAndAllowedActionsOnAJobAreInTheAuditLog(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSite(t, db, "/admin/sync", nil)
		job := s.dispatch(chore{ID: "ours@example.org"}) // of whm; the engine does not run
		s.dispatch(elsewhere{ID: "theirs.example.org"})
		actions := []string{"retry", "delete", "restore", "restore_row", "keep_theirs", "accept", "apply_mine", "overwrite", "cancel"}
		for _, action := range actions {
			for _, subject := range []string{"", "nobody", "viewer", "operator", "other"} {
				s.post(subject, fmt.Sprintf("/jobs/%d/%s", job.ID, action))
			}
		}
		now, err := s.engine.Reader().Get(t.Context(), job.ID)
		if err != nil || now.Status != tracker.StatusCancelled || now.CancelBy != "operator" {
			t.Errorf("the job is %+v, %v", now, err)
		}
		entries, err := s.engine.Reader().AuditLog(t.Context(), tracker.AuditFilter{JobID: job.ID, Limit: 100})
		noError(t, err)
		outcomes := map[string][]tracker.AuditOutcome{}
		for _, a := range entries {
			outcomes[a.Subject] = append(outcomes[a.Subject], a.Outcome)
		}
		if len(outcomes) != 2 || len(outcomes["viewer"]) != len(actions) || slices.Contains(outcomes["viewer"], tracker.AuditDone) ||
			len(outcomes["operator"]) != len(actions) || !slices.Contains(outcomes["operator"], tracker.AuditDone) {
			t.Errorf("the audit log has %v", outcomes)
		}
		if page := s.get("viewer", "/audit"); !strings.Contains(page.body, "</svg>not permitted") {
			t.Errorf("the viewer's refusals are not on the page:\n%s", page.body)
		}
		if page := s.get("other", "/audit"); strings.Contains(page.body, "</svg>not permitted") {
			t.Error("the operator of another service sees the viewer's refusals")
		}
	})
}

// access is a request of the tests that cover every route.
type access struct{ method, path string }

type route struct {
	method string
	path   *regexp.Regexp
}

func (r route) answers(c access) bool {
	path, _, _ := strings.Cut(c.path, "?")
	return r.method == c.method && r.path.MatchString(path)
}

// routes reads the routes from the source, so that the tests notice a route without a request.
func routes(t *testing.T) (list []route) {
	t.Helper()
	source, err := os.ReadFile("admin.go")
	noError(t, err)
	for _, found := range regexp.MustCompile(`(?:(get|post)\(|HandleFunc\("(GET|POST) )"?(/[^"]*)"`).FindAllStringSubmatch(string(source), -1) {
		path := regexp.MustCompile(`\{\w+\}`).ReplaceAllString(strings.ReplaceAll(found[3], "{$}", ""), "[^/]+")
		list = append(list, route{strings.ToUpper(found[1] + found[2]), regexp.MustCompile("^" + path + "$")})
	}
	if len(list) < 23 {
		t.Fatalf("the source has %d routes", len(list))
	}
	return list
}

func TestListsCountsAndExportsCoverOnlyViewableServices(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", nil)
	s.start()
	for i := range 3 {
		s.await(s.dispatch(chore{ID: fmt.Sprint("a", i)}).ID, tracker.StatusSuccess)
	}
	s.await(s.dispatch(elsewhere{ID: "b"}).ID, tracker.StatusSuccess)
	for subject, want := range map[string]string{"viewer": "4", "other": "1"} {
		for _, path := range []string{"/jobs", "/"} {
			if page := s.get(subject, path); !strings.Contains(page.body, `<span class="count">`+want+`</span>`) && !strings.Contains(page.body, ">"+want+"</a>") {
				t.Errorf("%s for %s does not count %s", path, subject, want)
			}
		}
		if got := strings.Count(s.get(subject, "/jobs.csv").body, "\n") - 1; fmt.Sprint(got) != want {
			t.Errorf("the export of %s has %d rows", subject, got)
		}
	}
	if page := s.get("other", "/jobs?q=service:whm"); !strings.Contains(page.body, "No jobs match.") {
		t.Error("a query finds jobs of a service that the subject must not view")
	}
}

func TestPagesWithoutSubjectOrEnforcerAreForbiddenWithAReason(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", func(c *admin.Config) { c.Enforcer, c.Subject = nil, nil })
	for _, path := range []string{"/", "/jobs", "/health", "/metrics", "/jobs/1"} {
		got := s.get("operator", path)
		if got.status != http.StatusForbidden || !strings.Contains(got.body, "Set Subject and Enforcer") {
			t.Errorf("%s: %d", path, got.status)
		}
	}
}

func TestCrossSiteFormsAreRejectedAndGETChangesNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "/admin/sync", func(c *admin.Config) { c.TrustedOrigins = []string{"https://admin.example.org"} })
	job := s.dispatch(chore{ID: "a"})
	path := fmt.Sprintf("/jobs/%d/cancel", job.ID)
	for _, header := range []map[string]string{{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://evil.example"}} {
		got := s.request("operator", http.MethodPost, path, url.Values{}, header)
		if got.status != http.StatusForbidden || !strings.Contains(got.body, "another site") {
			t.Errorf("%v: %d", header, got.status)
		}
	}
	s.get("operator", path)
	if now, err := s.engine.Reader().Get(t.Context(), job.ID); err != nil || now.Status != tracker.StatusQueued {
		t.Fatalf("the job is %+v, %v", now, err)
	}
	if got := s.request("operator", http.MethodPost, path, url.Values{}, map[string]string{
		"Origin":         "https://admin.example.org",
		"Sec-Fetch-Site": "cross-site",
	}); got.status != http.StatusSeeOther {
		t.Errorf("a trusted origin: %d", got.status)
	}
}

func TestPolicyAdapterSeedsGrantsSavesAndRemovesRules(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		adapter := policy.NewAdapter(db.DB)
		noError(t, policy.Seed(t.Context(), db.DB))
		noError(t, policy.Seed(t.Context(), db.DB)) // seeding again changes nothing
		noError(t, policy.Grant(t.Context(), db.DB, "ann", admin.RoleOperator))
		noError(t, policy.Grant(t.Context(), db.DB, "ann", admin.RoleOperator))
		rules := func() (n int64) {
			noError(t, db.Raw("SELECT COUNT(*) FROM nawasync_policies").Row().Scan(&n))
			return n
		}
		if n := rules(); n != 5 {
			t.Errorf("%d rules", n)
		}
		noError(t, adapter.RemoveFilteredPolicy("g", "g", 0, "ann", ""))
		noError(t, adapter.RemovePolicy("p", "p", []string{admin.RoleViewer, "*", "*", admin.PermissionView, "allow"}))
		if n := rules(); n != 3 {
			t.Errorf("%d rules", n)
		}
		m, err := policy.Model()
		noError(t, err)
		noError(t, adapter.LoadPolicy(m))
		noError(t, adapter.SavePolicy(m))
		if n := rules(); n != 3 {
			t.Errorf("%d rules after a save", n)
		}
		if err := adapter.AddPolicy("p", "p", []string{"too", "short"}); err == nil {
			t.Error("a rule with too few values was added")
		}
	})
}

func TestSubjectNamedLikeARoleDoesNotHaveTheRole(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSite(t, db, "/sync", nil)
		for _, subject := range []string{admin.RoleOperator, admin.RoleViewer, "sync-operator", "sync-viewer", policy.Role("dns-team"), "role:"} {
			for _, path := range []string{"/jobs", "/jobs.json", "/", "/metrics"} {
				if got := s.get(subject, path); got.status != http.StatusForbidden {
					t.Errorf("GET %s of %q: status %d, want 403", path, subject, got.status)
				}
			}
		}
		if got := s.get("operator", "/jobs"); got.status != http.StatusOK {
			t.Errorf("GET /jobs of an operator: status %d, want 200", got.status)
		}
		if err := policy.Grant(t.Context(), db.DB, admin.RoleViewer, admin.RoleOperator); err == nil {
			t.Error("a role was granted to a subject named like a role")
		}
	})
}

func TestRuleOfAPersonIsNotThatOfARoleWithTheSameName(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		ctx := t.Context()
		person := policy.Rule{Subject: "ops", Service: "whm", Permission: admin.PermissionManage}
		team := policy.Rule{Subject: policy.Role("ops"), Service: "whm", Permission: admin.PermissionView}
		noError(t, policy.Add(ctx, db.DB, person, team))
		noError(t, policy.Grant(ctx, db.DB, "ann", "ops"))
		enforcer, err := policy.NewEnforcer(ctx, db.DB)
		noError(t, err)
		check := func(subject, permission string, want bool) {
			t.Helper()
			_, err := enforcer.Refresh(ctx)
			noError(t, err)
			if got, err := enforcer.Enforce(subject, "whm", "", permission); err != nil || got != want {
				t.Errorf("%s has %s: %v, %v, want %v", subject, permission, got, err, want)
			}
		}
		check("ann", admin.PermissionView, true)
		check("ann", admin.PermissionManage, false)
		check("ops", admin.PermissionView, false)
		check("ops", admin.PermissionManage, true)
		noError(t, policy.Remove(ctx, db.DB, team))
		check("ann", admin.PermissionView, false)
		check("ops", admin.PermissionManage, true)

		adapter := policy.NewAdapter(db.DB)
		if err := adapter.AddPolicy("g", "g", []string{"bob", "ops"}); err == nil {
			t.Error("a role without the prefix was granted")
		}
		noError(t, db.Exec("INSERT INTO nawasync_policies (kind, v0, v1, v2) VALUES ('g', 'bob', 'ops', '')").Error)
		if _, err := policy.NewEnforcer(ctx, db.DB); err == nil || !strings.Contains(err.Error(), "begins with role:") {
			t.Errorf("a stored grant of a role without the prefix: %v", err)
		}
	})
}

// denying is an enforcer with a rule for every service and a denial of one.
type denying struct{ service string }

func (d denying) Enforce(rvals ...any) (bool, error) {
	return rvals[0] == "operator" && rvals[1] != d.service, nil
}

func TestDenialOfOneServiceIsFinalWhateverIsAllowedOnEveryService(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSite(t, db, "", func(c *admin.Config) { c.Enforcer = denying{"cloudflare"} })
		hidden := s.dispatch(elsewhere{ID: "secret.example.org"})
		shown := s.dispatch(chore{ID: "a@example.org"})
		for _, path := range []string{
			"/jobs", "/jobs.json", "/jobs.csv", "/", "/health.json", "/services", "/metrics", "/audit", "/jobs?q=service:cloudflare",
		} {
			got := s.get("operator", path)
			named := strings.Contains(got.body, "cloudflare") && !strings.Contains(path, "cloudflare") // a page shows its own query
			if named || strings.Contains(got.body, "secret.example.org") {
				t.Errorf("GET %s shows the denied service", path)
			}
		}
		if got := s.get("operator", fmt.Sprintf("/jobs/%d", hidden.ID)); got.status != http.StatusNotFound {
			t.Errorf("the page of a denied job: status %d, want 404", got.status)
		}
		if got := s.get("operator", "/services/cloudflare"); got.status != http.StatusNotFound {
			t.Errorf("the page of a denied service: status %d, want 404", got.status)
		}
		if got := s.get("operator", fmt.Sprintf("/jobs/%d", shown.ID)); got.status != http.StatusOK {
			t.Errorf("the page of another job: status %d, want 200", got.status)
		}
		if got := s.get("operator", "/jobs.json").body; !strings.Contains(got, "a@example.org") {
			t.Errorf("the list lacks the job of another service: %s", got)
		}
	})
}
