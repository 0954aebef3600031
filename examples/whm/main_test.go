package main

import (
	"crypto/rand"
	"html"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync/examples/whm/whmsim/sim"
)

const (
	token    = "TOKEN-3f1c9a7be2"
	password = "n3w-pässwörd&more"
)

// TestMain runs the command if a test started this binary as a child process.
func TestMain(m *testing.M) {
	if os.Getenv("WHM_TEST_CHILD") != "" {
		os.Exit(start())
	}
	os.Exit(m.Run())
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestEachFormChangesTheServerExactlyAsAskedAndLeavesItsRow(t *testing.T) {
	t.Parallel()
	everywhere(t, 40, func(t *testing.T, s *running) {
		s.do("/sync")
		const created, existing = "new@alpha.example", "info@bravo.example"
		page := s.do("/mailboxes/create", "email", "New@alpha.example", "account", "alpha", "quota_mb", "300", "password", password)
		if !strings.Contains(page, `"password":"***"`) || !strings.Contains(page, "user:demo") {
			t.Errorf("the job's page does not show the user and the masked password:\n%s", page)
		}
		if state := s.server.Mailbox(created); !state.Exists || *state.QuotaMB != 300 || !s.server.Password(created, password) {
			t.Errorf("create: mailbox %+v, want it with a quota of 300 MB and the password", state)
		}
		s.do("/mailboxes/update_quota", "email", existing, "quota_mb", "777")
		if state := s.server.Mailbox(existing); *state.QuotaMB != 777 {
			t.Errorf("update_quota: mailbox %+v, want a quota of 777 MB", state)
		}
		s.do("/mailboxes/update_password", "email", existing, "password", password)
		if !s.server.Password(existing, password) {
			t.Error("update_password: the server does not have the new password")
		}
		s.do("/mailboxes/suspend", "email", existing)
		if state := s.server.Mailbox(existing); !*state.SuspendedLogin || !*state.SuspendedIncoming {
			t.Errorf("suspend: mailbox %+v, want login and incoming mail suspended", state)
		}
		if _, page := s.get("/?q=" + existing); !strings.Contains(page, "‖ Suspended") || !strings.Contains(page, "777 MB") {
			t.Errorf("the list does not show the suspension and the quota:\n%s", page)
		}
		s.do("/mailboxes/unsuspend", "email", existing)
		if state := s.server.Mailbox(existing); *state.SuspendedLogin || *state.SuspendedIncoming {
			t.Errorf("unsuspend: mailbox %+v, want login and incoming mail allowed", state)
		}
		s.do("/mailboxes/delete", "email", existing, "sure", "yes")
		state := s.server.Mailbox(existing)
		if state.Exists {
			t.Errorf("delete: mailbox %+v, want it deleted", state)
		}
		for function, n := range state.Actions {
			if n != 1 {
				t.Errorf("%s changed the mailbox %d times, want once", function, n)
			}
		}
		if _, page := s.get("/?q=" + existing); !strings.Contains(page, "No mailboxes match the search") {
			t.Error("the list has the deleted mailbox")
		}
		// The rows equal the server's mailboxes, so a sync changes nothing.
		s.syncUntil(`"created":0,"updated":0,"unchanged":40,"in_flight":0,"missing":0`)
	})
}

func TestSyncMirrorsTenThousandMailboxesAndRemoteChanges(t *testing.T) {
	t.Parallel()
	everywhere(t, 10_000, func(t *testing.T, s *running) {
		if page := s.do("/sync"); !strings.Contains(page, `"created":10000`) {
			t.Fatalf("the first sync did not create 10000 rows:\n%s", page)
		}
		quota := int64(12_345)
		noError(t, s.server.Edit("info@alpha.example", sim.State{QuotaMB: &quota}))
		noError(t, s.server.Edit("added@alpha.example", sim.State{}))
		s.server.Remove("ann@alpha.example")
		if page := s.do("/sync"); !strings.Contains(page, `"created":1,"updated":1,"unchanged":9998,"in_flight":0,"missing":1,"confirming":0`) {
			t.Fatalf("the second sync did not find the three changes:\n%s", page)
		}
		// When a mailbox is missing from two listings, a job of its own asks the server and deletes the row.
		if page := s.do("/sync"); !strings.Contains(page, `"missing":1,"confirming":1`) {
			t.Fatalf("the third sync did not have the missing row confirmed:\n%s", page)
		}
		s.waitForText("/?q=ann@alpha.example", "No mailboxes match the search")
		seen, next := map[string]int{}, "/?"
		address := regexp.MustCompile(`data-label="Mailbox" class="long">([^<]+)<`)
		nextLink := regexp.MustCompile(`href="([^"]+)" rel="next"`)
		for next != "" {
			_, page := s.get(next)
			for _, found := range address.FindAllStringSubmatch(page, -1) {
				seen[found[1]]++
			}
			next = ""
			if found := nextLink.FindStringSubmatch(page); found != nil {
				next = found[1]
			}
		}
		if len(seen) != 10_000 || seen["added@alpha.example"] != 1 || seen["ann@alpha.example"] != 0 {
			t.Errorf("the pages list %d different mailboxes, want 10000 with the added and without the removed one", len(seen))
		}
	})
}

func TestPasswordReachesTheServerAndAppearsNowhereElse(t *testing.T) {
	t.Parallel()
	s, redis, dir := embedded(t, 40)
	s.do("/sync")
	// The server repeats the password in its first answer.
	noError(t, s.server.Inject(sim.Fault{Function: "passwd_pop", Mode: sim.ModeRefuse, Reason: "Invalid password “" + password + "”.", Times: 1}))
	_, _, job := s.post("/mailboxes/update_password", "email", "info@alpha.example", "password", password)
	failed := s.await(job, "failed")
	done := s.do("/mailboxes/update_password", "email", "info@alpha.example", "password", password)
	if !s.server.Password("info@alpha.example", password) {
		t.Error("the server does not have the new password")
	}
	_, index := s.get("/")
	files, err := filepath.Glob(filepath.Join(dir, "whm.db*"))
	noError(t, err)
	texts := map[string]string{
		"log and output": s.out.String(), "Redis": redis.Dump(), "the failed job's page": failed, "the job's page": done,
		"the list": index, "process arguments": strings.Join(os.Args, " "),
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		noError(t, err)
		texts[filepath.Base(file)] = string(data)
	}
	if len(files) == 0 || !strings.Contains(texts["Redis"], "asynq") {
		t.Fatal("the test found no database file or no task in Redis to search")
	}
	for where, text := range texts {
		for _, form := range []string{password, url.QueryEscape(password), html.EscapeString(password), token} {
			if strings.Contains(text, form) {
				t.Errorf("%s contains the secret %q", where, form)
			}
		}
	}
}

func TestServerFailureIsExplainedAndTheJobIsRetried(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault   sim.Fault
		text    string // of the job's page
		changes int    // that the server made in the end
	}{
		"down":          {sim.Fault{Mode: sim.ModeDown, Times: 1}, "the server may have made the change", 1},
		"slow":          {sim.Fault{Mode: sim.ModeSlow, DelayMS: 1500, Times: 1}, "", 1},
		"error 500":     {sim.Fault{Mode: sim.ModeError500, Times: 1}, "HTTP 500", 1},
		"garbage":       {sim.Fault{Mode: sim.ModeGarbage, Times: 1}, "HTML page, not JSON", 1},
		"result 0":      {sim.Fault{Mode: sim.ModeRefuse, Reason: "The system could not lock the file, try again.", Times: 1}, "could not lock", 1},
		"rate limited":  {sim.Fault{Mode: sim.ModeRateLimit, RetryAfter: 3, Times: 1}, "429", 1},
		"response lost": {sim.Fault{Mode: sim.ModeLost, Times: 1}, "the server may have made the change", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _, _ := embedded(t, 40)
			s.do("/sync")
			c.fault.Function = "edit_pop_quota"
			noError(t, s.server.Inject(c.fault))
			_, _, job := s.post("/mailboxes/update_quota", "email", "info@alpha.example", "quota_mb", "444")
			page := s.await(job, "success") // after a backoff of about ten seconds
			if !strings.Contains(page, c.text) {
				t.Errorf("the job's page does not contain %q:\n%s", c.text, page)
			}
			state := s.server.Mailbox("info@alpha.example")
			if *state.QuotaMB != 444 || state.Actions["edit_pop_quota"] != c.changes {
				t.Errorf("mailbox %+v, want a quota of 444 MB after %d changes", state, c.changes)
			}
		})
	}
}

