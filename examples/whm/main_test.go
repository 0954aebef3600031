package main

import (
	"bytes"
	"html"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nawasara/nawasync/examples/whm/whmsim/sim"
)

const (
	token    = "TOKEN-3f1c9a7be2"
	password = "n3w-pässwörd&more"
)

// TestMain runs the command itself where a test starts this binary as a child.
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

// output gathers what a process prints and logs.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func TestEachFormChangesTheServerExactlyAsAskedAndLeavesItsRow(t *testing.T) {
	t.Parallel()
	everywhere(t, 40, func(t *testing.T, s *site) {
		s.do("/sync")
		const fresh, old = "fresh@alpha.example", "info@bravo.example"
		page := s.do("/mailboxes/create", "email", "Fresh@alpha.example", "account", "alpha", "quota_mb", "300", "password", password)
		if !strings.Contains(page, `"password":"***"`) || !strings.Contains(page, "user:demo") {
			t.Errorf("the row of the creation does not show who and what:\n%s", page)
		}
		if state := s.server.Mailbox(fresh); !state.Exists || *state.QuotaMB != 300 || !s.server.Password(fresh, password) {
			t.Errorf("created: %+v", state)
		}
		s.do("/mailboxes/update_quota", "email", old, "quota_mb", "777")
		if state := s.server.Mailbox(old); *state.QuotaMB != 777 {
			t.Errorf("quota: %+v", state)
		}
		s.do("/mailboxes/update_password", "email", old, "password", password)
		if !s.server.Password(old, password) {
			t.Error("another password was set")
		}
		s.do("/mailboxes/suspend", "email", old)
		if state := s.server.Mailbox(old); !*state.SuspendedLogin || !*state.SuspendedIncoming {
			t.Errorf("suspended: %+v", state)
		}
		if _, page := s.get("/?q=" + old); !strings.Contains(page, "suspended") || !strings.Contains(page, "777 MB") {
			t.Errorf("the page does not show it:\n%s", page)
		}
		s.do("/mailboxes/unsuspend", "email", old)
		if state := s.server.Mailbox(old); *state.SuspendedLogin || *state.SuspendedIncoming {
			t.Errorf("unsuspended: %+v", state)
		}
		s.do("/mailboxes/delete", "email", old, "sure", "yes")
		state := s.server.Mailbox(old)
		if state.Exists {
			t.Errorf("deleted: %+v", state)
		}
		for function, n := range state.Actions {
			if n != 1 {
				t.Errorf("%s was done %d times", function, n)
			}
		}
		if _, page := s.get("/?q=" + old); !strings.Contains(page, "None is like that") {
			t.Error("a deleted mailbox is listed")
		}
		// A sync finds nothing to do: the snapshot is what the server has.
		s.settles(`"created":0,"updated":0,"unchanged":40,"in_flight":0,"missing":0`)
	})
}

func TestSyncMirrorsTenThousandMailboxesAndWhatOthersDid(t *testing.T) {
	t.Parallel()
	everywhere(t, 10_000, func(t *testing.T, s *site) {
		if page := s.do("/sync"); !strings.Contains(page, `"created":10000`) {
			t.Fatal(page)
		}
		quota := int64(12_345)
		noError(t, s.server.Edit("info@alpha.example", sim.State{QuotaMB: &quota}))
		noError(t, s.server.Edit("surprise@alpha.example", sim.State{}))
		s.server.Remove("ann@alpha.example")
		if page := s.do("/sync"); !strings.Contains(page, `"created":1,"updated":1,"unchanged":9998,"in_flight":0,"missing":1,"deleted":0`) {
			t.Fatal(page)
		}
		// It is deleted when a second listing lacks it too.
		if page := s.do("/sync"); !strings.Contains(page, `"missing":1,"deleted":1`) {
			t.Fatal(page)
		}
		// Every mailbox is on exactly one of the pages.
		seen, next := map[string]int{}, "/?"
		address := regexp.MustCompile(`data-label="Mailbox" class="long">([^<]+)<`)
		follow := regexp.MustCompile(`href="([^"]+)" rel="next"`)
		for next != "" {
			_, page := s.get(next)
			for _, found := range address.FindAllStringSubmatch(page, -1) {
				seen[found[1]]++
			}
			next = ""
			if found := follow.FindStringSubmatch(page); found != nil {
				next = found[1]
			}
		}
		if len(seen) != 10_000 || seen["surprise@alpha.example"] != 1 || seen["ann@alpha.example"] != 0 {
			t.Errorf("%d mailboxes on the pages", len(seen))
		}
	})
}

