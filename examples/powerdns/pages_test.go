package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/nawasara/nawasync/examples/internal/sitetest"
	"github.com/nawasara/nawasync/examples/powerdns/pdnssim/sim"
)

const key = "KEY-7a10c4be9d"

// running is a running example, with the simulated PowerDNS that it changes.
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

// startExample runs the example with flags, on SQLite and a Redis inside the process.
func startExample(t *testing.T, args ...string) *sitetest.Site {
	t.Helper()
	dir := t.TempDir()
	s, err := parse(append([]string{
		"-addr", "127.0.0.1:0", "-schedules=false", "-dsn", "sqlite:" + filepath.Join(dir, "powerdns.db"), "-key", filepath.Join(dir, "key"),
	}, args...), func(string) string { return "" }, io.Discard)
	noError(t, err)
	out := &sitetest.Output{}
	address := sitetest.Start(t, out, func(ctx context.Context, out io.Writer, logger *slog.Logger) error { return run(ctx, s, out, logger) })
	return &sitetest.Site{T: t, URL: address, Out: out}
}

const sets = "/sets?instance=main/alpha.example."

// connected runs the example with a simulated PowerDNS that the test can change.
func connected(t *testing.T) *running {
	t.Helper()
	server := sim.New(sim.Options{Key: key, Zones: []string{"alpha.example.", "bravo.example."}, Sets: 20})
	listener := httptest.NewServer(server)
	t.Cleanup(listener.Close)
	file := filepath.Join(t.TempDir(), "key")
	noError(t, os.WriteFile(file, []byte(key+"\n"), 0o600))
	s := &running{startExample(t, "-powerdns-url", listener.URL, "-powerdns-key-file", file), server}
	s.WaitForText("/", "alpha.example.")
	s.WaitForText(sets, "20 record sets")
	return s
}

var seenField = regexp.MustCompile(`name="row" value="(\d+)"><input type="hidden" name="seen" value="([^"]+)"`)

// form returns the hidden fields of the form of the first row of a list.
func (s *running) form(list string) []string {
	s.T.Helper()
	_, page := s.Get(list)
	seen := seenField.FindStringSubmatch(page)
	if seen == nil {
		s.T.Fatalf("%s has no row:\n%s", list, page)
	}
	return []string{"instance", "main/alpha.example.", "row", seen[1], "seen", seen[2]}
}

func (s *running) contents(name, kind string) (list []string) {
	for _, r := range s.server.Find("alpha.example.", name, kind).Records {
		list = append(list, r.Content)
	}
	return list
}

func TestFormsChangeSetsAndZonesAsAsked(t *testing.T) {
	t.Parallel()
	s := connected(t)
	s.Do("/sets/create", "instance", "main/alpha.example.", "name", "New", "type", "MX", "ttl", "300", "records", "10  Mail.Example\r\n20 backup.example.\r\n")
	if got := s.contents("new.alpha.example.", "MX"); !slices.Equal(got, []string{"10 mail.example.", "20 backup.example."}) {
		t.Errorf("the created set has %q", got)
	}
	s.Do("/sets/update", append(s.form(sets+"&q=new."), "ttl", "60", "records", "10 mail.example.")...)
	if got := s.server.Find("alpha.example.", "new.alpha.example.", "MX"); got.TTL != 60 || len(got.Records) != 1 {
		t.Errorf("the changed set is %+v", got)
	}
	s.Do("/sets/delete", append(s.form(sets+"&q=new."), "sure", "yes")...)
	if got := s.contents("new.alpha.example.", "MX"); len(got) != 0 {
		t.Errorf("the deleted set still has %q", got)
	}
	s.Do("/zones/create", "name", "Carol.Example", "account", "ann")
	s.WaitForText("/?q=carol", "carol.example.")
	s.Do("/zones/update", append(s.form("/?q=carol"), "account", "ben")...)
	s.Do("/zones/delete", append(s.form("/?q=carol"), "sure", "yes")...)
	if names := s.server.ZoneNames(); slices.Contains(names, "carol.example.") {
		t.Errorf("the zones are %v, want no carol.example.", names)
	}
	if strings.Contains(s.Out.String(), key) {
		t.Error("the log contains the API key")
	}
}

