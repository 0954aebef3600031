package kcapi_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync/examples/keycloak/kcapi"
	"github.com/nawasara/nawasync/examples/keycloak/kcsim/sim"
	"github.com/nawasara/nawasync/fault"
)

func TestEachRealmHasATokenThatIsReplacedBeforeItExpires(t *testing.T) {
	t.Parallel()
	s := newSetup(t, nil)
	for range 3 {
		s.count(t)
	}
	if n := s.tokensReceived(); n != 2 {
		t.Errorf("%d tokens were requested for two realms, want 2", n)
	}
	for _, wrong := range []time.Duration{0, 7 * time.Hour, -7 * time.Hour} { // however wrong the server's clock is
		s.theirs.advance(wrong)
		if wrong != 0 {
			noError(t, s.server.Revoke("main"))
			noError(t, s.server.Revoke("shop"))
			s.count(t)
		}
		before := s.tokensReceived()
		for range 2 { // a token lives for 5 minutes and is replaced after 4
			s.theirs.advance(110 * time.Second)
			s.ours.advance(110 * time.Second)
			s.count(t)
		}
		if n := s.tokensReceived() - before; n != 0 {
			t.Errorf("%d tokens were requested in the first 220 s, want none", n)
		}
		s.theirs.advance(25 * time.Second)
		s.ours.advance(25 * time.Second)
		refused := s.server.Calls(sim.OpCount)
		s.count(t)
		if n := s.tokensReceived() - before; n != 2 || s.server.Calls(sim.OpCount)-refused != 2 {
			t.Errorf("%d tokens were requested before they expired, with %d calls; want 2 with 2", n, s.server.Calls(sim.OpCount)-refused)
		}
	}
}

func TestEndedTokenIsReplacedOnceAndARefusedClientIsOneOfCredentials(t *testing.T) {
	t.Parallel()
	s := newSetup(t, nil)
	s.count(t)
	s.theirs.advance(time.Hour) // the tokens expire, and this machine's clock does not know
	s.count(t)
	noError(t, s.server.Revoke("main"))
	s.count(t)
	if n := s.tokensReceived(); n != 5 {
		t.Errorf("%d tokens were requested, want 5", n)
	}
	for name, fields := range map[string]sim.Object{"another secret": {"secret": "changed"}, "disabled": {"enabled": false}} {
		noError(t, s.server.PutApp("main", "nawasync", fields))
		noError(t, s.server.Revoke("main"))
		_, err := s.client.CountUsers(t.Context(), "main")
		if fault.ClassOf(err) != fault.ClassCredentials || strings.Contains(err.Error(), "secret-of-main") {
			t.Errorf("%s: the error %v has the class %q", name, err, fault.ClassOf(err))
		}
	}
	if n, err := s.client.CountUsers(t.Context(), "shop"); err != nil || n != 4 {
		t.Errorf("the other realm answers %d, %v", n, err)
	}
}

func TestTokenOfOneRealmIsRefusedInAnother(t *testing.T) {
	t.Parallel()
	s := newSetup(t, func(c *kcapi.Config) { c.Realms[1].Name = "nothing" })
	_, err := s.client.CountUsers(t.Context(), "nothing")
	if fault.ClassOf(err) != fault.ClassConfig {
		t.Errorf("a realm that does not exist: %v of the class %q", err, fault.ClassOf(err))
	}
	if _, err := s.client.CountUsers(t.Context(), "shop"); fault.ClassOf(err) != fault.ClassConfig {
		t.Errorf("a realm that is not configured: %v of the class %q", err, fault.ClassOf(err))
	}
	token := func(realm string) string {
		answer, err := http.PostForm(s.url+"/realms/"+realm+"/protocol/openid-connect/token", map[string][]string{ //nolint:noctx // a test
			"grant_type": {"client_credentials"}, "client_id": {"nawasync"}, "client_secret": {"secret-of-" + realm},
		})
		noError(t, err)
		defer func() { _ = answer.Body.Close() }()
		var t1 struct {
			Text string `json:"access_token"`
		}
		noError(t, json.NewDecoder(answer.Body).Decode(&t1))
		return t1.Text
	}
	for realm, want := range map[string]int{"main": http.StatusOK, "shop": http.StatusForbidden} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/admin/realms/"+realm+"/users", http.NoBody)
		noError(t, err)
		r.Header.Set("Authorization", "Bearer "+token("main"))
		answer, err := http.DefaultClient.Do(r)
		noError(t, err)
		_ = answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("with a token of main, the realm %s answers %d, want %d", realm, answer.StatusCode, want)
		}
	}
}