func TestPasswordReachesTheServerAndStandsNowhereElse(t *testing.T) {
	t.Parallel()
	s, redis, folder := embedded(t, 40)
	s.do("/sync")
	// Also when the server throws it back.
	noError(t, s.server.Inject(sim.Fault{Function: "passwd_pop", Mode: sim.ModeRefuse, Reason: "Invalid password “" + password + "”.", Times: 1}))
	_, _, job := s.post("/mailboxes/update_password", "email", "info@alpha.example", "password", password)
	failed := s.await(job, "failed")
	done := s.do("/mailboxes/update_password", "email", "info@alpha.example", "password", password)
	if !s.server.Password("info@alpha.example", password) {
		t.Error("the server has another password")
	}
	_, index := s.get("/")
	files, err := filepath.Glob(filepath.Join(folder, "whm.db*"))
	noError(t, err)
	places := map[string]string{
		"log and output": s.out.String(), "Redis": redis.Dump(), "the failed job's page": failed, "the job's page": done,
		"the list": index, "process arguments": strings.Join(os.Args, " "),
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		noError(t, err)
		places[filepath.Base(file)] = string(data)
	}
	if len(files) == 0 || !strings.Contains(places["Redis"], "asynq") {
		t.Fatal("there is nothing to look into")
	}
	for where, text := range places {
		for _, form := range []string{password, url.QueryEscape(password), html.EscapeString(password), token} {
			if strings.Contains(text, form) {
				t.Errorf("%q stands in %s", form, where)
			}
		}
	}
}

func TestEachFailureSaysWhatToDoAndPassesWhenTheServerIsWellAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault sim.Fault
		text  string
		acts  int // on the server, in the end
	}{
		"down":          {sim.Fault{Mode: sim.ModeDown, Times: 1}, "it may have happened all the same", 1},
		"slow":          {sim.Fault{Mode: sim.ModeSlow, DelayMS: 1500, Times: 1}, "", 1},
		"error 500":     {sim.Fault{Mode: sim.ModeError500, Times: 1}, "HTTP 500", 1},
		"garbage":       {sim.Fault{Mode: sim.ModeGarbage, Times: 1}, "HTML page, not JSON", 1},
		"result 0":      {sim.Fault{Mode: sim.ModeRefuse, Reason: "The system could not lock the file, try again.", Times: 1}, "could not lock", 1},
		"rate limited":  {sim.Fault{Mode: sim.ModeRateLimit, RetryAfter: 2, Times: 1}, "429", 1},
		"response lost": {sim.Fault{Mode: sim.ModeLost, Times: 1}, "it may have happened all the same", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _, _ := embedded(t, 40)
			s.do("/sync")
			c.fault.Function = "edit_pop_quota"
			noError(t, s.server.Inject(c.fault))
			_, _, job := s.post("/mailboxes/update_quota", "email", "info@alpha.example", "quota_mb", "444")
			page := s.await(job, "success") // after a backoff of some ten seconds
			if !strings.Contains(page, c.text) {
				t.Errorf("no word of %q:\n%s", c.text, page)
			}
			state := s.server.Mailbox("info@alpha.example")
			if *state.QuotaMB != 444 || state.Actions["edit_pop_quota"] != c.acts {
				t.Errorf("%+v", state)
			}
		})
	}
	t.Run("the token is refused", func(t *testing.T) {
		t.Parallel()
		s, _, _ := embedded(t, 40)
		s.do("/sync")
		noError(t, s.server.Inject(sim.Fault{Function: "edit_pop_quota", Mode: sim.ModeForbidden}))
		_, _, job := s.post("/mailboxes/update_quota", "email", "info@alpha.example", "quota_mb", "444")
		for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
			_, page := s.get("/jobs/" + job)
			if strings.Contains(page, "queued") && strings.Contains(page, "check user, token and the token's privileges") && strings.Contains(page, "It runs again at") {
				break // its scope is parked; nothing is burned
			}
			if time.Now().After(deadline) {
				t.Fatal(page)
			}
		}
	})
	t.Run("a creation whose response was lost is adopted", func(t *testing.T) {
		t.Parallel()
		s, _, _ := embedded(t, 40)
		noError(t, s.server.Inject(sim.Fault{Function: "add_pop", Mode: sim.ModeLost, Times: 1}))
		page := s.do("/mailboxes/create", "email", "fresh@alpha.example", "account", "alpha", "quota_mb", "300", "password", password)
		if state := s.server.Mailbox("fresh@alpha.example"); state.Actions["add_pop"] != 1 || *state.QuotaMB != 300 ||
			!s.server.Password("fresh@alpha.example", password) {
			t.Errorf("%+v", state)
		}
		if !strings.Contains(page, "an earlier attempt has made it") {
			t.Error(page)
		}
	})
	t.Run("somebody else's mailbox is not taken over", func(t *testing.T) {
		t.Parallel()
		s, _, _ := embedded(t, 40)
		_, _, job := s.post("/mailboxes/create", "email", "info@alpha.example", "account", "alpha", "quota_mb", "300", "password", password)
		s.await(job, "conflict")
		if state := s.server.Mailbox("info@alpha.example"); *state.QuotaMB != 250 || s.server.Password("info@alpha.example", password) {
			t.Errorf("%+v", state)
		}
	})
	t.Run("a listing that lacks too much deletes nothing", func(t *testing.T) {
		t.Parallel()
		s, _, _ := embedded(t, 40)
		s.do("/sync")
		for _, name := range []string{"info", "sales", "ann", "bob", "support", "office", "jobs", "press", "team", "hello"} {
			s.server.Remove(name + "@alpha.example")
			s.server.Remove(name + "@bravo.example")
		}
		_, _, job := s.post("/sync")
		if page := s.await(job, "conflict"); !strings.Contains(page, "20 of 40 rows are not in the listing") {
			t.Error(page)
		}
		if _, page := s.get("/"); !strings.Contains(page, "40 mailboxes") || !strings.Contains(page, "A sync is held") {
			t.Error("mailboxes were deleted, or nobody is told")
		}
		_, page := s.get("/held")
		release := regexp.MustCompile(`action="(/held/\d+/release)"`).FindStringSubmatch(page)
		if release == nil || !strings.Contains(page, "info@alpha.example") {
			t.Fatal(page)
		}
		status, _, _ := s.post(release[1])
		if status != http.StatusSeeOther {
			t.Fatalf("release: %d", status)
		}
		if status, _, _ := s.post(release[1]); status != http.StatusConflict {
			t.Errorf("a second release: %d", status)
		}
		s.shows("/", "20 mailboxes")
	})
}