// The form is rendered before the set changes at PowerDNS, and is sent after that.
func TestChangeOfASetKeepsADisabledRecordAndConflictsWithAnotherChange(t *testing.T) {
	t.Parallel()
	s := connected(t)
	s.Do("/sets/update", append(s.form(sets+"&q=old."), "ttl", "60", "records", "192.0.2.7", "disabled", "192.0.2.8")...)
	if got := s.server.Find("alpha.example.", "old.alpha.example.", "A"); got.TTL != 60 || len(got.Records) != 2 || !got.Records[1].Disabled {
		t.Errorf("the set is %+v, want the TTL 60 and the disabled record", got)
	}
	form := s.form(sets + "&q=192.0.2.2")
	noError(t, s.server.Put("alpha.example.", sim.Set{Name: "www.alpha.example.", Type: "A", TTL: 300, Records: []sim.Record{{Content: "192.0.2.99"}}}))
	_, _, job := s.Post("/sets/update", append(form, "ttl", "300", "records", "192.0.2.55")...)
	page := s.Await(job, "conflict")
	for _, want := range []string{"192.0.2.1, 192.0.2.2", "192.0.2.55", "192.0.2.99"} {
		if !strings.Contains(page, want) {
			t.Errorf("the job's page lacks %q:\n%s", want, page)
		}
	}
	if status, _, _ := s.Post("/jobs/" + job + "/overwrite"); status != http.StatusSeeOther {
		t.Fatalf("overwrite: status %d", status)
	}
	s.WaitForText(sets+"&q=192.0.2.55&state=synced", "1 record set with")
}

func TestInvalidFormsChangeNothingAndSayWhatToFix(t *testing.T) {
	t.Parallel()
	s := connected(t)
	before := s.server.Calls()[sim.OpChangeSets]
	create := []string{"instance", "main/alpha.example.", "name", "x"}
	for _, c := range []struct {
		path, want string
		form       []string
		status     int
	}{
		{"/sets/create", "there is no record", append(create, "type", "A", "ttl", "60"), 422},
		{"/sets/create", "the TTL is not valid", append(create, "type", "A", "ttl", "-1", "records", "192.0.2.1"), 422},
		{"/sets/create", "is not a type of record", append(create, "type", "SOA", "ttl", "60", "records", "x"), 422},
		{"/sets/update", "the list has no row", []string{"instance", "main/alpha.example.", "row", "x", "seen", "x"}, 422},
		{"/sets/update", "does not belong to this row", append(s.form(sets)[:4], "seen", "x"), 422},
		{"/sets/delete", "select the checkbox", s.form(sets), 422},
		{"/sets/create", "is not in the list of zones", []string{"instance", "main/none.example."}, 404},
		{"/sets/frobnicate", "not found", s.form(sets), 404},
		{"/zones/create", "the name is missing", nil, 422},
		{"/zones/create", "more than 40 characters", []string{"name", "x", "account", strings.Repeat("a", 41)}, 422},
		{"/zones/delete", "select the checkbox", s.form("/"), 422},
	} {
		status, page, _ := s.Post(c.path, c.form...)
		if status != c.status || !strings.Contains(strings.ToLower(page), strings.ToLower(c.want)) {
			t.Errorf("%s %v: status %d, want %d and %q:\n%s", c.path, c.form, status, c.status, c.want, page)
		}
	}
	if after := s.server.Calls()[sim.OpChangeSets]; after != before {
		t.Errorf("%d calls changed sets", after-before)
	}
}

func TestExampleWithoutFlagsHasItsOwnPowerDNS(t *testing.T) {
	t.Parallel()
	s := startExample(t)
	s.WaitForText("/", "2 zones")
	s.WaitForText(sets, "40 record sets")
	for path, want := range map[string]string{"/elsewhere": "Edit at PowerDNS", "/held": "There are no held syncs", "/admin/sync/": "PowerDNS"} {
		if status, page := s.Get(path); status != http.StatusOK || !strings.Contains(page, want) {
			t.Errorf("%s: status %d, want %q:\n%s", path, status, want, page)
		}
	}
	for want, form := range map[string][]string{
		"has 1 record at": {"zone", "alpha.example.", "name", "new", "type", "A", "records", "192.0.2.77"},
		"There is no zon": {"zone", "none.example.", "name", "new", "type", "A", "records", "192.0.2.77"},
	} {
		if _, page, _ := s.Post("/elsewhere", form...); !strings.Contains(page, want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
	s.Do("/sync", "what", "sets", "instance", "main/alpha.example.")
	s.WaitForText(sets, "41 record sets")
	s.Do("/sync", "what", "zones")
}
