package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/nawasara/nawasync/examples/cloudflare/cfsim/sim"
	"github.com/nawasara/nawasync/examples/internal/sitetest"
)

const token = "TOKEN-7a10c4be9d"

// running is a running example, with the simulated Cloudflare that it changes.
type running struct {
	*sitetest.Site

	server *sim.Server
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// start runs the example with flags, on SQLite and a Redis inside the process.
func startExample(t *testing.T, getenv func(string) string, args ...string) *sitetest.Site {
	t.Helper()
	dir := t.TempDir()
	s, err := parse(append([]string{
		"-addr", "127.0.0.1:0", "-schedules=false", "-dsn", "sqlite:" + filepath.Join(dir, "cloudflare.db"), "-key", filepath.Join(dir, "key"),
	}, args...), getenv, io.Discard)
	noError(t, err)
	out := &sitetest.Output{}
	address := sitetest.Start(t, out, func(ctx context.Context, out io.Writer, logger *slog.Logger) error { return run(ctx, s, out, logger) })
	return &sitetest.Site{T: t, URL: address, Out: out}
}

// connected runs the example with a simulated Cloudflare that the test can change.
func connected(t *testing.T) *running {
	t.Helper()
	server := sim.New(sim.Options{Accounts: []sim.Account{{Name: "main", Token: token, Zones: []string{"alpha.example", "bravo.example"}}}, Records: 20})
	listener := httptest.NewServer(server)
	t.Cleanup(listener.Close)
	file := filepath.Join(t.TempDir(), "token")
	noError(t, os.WriteFile(file, []byte(token+"\n"), 0o600))
	s := &running{startExample(t, func(string) string { return "" }, "-cloudflare-url", listener.URL+"/client/v4", "-cloudflare-token-file", file), server}
	s.WaitForText("/", "1 account")
	s.WaitForText("/zones?instance="+s.account(), "alpha.example")
	s.WaitForText("/records?instance="+s.instance(), "20 records")
	return s
}

// account returns the instance of the zones, and instance that of the records of alpha.example.
func (s *running) account() string { return "main/" + s.server.AccountID("main") }

func (s *running) instance() string { return s.account() + "/" + s.server.ZoneID("alpha.example") }

var (
	rowField  = regexp.MustCompile(`name="row" value="(\d+)"`)
	seenField = regexp.MustCompile(`name="seen(\d+)" value="([^"]+)"`)
)

// form returns the fields of the form of the only record that a search finds.
func (s *running) form(search string) []string {
	s.T.Helper()
	_, page := s.Get("/records?instance=" + s.instance() + "&q=" + search)
	seen := seenField.FindAllStringSubmatch(page, -1)
	if len(seen) != 1 {
		s.T.Fatalf("the search for %s finds %d records:\n%s", search, len(seen), page)
	}
	return []string{"instance", s.instance(), "row", seen[0][1], "seen", seen[0][2]}
}

// remote returns the record with a name and a content.
func (s *running) remote(name, content string) (found sim.Record) {
	for _, r := range s.server.Records("alpha.example") {
		if r.Name == name && r.Content == content {
			found = r
		}
	}
	return found
}

func TestFormsChangeTheRecordAsAsked(t *testing.T) {
	t.Parallel()
	s := connected(t)
	s.Do("/records/create", "instance", s.instance(), "name", "New", "type", "MX", "content", "Mail.Example.", "ttl", "300", "priority", "0", "comment", "ours")
	created := s.remote("new.alpha.example", "mail.example")
	if created.TTL != 300 || created.Priority == nil || *created.Priority != 0 || *created.Comment != "ours" {
		t.Errorf("the created record is %+v", created)
	}
	s.Do("/records/update", append(s.form("new.alpha"), "content", "mail.example", "ttl", "600", "priority", "5", "comment", "ours")...)
	if changed := s.remote("new.alpha.example", "mail.example"); changed.TTL != 600 || *changed.Priority != 5 || s.server.Changes(changed.ID) != 2 {
		t.Errorf("the changed record is %+v after %d changes", changed, s.server.Changes(changed.ID))
	}
	s.Do("/records/delete", append(s.form("new.alpha"), "sure", "yes")...)
	if gone := s.remote("new.alpha.example", "mail.example"); gone.ID != "" {
		t.Errorf("the deleted record is still there: %+v", gone)
	}
	if strings.Contains(s.Out.String(), token) {
		t.Error("the log contains the token")
	}
}

// The form is rendered before the record changes at Cloudflare, and is sent after that.
func TestChangeOfWhatSomebodyElseHasChangedIsAConflict(t *testing.T) {
	t.Parallel()
	s := connected(t)
	form := s.form("host0012")
	record := s.remote("host0012.alpha.example", "198.51.100.13")
	_, err := s.server.Put("alpha.example", sim.Change{ID: record.ID, TTL: new(900)})
	noError(t, err)
	_, _, job := s.Post("/records/update", append(form, "content", "198.51.100.13", "ttl", "120")...)
	page := s.Await(job, "conflict")
	for _, want := range []string{"5 min", "2 min", "15 min", "main, main, alpha.example"} {
		if !strings.Contains(page, want) {
			t.Errorf("the job's page lacks %q:\n%s", want, page)
		}
	}
	status, _, _ := s.Post("/jobs/" + job + "/overwrite")
	if status != http.StatusSeeOther {
		t.Fatalf("overwrite: status %d", status)
	}
	s.WaitForText("/records?instance="+s.instance()+"&q=host0012&state=synced", "2 min")
}

func TestManyRecordsAreAddedAndChangedByOneForm(t *testing.T) {
	t.Parallel()
	s := connected(t)
	var lines []string
	for i := range 30 {
		lines = append(lines, fmt.Sprintf("many%d A 203.0.113.%d", i, i+1))
	}
	status, _, _ := s.Post("/many/add", "instance", s.instance(), "lines", strings.Join(lines, "\r\n"))
	if status != http.StatusSeeOther {
		t.Fatalf("status %d, want a redirect", status)
	}
	list := "/records?instance=" + s.instance() + "&q=many&state=synced"
	s.WaitForText(list, "30 records")
	_, page := s.Get(list)
	form := url.Values{"instance": {s.instance()}, "ttl": {"3600"}}
	for _, field := range seenField.FindAllStringSubmatch(page, -1) {
		form.Add("row", field[1])
		form.Set("seen"+field[1], field[2])
	}
	if status, page, _ := s.Send("/many/ttl", form); status != http.StatusSeeOther {
		t.Fatalf("status %d, want a redirect:\n%s", status, page)
	}
	s.WaitForText(list, "30 records")
	n := 0
	for _, r := range s.server.Records("alpha.example") {
		if strings.HasPrefix(r.Name, "many") && r.TTL == 3600 && s.server.Changes(r.ID) == 2 {
			n++
		}
	}
	if n != 30 {
		t.Errorf("%d records have the new ttl after two changes, want 30", n)
	}
}

func TestInvalidFormsChangeNothingAndSayWhatToFix(t *testing.T) {
	t.Parallel()
	s := connected(t)
	create := func(more ...string) []string {
		return append([]string{"instance", s.instance(), "name", "x", "type", "A", "content", "192.0.2.1", "ttl", "1"}, more...)
	}
	for _, c := range []struct {
		path, want string
		form       []string
		status     int
	}{
		{"/records/create", "the content is missing", []string{"instance", s.instance(), "name", "x", "type", "A", "ttl", "1"}, 422},
		{"/records/create", "use A, AAAA", []string{"instance", s.instance(), "name", "x", "type", "SPF", "content", "x", "ttl", "1"}, 422},
		{"/records/create", "the TTL is not valid", []string{"instance", s.instance(), "name", "x", "type", "A", "content", "192.0.2.1", "ttl", "5"}, 422},
		{"/records/create", "more than 100 characters", create("comment", strings.Repeat("c", 101)), 422},
		{"/records/update", "The list has no row", []string{"instance", s.instance(), "row", "x", "seen", "x"}, 422},
		{"/records/update", "does not belong to this row", append(s.form("host0012")[:4], "seen", "x"), 422},
		{"/records/delete", "select the checkbox", s.form("host0012"), 422},
		{"/many/add", "has not three parts", []string{"instance", s.instance(), "lines", "www A"}, 422},
		{"/many/ttl", "no record is selected", []string{"instance", s.instance(), "ttl", "60"}, 422},
		{"/records/create", "is not in the list of zones", []string{"instance", s.account() + "/" + strings.Repeat("0", 32)}, 404},
		{"/sync", "is not in the list of accounts", []string{"what", "zones", "instance", "main/" + strings.Repeat("0", 32)}, 404},
		{"/records/frobnicate", "not found", s.form("host0012"), 404},
	} {
		status, page, _ := s.Post(c.path, c.form...)
		if status != c.status || !strings.Contains(strings.ToLower(page), strings.ToLower(c.want)) {
			t.Errorf("%s %v: status %d, want %d and %q:\n%s", c.path, c.form, status, c.status, c.want, page)
		}
	}
	for _, r := range s.server.Records("alpha.example") {
		if s.server.Changes(r.ID) != 0 {
			t.Errorf("the record %s was changed", r.Name)
		}
	}
	if !rowField.MatchString(func() string { _, page := s.Get("/records?instance=" + s.instance()); return page }()) {
		t.Error("the list has no row")
	}
}

func TestExampleWithoutFlagsHasItsOwnCloudflare(t *testing.T) {
	t.Parallel()
	s := startExample(t, func(string) string { return "" })
	s.WaitForText("/?instance=main", "2 accounts")
	s.WaitForText("/?instance=shop", "1 account")
	main := "main/" + sim.New(sim.Options{}).AccountID("main") // identifiers are the same in each simulated Cloudflare
	s.WaitForText("/zones?instance="+main, "3 zones")
	for path, want := range map[string]string{"/elsewhere": "Edit at Cloudflare", "/held": "There are no held syncs", "/admin/sync/": "Cloudflare"} {
		if status, page := s.Get(path); status != http.StatusOK || !strings.Contains(page, want) {
			t.Errorf("%s: status %d, want %q:\n%s", path, status, want, page)
		}
	}
	for _, c := range []struct {
		action, want string
		form         []string
	}{
		{"add", "a new zone, delta.example", []string{"account", "main", "zone", "delta.example"}},
		{"add", "there is no account", []string{"zone", "epsilon.example"}},
		{"open", "a new account, bakery", []string{"account", "bakery"}},
		{"close", "cannot be removed here", []string{"account", "main"}},
		{"close", "The account main labs was removed", []string{"account", "main labs"}},
		{"add", "a new zone, bread.example", []string{"account", "bakery", "zone", "bread.example"}},
		{"remove", "was removed", []string{"zone", "carol.example"}},
		{"record", "has the content 192.0.2.77", []string{"zone", "alpha.example", "name", "new", "type", "A", "content", "192.0.2.77"}},
		{"forbid", "may see the zone alpha.example: no", []string{"zone", "alpha.example", "forbidden", "yes"}},
		{"revoke", "is valid: yes", []string{"revoked", "no"}},
		{"remove", "there is no zone", []string{"zone", "nothing.example"}},
	} {
		if _, page, _ := s.Post("/elsewhere/"+c.action, append(c.form, "instance", "main")...); !strings.Contains(strings.ToLower(page), strings.ToLower(c.want)) {
			t.Errorf("%s: the page lacks %q:\n%s", c.action, c.want, page)
		}
	}
	s.Do("/sync", "what", "accounts", "instance", "main")
	s.WaitForText("/?instance=main", "bakery")
	s.Do("/sync", "what", "zones", "instance", main)
	s.WaitForText("/zones?instance="+main, "delta.example")
}
