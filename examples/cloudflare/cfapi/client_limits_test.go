package cfapi_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/nawasara/nawasync/examples/cloudflare/cfapi"
	"github.com/nawasara/nawasync/examples/cloudflare/cfsim/sim"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/remote"
	"github.com/nawasara/nawasync/secret"
)

func TestTokenOverItsLimitIsBlockedForTheNextWindow(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	server := sim.New(sim.Options{Limit: 3, Now: func() time.Time { return now }})
	service, err := cfapi.NewRemote(remote.Config{Base: server.Transport(), Now: func() time.Time { return now }, Budgets: []remote.Budget{}})
	noError(t, err)
	client, err := cfapi.New(cfapi.Config{URL: "http://localhost/client/v4", Token: secret.New("secret-token"), Remote: service})
	noError(t, err)
	for range 3 {
		noError(t, client.Verify(t.Context()))
	}
	now = now.Add(time.Minute)
	wait := func() time.Duration {
		t.Helper()
		var refused *fault.Error
		if err := client.Verify(t.Context()); !errors.As(err, &refused) || refused.Class != fault.ClassRateLimited {
			t.Fatalf("the call over the limit returned %v, want a rate limit", err)
		}
		return refused.RetryAfter
	}
	if got := wait(); got != 5*time.Minute {
		t.Errorf("the token is blocked for %s, want 5 minutes", got)
	}
	now = now.Add(4*time.Minute + 30*time.Second) // a new window, but the block lasts
	if got := wait(); got != 30*time.Second {
		t.Errorf("the token is blocked for %s more, want 30 s", got)
	}
	now = now.Add(30 * time.Second)
	noError(t, client.Verify(t.Context()))
	if answered, refused := server.Spent("main"); answered != 1 || refused != 1 {
		t.Errorf("the window has %d answered and %d refused calls, want 1 and 1, since the second one was not sent", answered, refused)
	}
}

// Two tokens share the limit of their IP address, which their budgets do not know.
func TestCallsOverTheLimitOfAnIPAddressWaitForASecond(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	tokens := []string{"first", "second"}
	server := sim.New(sim.Options{PerSecond: sim.PerSecond, Now: clock, Accounts: []sim.Account{{Name: "a", Token: tokens[0]}, {Name: "b", Token: tokens[1]}}})
	var clients []*cfapi.Client
	service, err := cfapi.NewRemote(remote.Config{Base: server.Transport(), Now: clock, MaxWait: time.Millisecond})
	noError(t, err)
	for _, name := range tokens {
		client, err := cfapi.New(cfapi.Config{URL: "http://localhost/client/v4", Token: secret.New(name), Remote: service, Scope: name})
		noError(t, err)
		clients = append(clients, client)
	}
	for i := range sim.PerSecond {
		noError(t, clients[i%2].Verify(t.Context()))
	}
	var refused *fault.Error
	if err := clients[0].Verify(t.Context()); !errors.As(err, &refused) || refused.Class != fault.ClassRateLimited || refused.RetryAfter != time.Second {
		t.Errorf("call 201 of a second returned %v, want a rate limit of 1 s", err)
	}
	now = now.Add(time.Second)
	for _, client := range clients {
		noError(t, client.Verify(t.Context()))
	}
	if answered, blocked := server.Spent("a"); answered != 101 || blocked != 0 {
		t.Errorf("the token has spent %d calls and is over its own limit %d times, want 101 and never", answered, blocked)
	}
}

func TestLimitsAreInTheHeaders(t *testing.T) {
	t.Parallel()
	server := sim.New(sim.Options{})
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/client/v4/zones", nil)
	request.Header.Set("Authorization", "Bearer secret-token")
	answer := httptest.NewRecorder()
	server.ServeHTTP(answer, request)
	if got := answer.Header().Get("Ratelimit"); got != `"default";r=1199;t=300` {
		t.Errorf("Ratelimit is %s", got)
	}
	if got := answer.Header().Get("Ratelimit-Policy"); got != `"default";q=1200;w=300` || answer.Header().Get("Retry-After") != "" {
		t.Errorf("Ratelimit-Policy is %s, and Retry-After %q", got, answer.Header().Get("Retry-After"))
	}
}
