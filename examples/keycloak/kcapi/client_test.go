package kcapi_test

import (
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nawasara/nawasync/examples/keycloak/kcapi"
	"github.com/nawasara/nawasync/examples/keycloak/kcsim/sim"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/remote"
	"github.com/nawasara/nawasync/secret"
)

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// clock is a time that a test sets.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// setup is a simulated Keycloak and a client, each with a clock of its own.
type setup struct {
	server         *sim.Server
	client         *kcapi.Client
	url            string
	theirs, ours   *clock
	tokensReceived func() int
}

func newSetup(t *testing.T, change func(*kcapi.Config)) *setup {
	t.Helper()
	s := &setup{theirs: &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}, ours: &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}}
	s.server = sim.New(sim.Options{
		Realms: []sim.Realm{{Name: "main", Secret: "secret-of-main"}, {Name: "shop", Secret: "secret-of-shop"}}, Users: 4, Now: s.theirs.Now,
	})
	listener := httptest.NewServer(s.server)
	t.Cleanup(listener.Close)
	s.url = listener.URL
	config := kcapi.Config{URL: listener.URL, Remote: remote.Config{Now: s.ours.Now}}
	for _, name := range []string{"main", "shop"} {
		config.Realms = append(config.Realms, kcapi.Realm{Name: name, ClientID: "nawasync", Secret: secret.New("secret-of-" + name)})
	}
	if change != nil {
		change(&config)
	}
	client, err := kcapi.New(config)
	noError(t, err)
	s.client, s.tokensReceived = client, func() int { return s.server.Calls(sim.OpToken) }
	return s
}

// count makes a call in each realm, which must succeed.
func (s *setup) count(t *testing.T) {
	t.Helper()
	for _, name := range []string{"main", "shop"} {
		if n, err := s.client.CountUsers(t.Context(), name); err != nil || n != 4 {
			t.Errorf("the realm %s has %d users, %v; want 4", name, n, err)
		}
	}
}

func TestAddressMayEndWithSlashes(t *testing.T) {
	t.Parallel()
	for _, end := range []string{"", "/", "//", "/ "} {
		newSetup(t, func(c *kcapi.Config) { c.URL += end }).count(t)
	}
	s := newSetup(t, func(c *kcapi.Config) { c.URL += "/auth" })
	if _, err := s.client.CountUsers(t.Context(), "main"); fault.ClassOf(err) != fault.ClassConfig {
		t.Errorf("a wrong path: %v of the class %q", err, fault.ClassOf(err))
	}
	for want, change := range map[string]func(*kcapi.Config){
		"is not a URL":            func(c *kcapi.Config) { c.URL = "id.example" },
		"use https":               func(c *kcapi.Config) { c.URL = "http://id.example" },
		"contains a user":         func(c *kcapi.Config) { c.URL = "https://admin:hunter2@id.example" },
		"no client or no secret":  func(c *kcapi.Config) { c.Realms[0].Secret = secret.Secret{} },
		"not the name of a realm": func(c *kcapi.Config) { c.Realms[0].Name = "a/b" },
	} {
		config := kcapi.Config{URL: "https://id.example", Realms: []kcapi.Realm{{Name: "main", ClientID: "x", Secret: secret.New("hunter2")}}}
		change(&config)
		if _, err := kcapi.New(config); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("New returned %v, want %q", err, want)
		}
	}
}

// What the path of an object's identifier must not do.
func TestIdentifierIsOnePartOfThePath(t *testing.T) {
	t.Parallel()
	s := newSetup(t, nil)
	for _, id := range []string{"", ".", "..", "a/b", "x\n", strings.Repeat("x", 300)} {
		if _, err := s.client.User(t.Context(), "main", id); fault.ClassOf(err) != fault.ClassPermanent {
			t.Errorf("the identifier %.10q: %v of the class %q", id, err, fault.ClassOf(err))
		}
	}
	for _, id := range []string{"a b", "a%2Fb", "?x=1", "f:1:ann@example.org"} {
		if _, err := s.client.User(t.Context(), "main", id); fault.ClassOf(err) != fault.ClassGone {
			t.Errorf("the identifier %q: %v of the class %q", id, err, fault.ClassOf(err))
		}
	}
}

func TestUpdateKeepsWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	s := newSetup(t, nil)
	u, err := s.client.FindUser(t.Context(), "main", "AYU.ADI")
	noError(t, err)
	noError(t, s.client.UpdateUser(t.Context(), "main", u.ID, map[string]any{
		"firstName": "A", "requiredActions": kcapi.Set{Add: []string{"VERIFY_EMAIL", "VERIFY_EMAIL"}, Remove: []string{"UPDATE_PASSWORD"}},
	}))
	for _, o := range s.server.Users("main") {
		if o.Text("username") != "ayu.adi" {
			continue
		}
		phone, _ := o["attributes"].(map[string]any)
		actions, _ := o["requiredActions"].([]any)
		if o["firstName"] != "A" || o["lastName"] != "Adi" || o["email"] != u.Email || len(phone) != 1 || len(actions) != 1 {
			t.Errorf("the user is %v", o)
		}
	}
}

func TestListingOfAllUsersHasEachOnceAndEndsWithAnErrorIfAPageFails(t *testing.T) {
	t.Parallel()
	s := newSetup(t, func(c *kcapi.Config) { c.PageSize = 3 })
	list := func() (names []string, err error) {
		for page, err := range s.client.Users(t.Context(), "main", "") {
			if err != nil {
				return names, err
			}
			for _, u := range page.Items {
				names = append(names, u.Username)
			}
		}
		return names, nil
	}
	names, err := list()
	noError(t, err)
	if want := []string{"ayu.adi", "budi.adi", "citra.adi", "dewi.adi"}; !slices.Equal(names, want) {
		t.Errorf("listed %v, want %v", names, want)
	}
	noError(t, s.server.Hide("main", true, "budi.adi"))
	if names, err = list(); err != nil || len(names) != 3 {
		t.Errorf("with a hidden user, listed %v, %v", names, err)
	}
	for _, mode := range []sim.Mode{sim.ModeDown, sim.ModeError, sim.ModeHTML, sim.ModeLost, sim.ModeCut, sim.ModeRateLimit} {
		noError(t, s.server.Inject(sim.Fault{Operation: sim.OpUsers, First: "3", Mode: mode, Seconds: 60}))
		if names, err := list(); err == nil {
			t.Errorf("%s: listed %v without an error", mode, names)
		}
		s.server.Clear()
		s.ours.advance(time.Hour)
		s.theirs.advance(time.Hour)
	}
}