func TestRefusedTokenParksTheJob(t *testing.T) {
	t.Parallel()
	s, _, _ := embedded(t, 40)
	s.do("/sync")
	noError(t, s.server.Inject(sim.Fault{Function: "edit_pop_quota", Mode: sim.ModeForbidden}))
	_, _, job := s.post("/mailboxes/update_quota", "email", "info@alpha.example", "quota_mb", "444")
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		_, page := s.get("/jobs/" + job)
		if strings.Contains(page, "queued") && strings.Contains(page, "check user, token and the token's privileges") &&
			strings.Contains(page, "The server refuses requests.") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the job is not parked within 2 minutes:\n%s", page)
		}
	}
}

func TestCreationWithALostResponseIsAdopted(t *testing.T) {
	t.Parallel()
	s, _, _ := embedded(t, 40)
	noError(t, s.server.Inject(sim.Fault{Function: "add_pop", Mode: sim.ModeLost, Times: 1}))
	page := s.do("/mailboxes/create", "email", "new@alpha.example", "account", "alpha", "quota_mb", "300", "password", password)
	if state := s.server.Mailbox("new@alpha.example"); state.Actions["add_pop"] != 1 || *state.QuotaMB != 300 ||
		!s.server.Password("new@alpha.example", password) {
		t.Errorf("mailbox %+v, want it created once with a quota of 300 MB and the password", state)
	}
	if !strings.Contains(page, "an earlier attempt created the object") {
		t.Errorf("the job's log does not say that it adopted the mailbox:\n%s", page)
	}
}

