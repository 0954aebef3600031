package main

import (
	"bytes"
	"context"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/go-sql-driver/mysql"

	"github.com/nawasara/nawasync/examples/whm/whmsim/sim"
	"github.com/nawasara/nawasync/internal/testdb"
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

func ok(t *testing.T, err error) {
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

// site is the example at work, as a browser sees it, and the server behind it.
type site struct {
	t      *testing.T
	url    string
	server *sim.Server
	out    *output
}

// begin runs the example with flags, until the test's end, and returns its page's
// address, "" for a worker.
func begin(t *testing.T, out *output, args ...string) string {
	t.Helper()
	s, err := parse(args, func(string) string { return "" }, io.Discard)
	ok(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	before := len(out.String())
	go func() {
		ended <- run(ctx, s, out, slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug})))
	}()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(drain + 5*time.Second):
			t.Error("it does not end within its drain time")
		}
	})
	page := regexp.MustCompile(`the page is (http://\S+)`)
	for {
		text := out.String()[before:]
		if found := page.FindStringSubmatch(text); found != nil {
			return found[1]
		}
		if strings.Contains(text, "a worker; Ctrl-C") {
			return ""
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("it did not start: %v\n%s", err, text)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// simulator is a WHM server that outlives restarts of the example.
func simulator(t *testing.T, mailboxes int) (*sim.Server, []string) {
	t.Helper()
	server := sim.New(sim.Options{Token: token, Mailboxes: mailboxes})
	listener := httptest.NewServer(server)
	t.Cleanup(listener.Close)
	return server, []string{"-whm-url", listener.URL, "-whm-token", token}
}

// embedded runs everything in one process, on SQLite; its Redis can be looked into.
func embedded(t *testing.T, mailboxes int) (*site, *miniredis.Miniredis, string) {
	t.Helper()
	server, flags := simulator(t, mailboxes)
	redis := miniredis.RunT(t)
	folder := t.TempDir()
	out := &output{}
	address := begin(t, out, append(flags, "-addr", "127.0.0.1:0", "-dsn", "sqlite:"+filepath.Join(folder, "whm.db"), "-key", filepath.Join(folder, "key"), "-redis", "redis://"+redis.Addr())...)
	return &site{t, address, server, out}, redis, folder
}

// onMariaDB is the DSN of a test's own database, as the example takes it.
func onMariaDB(t *testing.T) string {
	t.Helper()
	c, err := mysql.ParseDSN(testdb.MySQL(t).DSN)
	ok(t, err)
	return (&url.URL{Scheme: "mysql", User: url.UserPassword(c.User, c.Passwd), Host: c.Addr, Path: "/" + c.DBName}).String()
}

// separate runs a page and two workers on a database and Redis.
func separate(t *testing.T, mailboxes int, dsn string) *site {
	t.Helper()
	testdb.Redis(t)
	server, flags := simulator(t, mailboxes)
	out := &output{}
	flags = append(flags, "-addr", "127.0.0.1:0", "-dsn", dsn, "-redis", os.Getenv(testdb.RedisVariable), "-key", filepath.Join(t.TempDir(), "key"))
	address := begin(t, out, append(flags, "-role", "web")...)
	for range 2 {
		begin(t, out, append(flags, "-role", "worker")...)
	}
	return &site{t, address, server, out}
}

// everywhere runs a test on embedded parts and on separate ones.
func everywhere(t *testing.T, mailboxes int, fn func(t *testing.T, s *site)) {
	t.Helper()
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		s, _, _ := embedded(t, mailboxes)
		fn(t, s)
	})
	t.Run("two workers on PostgreSQL and Redis", func(t *testing.T) {
		t.Parallel()
		fn(t, separate(t, mailboxes, testdb.Postgres(t).DSN))
	})
	t.Run("two workers on MariaDB and Redis", func(t *testing.T) {
		t.Parallel()
		fn(t, separate(t, mailboxes, onMariaDB(t)))
	})
}

