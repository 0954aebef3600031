package main

import (
	"html"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/nawasara/nawasync/examples/whm/whmsim/sim"
)

func TestEachAccountFormChangesTheServerExactlyAsAsked(t *testing.T) {
	t.Parallel()
	everywhere(t, 40, func(t *testing.T, s *site) {
		s.do("/sync", "what", "accounts")
		page := s.do("/accounts/create", "username", "acme", "domain", "acme.example", "contact", "boss@acme.example", "plan", "basic", "password", password)
		if !strings.Contains(page, `"password":"***"`) || !s.server.AccountPassword("acme", password) {
			t.Errorf("created:\n%s", page)
		}
		s.do("/accounts/update_package", "username", "acme", "plan", "business")
		if state := s.server.Account("acme"); *state.Plan != "business" {
			t.Errorf("plan: %+v", state)
		}
		s.do("/accounts/update_password", "username", "acme", "password", password+"2")
		if !s.server.AccountPassword("acme", password+"2") {
			t.Error("another password was set")
		}
		s.do("/accounts/suspend", "username", "acme", "reason", "unpaid")
		if state := s.server.Account("acme"); !*state.Suspended || *state.Reason != "unpaid" {
			t.Errorf("suspended: %+v", state)
		}
		if _, page := s.get("/accounts?q=acme"); !strings.Contains(page, "suspended: unpaid") || !strings.Contains(page, "20000 MB") {
			t.Errorf("the page does not show it:\n%s", page)
		}
		s.do("/accounts/unsuspend", "username", "acme")
		if state := s.server.Account("acme"); *state.Suspended {
			t.Errorf("unsuspended: %+v", state)
		}
		s.do("/accounts/terminate", "username", "acme", "sure", "yes")
		state := s.server.Account("acme")
		if state.Exists {
			t.Errorf("terminated: %+v", state)
		}
		for function, n := range state.Actions {
			if n != 1 {
				t.Errorf("%s was done %d times", function, n)
			}
		}
		if strings.Contains(s.out.String(), password) {
			t.Error("createacct's output got into the log")
		}
	})
}

// A mailbox's form is open while somebody else changes the mailbox on the server.
func TestConflictIsSeenAndAnsweredOnThePages(t *testing.T) {
	t.Parallel()
	everywhere(t, 40, func(t *testing.T, s *site) {
		s.do("/sync")
		const email = "info@alpha.example"
		for answer, want := range map[string]int64{"resync": 50, "rebase": 444, "overwrite": 445} {
			_, page := s.get("/?q=" + email)
			seen := regexp.MustCompile(`name="seen" value="(\{[^<>]*\})"`).FindStringSubmatch(page)
			if seen == nil {
				t.Fatalf("the form does not carry what its reader saw:\n%s", page)
			}
			quota := int64(50)
			if now := s.server.Mailbox(email); *now.QuotaMB == quota {
				quota = 51
			}
			noError(t, s.server.Edit(email, sim.State{QuotaMB: &quota}))
			asked := map[string]string{"resync": "443", "rebase": "444", "overwrite": "445"}[answer]
			_, _, job := s.post("/mailboxes/update_quota", "email", email, "seen", html.UnescapeString(seen[1]), "quota_mb", asked)
			page = s.await(job, "conflict")
			if !strings.Contains(page, "As it is on the server") {
				t.Fatal(page)
			}
			if now := s.server.Mailbox(email); *now.QuotaMB != quota {
				t.Errorf("it was overwritten: %+v", now)
			}
			s.shows("/?state=conflict&q="+email, "1 mailboxes with")
			client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
			resp, err := client.PostForm(s.url+"/jobs/"+job+"/"+answer, nil)
			noError(t, err)
			resp.Body.Close()
			if resp.StatusCode != http.StatusSeeOther {
				t.Fatalf("%s: %d", answer, resp.StatusCode)
			}
			s.await(filepath.Base(resp.Header.Get("Location")), "success")
			if answer == "resync" {
				want = quota
			}
			if now := s.server.Mailbox(email); *now.QuotaMB != want {
				t.Errorf("after %s: %d", answer, *now.QuotaMB)
			}
			s.shows("/?state=synced&q="+email, "1 mailboxes with")
		}
	})
}

func TestSomebodyElsePageChangesASimulatedServerOnly(t *testing.T) {
	t.Parallel()
	out := &output{}
	folder := t.TempDir()
	address := begin(t, out, "-addr", "127.0.0.1:0", "-dsn", "sqlite:"+filepath.Join(folder, "whm.db"), "-key", filepath.Join(folder, "key"))
	s := &site{t: t, url: address, out: out}
	for _, instance := range []string{"main", "backup"} {
		s.do("/sync", "instance", instance)
		_, page := s.get("/?instance=" + instance)
		if !strings.Contains(page, map[string]string{"main": "40 mailboxes", "backup": "10 mailboxes"}[instance]) {
			t.Errorf("%s:\n%s", instance, page)
		}
	}
	if _, page, _ := s.post("/elsewhere", "instance", "backup", "email", "info@alpha.example", "quota_mb", "77"); !strings.Contains(page,
		"has a quota of 77 MB there now") {
		t.Error(page)
	}
	s.do("/sync", "instance", "backup")
	if _, page := s.get("/?instance=backup&q=info@alpha"); !strings.Contains(page, "77 MB") {
		t.Error(page)
	}
	if _, page := s.get("/?instance=main&q=info@alpha"); strings.Contains(page, "77 MB") {
		t.Error("another server's mailbox was changed too")
	}
	other, _, _ := embedded(t, 40)
	if _, page := other.get("/elsewhere"); !strings.Contains(page, "This server is a real one") {
		t.Error(page)
	}
}

// The mailboxes of a suspended account cannot be listed: they stay.
func TestMailboxesOfASuspendedAccountStay(t *testing.T) {
	t.Parallel()
	s, _, _ := embedded(t, 40)
	s.do("/sync")
	yes := true
	noError(t, s.server.EditAccount("alpha", sim.AccountState{Suspended: &yes}))
	for range 3 {
		if page := s.do("/sync"); !strings.Contains(page, `"missing":0,"deleted":0`) {
			t.Error(page)
		}
	}
	if _, page := s.get("/"); !strings.Contains(page, "40 mailboxes") {
		t.Error("they are gone")
	}
}

// The light listing knows no quota, and the heavy one fills it in.
func TestLightListingLeavesQuotasAsTheyAre(t *testing.T) {
	t.Parallel()
	s, _, _ := embedded(t, 40)
	page := s.do("/sync", "what", "light")
	if !strings.Contains(page, `"created":40`) {
		t.Fatal(page)
	}
	if _, list := s.get("/"); !strings.Contains(list, "unknown") {
		t.Error("a quota that nobody has asked for is known")
	}
	if page := s.do("/sync"); !strings.Contains(page, `"updated":40`) || strings.Contains(page, "drifted") {
		t.Error(page)
	}
	if page := s.do("/sync", "what", "light"); !strings.Contains(page, `"unchanged":40`) {
		t.Error(page)
	}
	if _, list := s.get("/?q=info@alpha"); !strings.Contains(list, "250 MB") {
		t.Error(list)
	}
}
