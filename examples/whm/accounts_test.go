package main

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nawasara/nawasync/examples/whm/whmsim/sim"
)

func TestEachAccountFormChangesTheServerExactlyAsAsked(t *testing.T) {
	t.Parallel()
	everywhere(t, 40, func(t *testing.T, s *running) {
		s.do("/sync", "what", "accounts")
		page := s.do("/accounts/create", "username", "acme", "domain", "acme.example", "contact", "boss@acme.example", "plan", "basic", "password", password)
		if !strings.Contains(page, `"password":"***"`) || !s.server.AccountPassword("acme", password) {
			t.Errorf("create: the page or the server lacks the account:\n%s", page)
		}
		s.do("/accounts/update_package", "username", "acme", "plan", "business")
		if state := s.server.Account("acme"); *state.Plan != "business" {
			t.Errorf("update_package: account %+v, want the plan business", state)
		}
		s.do("/accounts/update_password", "username", "acme", "password", password+"2")
		if !s.server.AccountPassword("acme", password+"2") {
			t.Error("update_password: the server does not have the new password")
		}
		s.do("/accounts/suspend", "username", "acme", "reason", "unpaid")
		if state := s.server.Account("acme"); !*state.Suspended || *state.Reason != "unpaid" {
			t.Errorf("suspend: account %+v, want it suspended with the reason unpaid", state)
		}
		if _, page := s.get("/accounts?q=acme"); !strings.Contains(page, "Suspended: unpaid") || !strings.Contains(page, "20000 MB") {
			t.Errorf("the page does not show the suspension and the disk limit:\n%s", page)
		}
		s.do("/accounts/unsuspend", "username", "acme")
		if state := s.server.Account("acme"); *state.Suspended {
			t.Errorf("unsuspend: account %+v, want it active", state)
		}
		s.do("/accounts/terminate", "username", "acme", "sure", "yes")
		state := s.server.Account("acme")
		if state.Exists {
			t.Errorf("terminate: account %+v, want it deleted", state)
		}
		for function, n := range state.Actions {
			if n != 1 {
				t.Errorf("%s changed the account %d times, want once", function, n)
			}
		}
		if strings.Contains(s.out.String(), password) {
			t.Error("the log contains the password")
		}
	})
}

// Each form is rendered before the mailbox changes on the server, and is submitted after the change.
func TestConflictIsShownAndAnsweredOnThePages(t *testing.T) {
	t.Parallel()
	everywhere(t, 40, func(t *testing.T, s *running) {
		s.do("/sync")
		const email = "info@alpha.example"
		for answer, want := range map[string]int64{"keep_theirs": 50, "accept": 50, "apply_mine": 444, "overwrite": 445} {
			seen := s.seen(email)
			quota := int64(50)
			if current := s.server.Mailbox(email); *current.QuotaMB == quota {
				quota = 51
			}
			noError(t, s.server.Edit(email, sim.State{QuotaMB: &quota}))
			requested := map[string]string{"keep_theirs": "443", "accept": "446", "apply_mine": "444", "overwrite": "445"}[answer]
			_, _, job := s.post("/mailboxes/update_quota", "email", email, "seen", seen, "quota_mb", requested)
			page := s.await(job, "conflict")
			if !strings.Contains(page, "<th>On the server</th>") || !strings.Contains(page, fmt.Sprintf("%d MB", quota)) || !strings.Contains(page, requested+" MB") {
				t.Fatalf("the job's page does not show the conflict:\n%s", page)
			}
			if current := s.server.Mailbox(email); *current.QuotaMB != quota {
				t.Errorf("the conflict overwrote the mailbox: %+v, want a quota of %d MB", current, quota)
			}
			s.waitForText("/?state=conflict&q="+email, "1 mailbox with")
			client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
			resp, err := client.PostForm(s.url+"/jobs/"+job+"/"+answer, url.Values{"token": {rand.Text()}})
			noError(t, err)
			resp.Body.Close()
			if resp.StatusCode != http.StatusSeeOther {
				t.Fatalf("answer %s: status %d, want %d", answer, resp.StatusCode, http.StatusSeeOther)
			}
			s.await(filepath.Base(resp.Header.Get("Location")), "success")
			if answer == "keep_theirs" || answer == "accept" {
				want = quota
			}
			if current := s.server.Mailbox(email); *current.QuotaMB != want {
				t.Errorf("after %s the quota is %d MB, want %d MB", answer, *current.QuotaMB, want)
			}
			s.waitForText("/?state=synced&q="+email, "1 mailbox with")
		}
	})
}