func TestCreationOfAnExistingMailboxIsAConflict(t *testing.T) {
	t.Parallel()
	s, _, _ := embedded(t, 40)
	_, _, job := s.post("/mailboxes/create", "email", "info@alpha.example", "account", "alpha", "quota_mb", "300", "password", password)
	s.await(job, "conflict")
	if state := s.server.Mailbox("info@alpha.example"); *state.QuotaMB != 250 || s.server.Password("info@alpha.example", password) {
		t.Errorf("mailbox %+v, want it unchanged", state)
	}
}

func TestListingThatLacksTooManyMailboxesDeletesNothing(t *testing.T) {
	t.Parallel()
	s, _, _ := embedded(t, 40)
	s.do("/sync")
	for _, name := range []string{"info", "sales", "ann", "bob", "support", "office", "jobs", "press", "team", "hello"} {
		s.server.Remove(name + "@alpha.example")
		s.server.Remove(name + "@bravo.example")
	}
	_, _, job := s.post("/sync")
	if page := s.await(job, "conflict"); !strings.Contains(page, "20 of 40 rows are not in the listing") {
		t.Errorf("the job's page does not show the number of missing rows:\n%s", page)
	}
	if _, page := s.get("/"); !strings.Contains(page, "40 mailboxes") || !strings.Contains(page, "A sync is held") {
		t.Errorf("the list does not show 40 mailboxes and the held sync:\n%s", page)
	}
	_, page := s.get("/held")
	release := regexp.MustCompile(`action="(/held/\d+/release)"`).FindStringSubmatch(page)
	if release == nil || !strings.Contains(page, "info@alpha.example") {
		t.Fatalf("the page of held syncs does not show the missing mailboxes and the release:\n%s", page)
	}
	status, _, _ := s.post(release[1])
	if status != http.StatusSeeOther {
		t.Fatalf("release: status %d, want %d", status, http.StatusSeeOther)
	}
	if status, _, _ := s.post(release[1]); status != http.StatusConflict {
		t.Errorf("second release: status %d, want %d", status, http.StatusConflict)
	}
	s.waitForText("/", "20 mailboxes")
}