func (s *site) get(path string) (int, string) {
	s.t.Helper()
	resp, err := http.Get(s.url + path)
	ok(s.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	ok(s.t, err)
	return resp.StatusCode, html.UnescapeString(string(body))
}

// post sends a form, and returns the status, the page, and the job it made.
func (s *site) post(path string, form ...string) (status int, body, job string) {
	s.t.Helper()
	values := url.Values{}
	for i := 0; i < len(form); i += 2 {
		values.Set(form[i], form[i+1])
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.PostForm(s.url+path, values)
	ok(s.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	ok(s.t, err)
	to, _ := url.Parse(resp.Header.Get("Location"))
	return resp.StatusCode, html.UnescapeString(string(text)), to.Query().Get("job")
}

var statusOf = regexp.MustCompile(`<span class="badge \w+">\S+ (\w+)</span>`)

// await waits until the job's page says how it ended.
func (s *site) await(job string, statuses ...string) string {
	s.t.Helper()
	deadline := time.Now().Add(40 * time.Second)
	for {
		_, page := s.get("/jobs/" + job)
		found := statusOf.FindStringSubmatch(page)
		for _, want := range statuses {
			if found != nil && found[1] == want {
				return page
			}
		}
		if time.Now().After(deadline) || (found != nil && slices.Contains([]string{"success", "failed", "conflict", "skipped", "cancelled"}, found[1])) {
			s.t.Fatalf("job %s is %v, not %v:\n%s\n%s", job, found, statuses, page, s.out)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// shows waits until a page has a text.
func (s *site) shows(path, text string) {
	s.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		_, page := s.get(path)
		if strings.Contains(page, text) {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%s never shows %q:\n%s", path, text, page)
		}
	}
}

// settles syncs until a sync's result is as it should be: rows of jobs that ended a
// moment ago are left to the next.
func (s *site) settles(result string) {
	s.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		page := s.do("/sync")
		if strings.Contains(page, result) {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("the snapshot is not the server's:\n%s", page)
		}
	}
}

// do sends a form and waits for its job's success.
func (s *site) do(path string, form ...string) string {
	s.t.Helper()
	status, body, job := s.post(path, form...)
	if status != http.StatusSeeOther || job == "" {
		s.t.Fatalf("POST %s: %d\n%s", path, status, body)
	}
	return s.await(job, "success")
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
		for function, n := range state.Acts {
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
		ok(t, s.server.Edit("info@alpha.example", sim.State{QuotaMB: &quota}))
		ok(t, s.server.Edit("surprise@alpha.example", sim.State{}))
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
	ok(t, s.server.Inject(sim.Fault{Function: "passwd_pop", Mode: sim.Refuse, Reason: "Invalid password “" + password + "”.", Times: 1}))
	_, _, job := s.post("/mailboxes/update_password", "email", "info@alpha.example", "password", password)
	failed := s.await(job, "failed")
	done := s.do("/mailboxes/update_password", "email", "info@alpha.example", "password", password)
	if !s.server.Password("info@alpha.example", password) {
		t.Error("the server has another password")
	}
	_, index := s.get("/")
	files, err := filepath.Glob(filepath.Join(folder, "whm.db*"))
	ok(t, err)
	places := map[string]string{"log and output": s.out.String(), "Redis": redis.Dump(), "the failed job's page": failed, "the job's page": done, "the list": index, "process arguments": strings.Join(os.Args, " ")}
	for _, file := range files {
		data, err := os.ReadFile(file)
		ok(t, err)
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
		"down":          {sim.Fault{Mode: sim.Down, Times: 1}, "it may have happened all the same", 1},
		"slow":          {sim.Fault{Mode: sim.Slow, DelayMS: 1500, Times: 1}, "", 1},
		"error 500":     {sim.Fault{Mode: sim.Error500, Times: 1}, "HTTP 500", 1},
		"garbage":       {sim.Fault{Mode: sim.Garbage, Times: 1}, "HTML page, not JSON", 1},
		"result 0":      {sim.Fault{Mode: sim.Refuse, Reason: "The system could not lock the file, try again.", Times: 1}, "could not lock", 1},
		"rate limited":  {sim.Fault{Mode: sim.RateLimit, RetryAfter: 2, Times: 1}, "429", 1},
		"response lost": {sim.Fault{Mode: sim.Lost, Times: 1}, "it may have happened all the same", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _, _ := embedded(t, 40)
			s.do("/sync")
			c.fault.Function = "edit_pop_quota"
			ok(t, s.server.Inject(c.fault))
			_, _, job := s.post("/mailboxes/update_quota", "email", "info@alpha.example", "quota_mb", "444")
			page := s.await(job, "success") // after a backoff of some ten seconds
			if !strings.Contains(page, c.text) {
				t.Errorf("no word of %q:\n%s", c.text, page)
			}
			state := s.server.Mailbox("info@alpha.example")
			if *state.QuotaMB != 444 || state.Acts["edit_pop_quota"] != c.acts {
				t.Errorf("%+v", state)
			}
		})
	}
	t.Run("the token is refused", func(t *testing.T) {
		t.Parallel()
		s, _, _ := embedded(t, 40)
		s.do("/sync")
		ok(t, s.server.Inject(sim.Fault{Function: "edit_pop_quota", Mode: sim.Forbidden}))
		_, _, job := s.post("/mailboxes/update_quota", "email", "info@alpha.example", "quota_mb", "444")
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
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
		ok(t, s.server.Inject(sim.Fault{Function: "add_pop", Mode: sim.Lost, Times: 1}))
		page := s.do("/mailboxes/create", "email", "fresh@alpha.example", "account", "alpha", "quota_mb", "300", "password", password)
		if state := s.server.Mailbox("fresh@alpha.example"); state.Acts["add_pop"] != 1 || *state.QuotaMB != 300 || !s.server.Password("fresh@alpha.example", password) {
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
	ok(t, err)
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	resp, err := http.DefaultClient.Do(req)
	ok(t, err)
	resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("another site's form: %d", resp.StatusCode)
	}
	if _, page := s.get("/"); strings.Count(page, `href="/jobs/`) != 1 {
		t.Error("a refused form made a job")
	}
}
