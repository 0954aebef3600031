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
	"strings"
	"testing"

	"github.com/nawasara/nawasync/examples/internal/sitetest"
	"github.com/nawasara/nawasync/examples/keycloak/kcsim/sim"
)

const clientSecret, userPassword = "SECRET-7a10c4be9d", "Correct-horse-7"

// running is a running example, with the simulated Keycloak that it changes.
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
		"-addr", "127.0.0.1:0", "-schedules=false", "-dsn", "sqlite:" + filepath.Join(dir, "keycloak.db"), "-key", filepath.Join(dir, "key"),
	}, args...), func(string) string { return "" }, io.Discard)
	noError(t, err)
	out := &sitetest.Output{}
	address := sitetest.Start(t, out, func(ctx context.Context, out io.Writer, logger *slog.Logger) error { return run(ctx, s, out, logger) })
	return &sitetest.Site{T: t, URL: address, Out: out}
}

// connected runs the example with a simulated Keycloak that the test can change.
func connected(t *testing.T) *running {
	t.Helper()
	server := sim.New(sim.Options{Realms: []sim.Realm{{Name: "main", Secret: clientSecret}}, Users: 12})
	listener := httptest.NewServer(server)
	t.Cleanup(listener.Close)
	file := filepath.Join(t.TempDir(), "secret")
	noError(t, os.WriteFile(file, []byte(clientSecret+"\n"), 0o600))
	s := &running{startExample(t, "-keycloak-url", listener.URL+"/", "-keycloak-secret-file", "main="+file), server}
	s.WaitForText("/", "12 users")
	s.WaitForText("/clients", "2 clients")
	return s
}

var (
	rowField  = regexp.MustCompile(`name="row" value="(\d+)"`)
	seenField = regexp.MustCompile(`name="seen" value="([^"]+)"`)
)

// form returns the fields of the forms of the only row that a search finds.
func (s *running) form(path, search string) []string {
	s.T.Helper()
	_, page := s.Get(path + "?q=" + search)
	row, seen := rowField.FindStringSubmatch(page), seenField.FindStringSubmatch(page)
	if row == nil || seen == nil {
		s.T.Fatalf("the search for %s finds no row:\n%s", search, page)
	}
	return []string{"instance", "main", "row", row[1], "seen", seen[1]}
}

// user returns a user as the server has it, or nil.
func (s *running) user(name string) sim.Object {
	for _, u := range s.server.Users("main") {
		if u.Text("username") == name {
			return u
		}
	}
	return nil
}

func TestFormsChangeUsersAsAsked(t *testing.T) {
	t.Parallel()
	s := connected(t)
	s.Do("/users/create", "username", "New.User", "email", "New@Main.Example", "first_name", "New", "last_name", "User", "password", userPassword)
	s.WaitForText("/?q=new.user&state=synced", "1 user")
	if text, temporary := s.server.Password("main", "new.user"); text != userPassword || temporary {
		t.Errorf("the user has the password of the form: %t, temporary: %t", text == userPassword, temporary)
	}
	s.Do("/users/disable", s.form("/", "new.user")...)
	s.Do("/users/update", append(s.form("/", "new.user"), "email", "new@main.example", "first_name", "New", "last_name", "Name", "email_verified", "yes")...)
	s.Do("/users/password", append(s.form("/", "new.user"), "password", userPassword+"2", "temporary", "yes")...)
	s.WaitForText("/?q=new.user&state=synced", "UPDATE_PASSWORD")
	if u := s.user("new.user"); u["enabled"] != false || u["lastName"] != "Name" || u["emailVerified"] != true {
		t.Errorf("the changed user is %v", u)
	}
	s.Do("/users/delete", append(s.form("/", "new.user"), "sure", "yes")...)
	if u := s.user("new.user"); u != nil {
		t.Errorf("the deleted user is still there: %v", u)
	}
	texts := map[string]string{"the log": s.Out.String()}
	for _, path := range []string{"/", "/jobs/3", "/jobs/4", "/jobs/5", "/jobs/6", "/jobs/7", "/admin/jobs/4", "/admin/jobs/7", "/admin/jobs.json"} {
		_, texts[path] = s.Get(path)
	}
	for where, text := range texts {
		for _, secret := range []string{clientSecret, userPassword} {
			if strings.Contains(text, secret) {
				t.Errorf("%s contains %s", where, secret)
			}
		}
	}
}