func TestWrongFormsChangeNothingAndSayWhatToMend(t *testing.T) {
	t.Parallel()
	s, _, _ := embedded(t, 40)
	s.do("/sync")
	for _, c := range []struct {
		path, want string
		form       []string
	}{
		{"/mailboxes/update_quota", "number of megabytes", []string{"email", "info@alpha.example", "quota_mb", "lots"}},
		{"/mailboxes/update_quota", "number of megabytes", []string{"email", "info@alpha.example", "quota_mb", "-1"}},
		{"/mailboxes/update_quota", "sync now", []string{"email", "nobody@alpha.example", "quota_mb", "1"}},
		{"/mailboxes/update_password", "8 characters", []string{"email", "info@alpha.example", "password", "short"}},
		{"/mailboxes/delete", "tick the box", []string{"email", "info@alpha.example"}},
		{"/mailboxes/create", "is not an address", []string{"email", "info", "account", "alpha", "quota_mb", "1", "password", password}},
		{"/mailboxes/create", "name the cPanel account", []string{"email", "x@alpha.example", "quota_mb", "1", "password", password}},
	} {
		status, page, _ := s.post(c.path, c.form...)
		if status != http.StatusUnprocessableEntity || !strings.Contains(strings.ToLower(page), strings.ToLower(c.want)) || strings.Contains(page, password) {
			t.Errorf("%v: %d, and not %q", c.form, status, c.want)
		}
	}
	if status, _, _ := s.post("/mailboxes/frobnicate", "email", "info@alpha.example"); status != http.StatusNotFound {
		t.Errorf("an unknown action: %d", status)
	}
	if status, _ := s.get("/jobs/999"); status != http.StatusNotFound {
		t.Errorf("an unknown job: %d", status)
	}
	req, err := http.NewRequest(http.MethodPost, s.url+"/sync", nil)
	noError(t, err)
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	resp, err := http.DefaultClient.Do(req)
	noError(t, err)
	resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("another site's form: %d", resp.StatusCode)
	}
	if _, page := s.get("/"); strings.Count(page, `href="/jobs/`) != 1 {
		t.Error("a refused form made a job")
	}
}

func TestOperatorsPagesAreMountedWithTheirDemoUsers(t *testing.T) {
	t.Parallel()
	everywhere(t, 40, func(t *testing.T, s *site) {
		s.do("/sync")
		for user, want := range map[string]int{"operator": http.StatusOK, "viewer": http.StatusOK, "nobody": http.StatusForbidden} {
			for _, path := range []string{"/admin/sync/jobs", "/admin/sync/health", "/admin/sync/services/whm", "/admin/sync/bulk"} {
				request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+path, nil)
				noError(t, err)
				request.AddCookie(&http.Cookie{Name: "demo_user", Value: user})
				response, err := http.DefaultClient.Do(request)
				noError(t, err)
				noError(t, response.Body.Close())
				if response.StatusCode != want {
					t.Errorf("%s by %s: %d", path, user, response.StatusCode)
				}
			}
		}
		response, err := http.PostForm(s.url+"/admin/sync/services/whm/sync",
			url.Values{"type": {"account"}, "instance": {"main"}, "back": {"/admin/sync/services/whm"}})
		noError(t, err)
		page, err := io.ReadAll(response.Body)
		noError(t, err)
		noError(t, response.Body.Close())
		if response.StatusCode != http.StatusOK || !strings.Contains(string(page), "account on main") {
			t.Errorf("sync now: %d\n%s", response.StatusCode, page)
		}
		s.shows("/admin/sync/jobs?q=action:sync_accounts+status:success", "sync accounts")
	})
}
