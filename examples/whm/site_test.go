package main

import (
	"context"
	"crypto/rand"
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
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/go-sql-driver/mysql"

	"github.com/nawasara/nawasync/examples/internal/setup"
	"github.com/nawasara/nawasync/examples/whm/whmsim/sim"
	"github.com/nawasara/nawasync/internal/testdb"
)

// running is a running example, with the simulated server that the example changes.
type running struct {
	t      *testing.T
	url    string
	server *sim.Server
	out    *output
}

// startExample runs the example with flags until the test ends. It returns the address of the page,
// or "" for a worker.
func startExample(t *testing.T, out *output, args ...string) string {
	t.Helper()
	s, err := parse(args, func(string) string { return "" }, io.Discard)
	noError(t, err)
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
		case <-time.After(setup.DrainTimeout + 5*time.Second):
			t.Error("the example did not stop within the drain timeout")
		}
	})
	page := regexp.MustCompile(`the page is (http://\S+)`)
	for {
		text := out.String()[before:]
		if found := page.FindStringSubmatch(text); found != nil {
			return found[1]
		}
		if strings.Contains(text, "the worker runs") {
			return ""
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("the example did not start: %v\n%s", err, text)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// simulator starts a simulated WHM server and returns the flags that connect the example to it. The example then
// syncs neither when it starts nor when a full hour comes, so that tests know every sync.
func simulator(t *testing.T, mailboxes int) (*sim.Server, []string) {
	t.Helper()
	server := sim.New(sim.Options{Token: token, Mailboxes: mailboxes})
	listener := httptest.NewServer(server)
	t.Cleanup(listener.Close)
	return server, []string{"-whm-url", listener.URL, "-whm-token", token, "-sync=false", "-schedules=false"}
}

// embedded runs the example in one process, on SQLite and a Redis that the test can inspect. It
// returns the directory of the database.
func embedded(t *testing.T, mailboxes int) (*running, *miniredis.Miniredis, string) {
	t.Helper()
	server, flags := simulator(t, mailboxes)
	redis := miniredis.RunT(t)
	dir := t.TempDir()
	out := &output{}
	address := startExample(t, out, append(flags, "-addr", "127.0.0.1:0", "-dsn", "sqlite:"+filepath.Join(dir, "whm.db"), "-key", filepath.Join(dir, "key"),
		"-redis", "redis://"+redis.Addr())...)
	return &running{t, address, server, out}, redis, dir
}

// mariaDBURL returns the DSN of a new database in the form of the flag -dsn.
func mariaDBURL(t *testing.T) string {
	t.Helper()
	c, err := mysql.ParseDSN(testdb.MySQL(t).DSN)
	noError(t, err)
	return (&url.URL{Scheme: "mysql", User: url.UserPassword(c.User, c.Passwd), Host: c.Addr, Path: "/" + c.DBName}).String()
}

// separate runs a web process and two workers on the database and on a real Redis.
func separate(t *testing.T, mailboxes int, dsn string) *running {
	t.Helper()
	testdb.Redis(t)
	server, flags := simulator(t, mailboxes)
	out := &output{}
	flags = append(flags, "-addr", "127.0.0.1:0", "-dsn", dsn, "-redis", os.Getenv(testdb.RedisVariable), "-key", filepath.Join(t.TempDir(), "key"))
	address := startExample(t, out, append(flags, "-role", "web")...)
	for range 2 {
		startExample(t, out, append(flags, "-role", "worker")...)
	}
	return &running{t, address, server, out}
}

// everywhere runs a test in one process, and with workers on each database server.
func everywhere(t *testing.T, mailboxes int, fn func(t *testing.T, s *running)) {
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
		fn(t, separate(t, mailboxes, mariaDBURL(t)))
	})
}

func (s *running) get(path string) (int, string) {
	s.t.Helper()
	resp, err := http.Get(s.url + path)
	noError(s.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	noError(s.t, err)
	return resp.StatusCode, html.UnescapeString(string(body))
}

// post sends a form. It returns the status, the page and the id of the dispatched job.
func (s *running) post(path string, form ...string) (status int, body, job string) {
	s.t.Helper()
	values := url.Values{"token": {rand.Text()}}
	for i := 0; i < len(form); i += 2 {
		values.Set(form[i], form[i+1])
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.PostForm(s.url+path, values)
	noError(s.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	noError(s.t, err)
	to, _ := url.Parse(resp.Header.Get("Location"))
	return resp.StatusCode, html.UnescapeString(string(text)), to.Query().Get("job")
}

var statusOf = regexp.MustCompile(`<span class="badge \w+">\S+ (\w+)</span>`)

// await waits until the job's page shows one of the statuses. It fails if the job ends with another
// status.
func (s *running) await(job string, statuses ...string) string {
	s.t.Helper()
	deadline := time.Now().Add(4 * time.Minute)
	for {
		_, page := s.get("/jobs/" + job)
		found := statusOf.FindStringSubmatch(page)
		for _, want := range statuses {
			if found != nil && found[1] == want {
				return page
			}
		}
		if time.Now().After(deadline) || (found != nil && slices.Contains([]string{"success", "failed", "conflict", "skipped", "cancelled"}, found[1])) {
			s.t.Fatalf("job %s has the status %v, want %v:\n%s\n%s", job, found, statuses, page, s.out)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// waitForText waits until a page contains a text.
func (s *running) waitForText(path, text string) {
	s.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		_, page := s.get(path)
		if strings.Contains(page, text) {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%s does not show %q within 2 minutes:\n%s", path, text, page)
		}
	}
}

// syncUntil syncs until a sync has the result. One sync may not be enough, because a sync skips the
// rows of jobs that ended just before it.
func (s *running) syncUntil(result string) {
	s.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		page := s.do("/sync")
		if strings.Contains(page, result) {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("no sync had the result %s within 2 minutes:\n%s", result, page)
		}
	}
}

// do sends a form and waits until its job succeeds. It returns the job's page.
func (s *running) do(path string, form ...string) string {
	s.t.Helper()
	status, body, job := s.post(path, form...)
	if status != http.StatusSeeOther || job == "" {
		s.t.Fatalf("POST %s: status %d, want a redirect to a job:\n%s", path, status, body)
	}
	return s.await(job, "success")
}
