package main

import (
	"context"
	"io"
	"log/slog"
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

	"github.com/nawasara/nawasync/examples/internal/sitetest"
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

// output collects the output and the log of a process.
type output = sitetest.Output

// startExample runs the example with flags until the test ends. It returns the address of the page,
// or "" for a worker.
func startExample(t *testing.T, out *output, args ...string) string {
	t.Helper()
	s, err := parse(args, func(string) string { return "" }, io.Discard)
	noError(t, err)
	return sitetest.Start(t, out, func(ctx context.Context, out io.Writer, logger *slog.Logger) error { return run(ctx, s, out, logger) })
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

// site drives the pages.
func (s *running) site() *sitetest.Site { return &sitetest.Site{T: s.t, URL: s.url, Out: s.out} }

func (s *running) get(path string) (status int, page string) {
	s.t.Helper()
	return s.site().Get(path)
}

// seen returns the token in the forms of a mailbox or an account, as the list has it now, or "" if the list has no
// such row.
func (s *running) seen(name string) string {
	s.t.Helper()
	list, key := "/accounts?q=", "username"
	if strings.Contains(name, "@") {
		list, key = "/?q=", "email"
	}
	_, page := s.get(list + url.QueryEscape(name))
	token := regexp.MustCompile(`name="` + key + `" value="` + regexp.QuoteMeta(name) + `"><input type="hidden" name="seen" value="([^"]+)"`)
	found := token.FindStringSubmatch(page)
	if found == nil {
		return ""
	}
	return found[1]
}

// post sends a form. It returns the status, the page and the id of the dispatched job. The form of a row has the
// token that the list shows now, unless the values have one.
func (s *running) post(path string, form ...string) (status int, page, job string) {
	s.t.Helper()
	values := url.Values{}
	for i := 0; i < len(form); i += 2 {
		values.Set(form[i], form[i+1])
	}
	if name := values.Get("email") + values.Get("username"); !values.Has("seen") && name != "" && !strings.HasSuffix(path, "/create") {
		form = append(slices.Clone(form), "seen", s.seen(name))
	}
	return s.site().Post(path, form...)
}

func (s *running) await(job string, statuses ...string) string {
	s.t.Helper()
	return s.site().Await(job, statuses...)
}

func (s *running) waitForText(path, text string) {
	s.t.Helper()
	s.site().WaitForText(path, text)
}

// do sends a form and waits until its job succeeds. It returns the job's page.
func (s *running) do(path string, form ...string) string {
	s.t.Helper()
	return s.site().Succeeded(s.post(path, form...))
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