func TestInvalidFormsChangeNothingAndSayWhatToFix(t *testing.T) {
	t.Parallel()
	s, _, _ := embedded(t, 40)
	s.do("/sync")
	for _, c := range []struct {
		path, want string
		form       []string
	}{
		{"/mailboxes/update_quota", "number of megabytes", []string{"email", "info@alpha.example", "quota_mb", "lots"}},
		{"/mailboxes/update_quota", "number of megabytes", []string{"email", "info@alpha.example", "quota_mb", "-1"}},
		{"/mailboxes/update_quota", "does not belong to this row", []string{"email", "nobody@alpha.example", "quota_mb", "1"}},
		{"/mailboxes/update_password", "8 characters", []string{"email", "info@alpha.example", "password", "short"}},
		{"/mailboxes/delete", "select the checkbox", []string{"email", "info@alpha.example"}},
		{"/mailboxes/create", "is not an email address", []string{"email", "info", "account", "alpha", "quota_mb", "1", "password", password}},
		{"/mailboxes/create", "name the cPanel account", []string{"email", "x@alpha.example", "quota_mb", "1", "password", password}},
	} {
		status, page, _ := s.post(c.path, c.form...)
		if status != http.StatusUnprocessableEntity || !strings.Contains(strings.ToLower(page), strings.ToLower(c.want)) || strings.Contains(page, password) {
			t.Errorf("form %v: status %d, want %d and %q without the password:\n%s", c.form, status, http.StatusUnprocessableEntity, c.want, page)
		}
	}
	if status, _, _ := s.post("/mailboxes/frobnicate", "email", "info@alpha.example"); status != http.StatusNotFound {
		t.Errorf("unknown action: status %d, want %d", status, http.StatusNotFound)
	}
	if status, _ := s.get("/jobs/999"); status != http.StatusNotFound {
		t.Errorf("unknown job: status %d, want %d", status, http.StatusNotFound)
	}
	req, err := http.NewRequest(http.MethodPost, s.url+"/sync", nil)
	noError(t, err)
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	resp, err := http.DefaultClient.Do(req)
	noError(t, err)
	resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("form of another site: status %d, want %d", resp.StatusCode, http.StatusForbidden)
	}
	if _, page := s.get("/"); strings.Count(page, `href="/jobs/`) != 1 {
		t.Error("a refused form dispatched a job")
	}
}

func TestOperatorsPagesAreMountedWithTheirDemoUsers(t *testing.T) {
	t.Parallel()
	everywhere(t, 40, func(t *testing.T, s *running) {
		s.do("/sync")
		for user, want := range map[string]int{"operator": http.StatusOK, "viewer": http.StatusOK, "nobody": http.StatusForbidden} {
			for _, path := range []string{"/admin/sync/jobs", "/admin/sync/", "/admin/sync/services/whm", "/admin/sync/bulk"} {
				request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+path, nil)
				noError(t, err)
				request.AddCookie(&http.Cookie{Name: "demo_user", Value: user})
				response, err := http.DefaultClient.Do(request)
				noError(t, err)
				noError(t, response.Body.Close())
				if response.StatusCode != want {
					t.Errorf("%s as %s: status %d, want %d", path, user, response.StatusCode, want)
				}
			}
		}
		response, err := http.PostForm(s.url+"/admin/sync/services/whm/sync",
			url.Values{"token": {rand.Text()}, "type": {"account"}, "instance": {"main"}, "back": {"/admin/sync/services/whm"}})
		noError(t, err)
		page, err := io.ReadAll(response.Body)
		noError(t, err)
		noError(t, response.Body.Close())
		if response.StatusCode != http.StatusOK || !strings.Contains(string(page), "account on main") {
			t.Errorf("sync now: status %d, want %d and the sync in the page\n%s", response.StatusCode, http.StatusOK, page)
		}
		s.waitForText("/admin/sync/jobs?q=action:sync_accounts+status:success", "sync accounts")
	})
}