func TestFormsChangeClientsAsAskedAndNoPageHasTheirSecrets(t *testing.T) {
	t.Parallel()
	s := connected(t)
	s.Do("/clients/create", "client_id", "app", "name", "App", "redirect_uris", "https://a.example/*\r\nhttps://b.example/*", "enabled", "yes")
	s.Do("/clients/update", append(s.form("/clients", "app"), "name", "App 2", "redirect_uris", "https://b.example/*", "enabled", "yes")...)
	secret := ""
	for _, c := range s.server.Apps("main") {
		if c.Text("clientId") == "app" {
			secret = c.Text("secret")
			if uris, _ := c["redirectUris"].([]any); len(uris) != 1 || c["name"] != "App 2" {
				t.Errorf("the changed client has the name %v and the redirect URIs %v", c["name"], uris)
			}
		}
	}
	if len(secret) < 20 {
		t.Fatal("the server gave the client no secret")
	}
	for _, path := range []string{"/clients", "/jobs/1", "/jobs/2", "/jobs/3", "/jobs/4", "/admin/", "/admin/jobs/3", "/admin/jobs/4"} {
		if _, page := s.Get(path); strings.Contains(page, secret) || strings.Contains(page, clientSecret) {
			t.Errorf("the page %s has a secret", path)
		}
	}
	s.Do("/clients/delete", append(s.form("/clients", "app"), "sure", "yes")...)
	s.Do("/clients/create", "client_id", "bare", "enabled", "yes")
	for _, c := range s.server.Apps("main") {
		if uris, _ := c["redirectUris"].([]any); c.Text("clientId") == "bare" && len(uris) != 0 {
			t.Errorf("a client without redirect URIs in its form has %v", uris)
		}
	}
}

// The form is rendered before the user changes at Keycloak, and is sent after that.
func TestChangeOfWhatSomebodyElseHasChangedIsAConflict(t *testing.T) {
	t.Parallel()
	s := connected(t)
	form := s.form("/", "ayu.adi")
	noError(t, s.server.PutUser("main", "ayu.adi", sim.Object{"lastName": "Theirs"}))
	_, _, job := s.Post("/users/update", append(form, "email", "ayu.adi@main.example", "first_name", "Ayu", "last_name", "Mine")...)
	page := s.Await(job, "conflict")
	for _, want := range []string{"Adi", "Mine", "Theirs"} {
		if !strings.Contains(page, want) {
			t.Errorf("the job's page lacks %q:\n%s", want, page)
		}
	}
	if status, _, _ := s.Post("/jobs/" + job + "/overwrite"); status != http.StatusSeeOther {
		t.Fatalf("overwrite: status %d", status)
	}
	s.WaitForText("/?q=ayu.adi&state=synced", "Mine")
}

func TestInvalidFormsChangeNothingAndSayWhatToFix(t *testing.T) {
	t.Parallel()
	s := connected(t)
	for _, c := range []struct {
		path, want string
		form       []string
		status     int
	}{
		{"/users/create", "enter 3 to 255 characters", []string{"username", "ab"}, 422},
		{"/users/create", "enter 8 to 200 characters", []string{"username", "abc", "password", "short"}, 422},
		{"/users/password", "enter 8 to 200 characters", append(s.form("/", "ayu.adi"), "password", "short"), 422},
		{"/users/update", "The list has no row", []string{"row", "x", "seen", "x"}, 422},
		{"/users/disable", "does not belong to this row", append(s.form("/", "ayu.adi")[:4], "seen", "x"), 422},
		{"/users/delete", "select the checkbox", s.form("/", "ayu.adi"), 422},
		{"/users/enable", "already has the requested values", s.form("/", "ayu.adi"), 422},
		{"/clients/create", "the client id is missing", nil, 422},
		{"/clients/delete", "select the checkbox", s.form("/clients", "portal"), 422},
		{"/users/frobnicate", "not found", s.form("/", "ayu.adi"), 404},
	} {
		status, page, _ := s.Post(c.path, c.form...)
		if status != c.status || !strings.Contains(strings.ToLower(page), strings.ToLower(c.want)) {
			t.Errorf("%s %v: status %d, want %d and %q:\n%s", c.path, c.form, status, c.status, c.want, page)
		}
	}
	if len(s.server.Users("main")) != 12 || s.server.Calls(sim.OpEditUser) != 0 {
		t.Error("an invalid form has changed a user")
	}
}

func TestExampleWithoutFlagsHasItsOwnKeycloak(t *testing.T) {
	t.Parallel()
	s := startExample(t)
	s.WaitForText("/?instance=main", "40 users")
	s.WaitForText("/?instance=shop", "4 users")
	for path, want := range map[string]string{"/elsewhere": "Edit at Keycloak", "/held": "There are no held syncs", "/admin/sync/": "Keycloak"} {
		if status, page := s.Get(path); status != http.StatusOK || !strings.Contains(page, want) {
			t.Errorf("%s: status %d, want %q:\n%s", path, status, want, page)
		}
	}
	for _, c := range []struct {
		action, want string
		form         []string
	}{
		{"user", "has the last name Other", []string{"name", "ayu.adi", "value", "Other"}},
		{"hide", "may see the user budi.adi: no", []string{"name", "budi.adi", "yes", "yes"}},
		{"remove", "was deleted", []string{"name", "citra.adi"}},
		{"client", "has the name Door", []string{"name", "portal", "value", "Door"}},
		{"revoke", "have ended", nil},
		{"forbid", "has its roles: yes", []string{"yes", "no"}},
		{"remove", "no user with the name", []string{"name", "nobody"}},
	} {
		if _, page, _ := s.Post("/elsewhere/"+c.action, append(c.form, "instance", "main")...); !strings.Contains(strings.ToLower(page), strings.ToLower(c.want)) {
			t.Errorf("%s: the page lacks %q:\n%s", c.action, c.want, page)
		}
	}
	s.Do("/sync", "what", "users", "instance", "main")
	s.WaitForText("/?instance=main&q=ayu.adi", "Other")
}