func TestEditOnServerPageChangesOnlyASimulatedServer(t *testing.T) {
	t.Parallel()
	out := &output{}
	dir := t.TempDir()
	address := startExample(t, out, "-addr", "127.0.0.1:0", "-dsn", "sqlite:"+filepath.Join(dir, "whm.db"), "-key", filepath.Join(dir, "key"))
	s := &running{t: t, url: address, out: out}
	for _, instance := range []string{"main", "backup"} {
		s.do("/sync", "instance", instance)
		_, page := s.get("/?instance=" + instance)
		if !strings.Contains(page, map[string]string{"main": "40 mailboxes", "backup": "10 mailboxes"}[instance]) {
			t.Errorf("the list of %s does not have all mailboxes:\n%s", instance, page)
		}
	}
	if _, page, _ := s.post("/elsewhere", "instance", "backup", "email", "info@alpha.example", "quota_mb", "77"); !strings.Contains(page,
		"now has a quota of 77 MB on the server") {
		t.Errorf("the page does not confirm the change:\n%s", page)
	}
	s.do("/sync", "instance", "backup")
	if _, page := s.get("/?instance=backup&q=info@alpha"); !strings.Contains(page, "77 MB") {
		t.Errorf("the changed quota is not in the list:\n%s", page)
	}
	if _, page := s.get("/?instance=main&q=info@alpha"); strings.Contains(page, "77 MB") {
		t.Error("the mailbox of the server main changed too")
	}
	other, _, _ := embedded(t, 40)
	if _, page := other.get("/elsewhere"); !strings.Contains(page, "This page only changes simulated servers in this process.") {
		t.Errorf("the page offers to change a real server:\n%s", page)
	}
}

// WHM cannot list the mailboxes of a suspended account, so a sync must keep their rows.
func TestMailboxesOfASuspendedAccountStay(t *testing.T) {
	t.Parallel()
	s, _, _ := embedded(t, 40)
	s.do("/sync")
	yes := true
	noError(t, s.server.EditAccount("alpha", sim.AccountState{Suspended: &yes}))
	for range 3 {
		if page := s.do("/sync"); !strings.Contains(page, `"missing":0,"confirming":0`) {
			t.Errorf("the sync found missing mailboxes:\n%s", page)
		}
	}
	if _, page := s.get("/"); !strings.Contains(page, "40 mailboxes") {
		t.Error("the list does not have all 40 mailboxes")
	}
}

// The listing without disk usage has no quotas. The listing with disk usage adds them.
func TestLightListingLeavesQuotasAsTheyAre(t *testing.T) {
	t.Parallel()
	s, _, _ := embedded(t, 40)
	page := s.do("/sync", "what", "light")
	if !strings.Contains(page, `"created":40`) {
		t.Fatalf("the first sync did not create 40 rows:\n%s", page)
	}
	if _, list := s.get("/"); !strings.Contains(list, "Unknown") {
		t.Error("the list shows quotas before they were listed")
	}
	if page := s.do("/sync"); !strings.Contains(page, `"updated":40`) || strings.Contains(page, "drifted") {
		t.Errorf("the sync with disk usage did not only add quotas:\n%s", page)
	}
	if page := s.do("/sync", "what", "light"); !strings.Contains(page, `"unchanged":40`) {
		t.Errorf("the sync without disk usage changed rows:\n%s", page)
	}
	if _, list := s.get("/?q=info@alpha"); !strings.Contains(list, "250 MB") {
		t.Errorf("the list lacks the quota:\n%s", list)
	}
}
