package iam_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nawasara/nawasync/examples/keycloak/kcapi"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/remote"
)

// sender counts requests for access tokens, and keeps the last token that was sent.
type sender struct {
	tokens atomic.Int64
	last   atomic.Value // a string: "Bearer …"
}

func (s *sender) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.URL.Path, "/token") {
		s.tokens.Add(1)
	} else {
		s.last.Store(r.Header.Get("Authorization"))
	}
	return http.DefaultTransport.RoundTrip(r)
}

// clientAt returns a client whose clock shows a time that is wrong by a duration, and stands still.
func (s *server) clientAt(t *testing.T, wrong time.Duration) (*kcapi.Client, *sender) {
	t.Helper()
	sent, now := &sender{}, time.Now().Add(wrong)
	return s.api(t, remote.Config{Base: sent, Now: func() time.Time { return now }}, 0), sent
}

// status returns the status of a call with an access token.
func (s *server) status(t *testing.T, path, authorization string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+path, http.NoBody)
	enginetest.NoError(t, err)
	r.Header.Set("Authorization", authorization)
	answer, err := s.client.Do(r)
	enginetest.NoError(t, err)
	enginetest.NoError(t, answer.Body.Close())
	return answer.StatusCode
}

func TestTokenThatEndsEarlyIsReplacedOnceHoweverWrongTheClockIs(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *server) {
		realm := s.realms[0].Name
		for i, end := range s.tokenEnds() {
			wrong := []time.Duration{7 * time.Hour, -7 * time.Hour}[i%2]
			api, sent := s.clientAt(t, wrong)
			count := func() (token string, err error) {
				_, err = api.CountUsers(t.Context(), realm)
				token, _ = sent.last.Load().(string)
				return token, err
			}
			end.before(t)
			first, err := count()
			enginetest.NoError(t, err)
			for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
				if end.now(t, strings.TrimPrefix(first, "Bearer ")); s.status(t, "/admin/realms/"+realm, first) == http.StatusUnauthorized {
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("%s: the server still takes the token", end.name)
				}
			}
			if second, err := count(); err != nil || sent.tokens.Load() != 2 || second == first {
				t.Errorf("%s: with a clock that is wrong by %s, a call ended with %v after %d requests for a token, want success after 2",
					end.name, wrong, err, sent.tokens.Load())
			}
			end.after(t)
		}
	})
}

// tokenEnd is a way in which the access tokens of a realm end before a client expects it.
type tokenEnd struct {
	name          string
	before, after func(*testing.T)
	now           func(t *testing.T, token string)
}

// tokenEnds returns the ways that the server has.
func (s *server) tokenEnds() []tokenEnd {
	realm, nothing := s.realms[0], func(*testing.T) {}
	if s.simulated != nil {
		return []tokenEnd{
			{"expired", nothing, nothing, func(*testing.T, string) { s.ahead.Add(int64(time.Hour)) }},
			{"revoked", nothing, nothing, func(t *testing.T, _ string) { enginetest.NoError(t, s.simulated.Revoke(realm.Name)) }},
		}
	}
	set := func(name string, value int64) func(*testing.T) {
		return func(t *testing.T) { s.do(t, http.MethodPut, "/admin/realms/"+realm.Name, map[string]any{name: value}) }
	}
	return []tokenEnd{
		{"expired", set("accessTokenLifespan", 2), set("accessTokenLifespan", 300), func(*testing.T, string) {}},
		{"revoked", nothing, nothing, func(t *testing.T, token string) { s.revoke(t, realm, token) }},
		{"not before", nothing, set("notBefore", 0), func(t *testing.T, _ string) { set("notBefore", time.Now().Unix())(t) }},
		{"logged out", nothing, nothing, func(t *testing.T, _ string) { s.logOut(t) }},
	}
}

func TestTokenOfOneRealmIsWorthNothingInAnother(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *server) {
		api, sent := s.clientAt(t, 0)
		tokens := map[string]string{}
		for range 2 {
			for _, realm := range s.realms {
				_, err := api.CountUsers(t.Context(), realm.Name)
				enginetest.NoError(t, err)
				tokens[realm.Name], _ = sent.last.Load().(string)
			}
		}
		if sent.tokens.Load() != 2 {
			t.Errorf("%d tokens were requested for two realms", sent.tokens.Load())
		}
		for _, of := range s.realms {
			for _, in := range s.realms {
				want := http.StatusOK
				if of.Name != in.Name {
					want = http.StatusForbidden
				}
				if got := s.status(t, "/admin/realms/"+in.Name+"/users", tokens[of.Name]); got != want {
					t.Errorf("with a token of %s, the realm %s answers %d, want %d", of.Name, in.Name, got, want)
				}
			}
		}
	})
}

// The client drops the slashes at the end of its address, which all tests give it.
func TestServerRefusesPathWithTwoSlashes(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *server) {
		api, sent := s.clientAt(t, 0)
		_, err := api.CountUsers(t.Context(), s.realms[0].Name)
		enginetest.NoError(t, err)
		token, _ := sent.last.Load().(string)
		if got := s.status(t, "//admin/realms/"+s.realms[0].Name+"/users", token); got != http.StatusBadRequest {
			t.Errorf("the server answers %d to a path with two slashes, want 400", got)
		}
	})
}

func TestChangedSecretOfTheServiceAccountIsOneOfCredentials(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *server) {
		realm := s.realms[0].Name
		other := s.api(t, remote.Config{}, 0)
		account, err := other.FindApp(t.Context(), realm, "nawasync")
		enginetest.NoError(t, err)
		secretIs := func(text string) {
			enginetest.NoError(t, other.UpdateApp(t.Context(), realm, account.ID, map[string]any{"secret": text}))
		}
		secretIs("SECRET-that-nobody-knows")
		api, _ := s.clientAt(t, 0)
		_, err = api.CountUsers(t.Context(), realm)
		if fault.ClassOf(err) != fault.ClassCredentials || strings.Contains(err.Error(), serverSecret) {
			t.Errorf("the error %v has the class %q", err, fault.ClassOf(err))
		}
		secretIs(serverSecret)
		if _, err = api.CountUsers(t.Context(), realm); err != nil {
			t.Errorf("with the secret again, the call fails: %v", err)
		}
	})
}
