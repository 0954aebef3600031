package remote //nolint:testpackage // noteLimits is called by the transport only

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/remotecall"
)

func response(status int, headers ...string) *http.Response {
	h := http.Header{}
	for i := 0; i < len(headers); i += 2 {
		h.Add(headers[i], headers[i+1])
	}
	return &http.Response{StatusCode: status, Header: h}
}

func TestRetryAfterSilencesALimitScopeInAllProcesses(t *testing.T) {
	t.Parallel()
	_, client := miniRedis(t)
	for _, form := range []string{"120", "date"} {
		w := newWorld(t, 2, cloudflare(), client)
		w.now = w.now.Add(time.Hour)
		scope := "account-" + form
		first, second := w.processes[0], w.processes[1]
		take := func(r *Remote, scope string) error { return r.takeBudget(t.Context(), scope, "") }
		for _, r := range w.processes { // the account is new
			for _, scope := range []string{scope, "other"} {
				w.reserve(r, remotecall.Request{Scope: scope, Calls: 1, Jobs: 1})
			}
		}
		w.step(2 * time.Second)
		if err := take(second, scope); err != nil {
			t.Fatal(err)
		}
		wait := form
		if form == "date" { // the server's clock is an hour ahead
			wait = w.now.Add(time.Hour + 2*time.Minute).UTC().Format(http.TimeFormat)
		}
		date := w.now.Add(time.Hour).UTC().Format(http.TimeFormat)
		first.noteLimits(t.Context(), scope, "", response(http.StatusTooManyRequests, "Retry-After", wait, "Date", date))
		for _, passed := range []time.Duration{0, time.Minute, 118 * time.Second} {
			w.now = w.now.Add(passed)
			for i, r := range w.processes {
				err := take(r, scope)
				if fault.ClassOf(err) != fault.ClassRateLimited {
					t.Fatalf("%s after %s: process %d gets %v", form, passed, i, err)
				}
				if grant := w.reserve(r, remotecall.Request{Scope: scope, Calls: 1, Jobs: 5}); grant.Jobs != 0 || grant.Wait <= 0 {
					t.Errorf("%s after %s: process %d may start jobs: %+v", form, passed, i, grant)
				}
				if err := take(r, "other"); err != nil {
					t.Errorf("another limit scope waits too: %v", err)
				}
			}
			w.now = w.now.Add(-passed)
		}
		if until := second.silentUntil(scope); until.Sub(second.config.Now()).Round(time.Second) != 2*time.Minute {
			t.Errorf("the other process is silent until %s", until)
		}
		w.step(121 * time.Second)
		for _, r := range w.processes {
			if err := take(r, scope); err != nil {
				t.Errorf("%s after 121 s: %v", form, err)
			}
		}
	}
}

func TestHeadersLowerWhatIsLeft(t *testing.T) {
	t.Parallel()
	for name, headers := range map[string][]string{
		"Ratelimit":     {"Ratelimit", `"burst";r=80;t=10, "default";r=3;t=30`},
		"X-RateLimit":   {"X-Ratelimit-Remaining", "3", "X-Ratelimit-Reset", "30"},
		"a time":        {"X-Ratelimit-Remaining", "3", "X-Ratelimit-Reset", "1800000154"},
		"a lower quota": {"Ratelimit-Policy", `"burst";q=1;w=60, "default";q=4;w=300`},
	} {
		w := newWorld(t, 1, cloudflare(), nil)
		r := w.processes[0]
		if err := r.takeBudget(t.Context(), "", ""); err != nil {
			t.Fatal(err)
		}
		r.noteLimits(t.Context(), "", "", response(http.StatusOK, headers...))
		grant := w.reserve(r, remotecall.Request{Calls: 1, Jobs: 100})
		if grant.Jobs != 3 {
			t.Errorf("%s: %d jobs may start, want 3", name, grant.Jobs)
		}
		w.step(31 * time.Second)
		if grant = w.reserve(r, remotecall.Request{Calls: 1, Jobs: 100}); (grant.Jobs > 3) != (name != "a lower quota") {
			t.Errorf("%s: %d jobs may start after the reset", name, grant.Jobs)
		}
	}
}

func TestHeadersThatAreNoLimitsChangeNothing(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	for _, headers := range [][]string{
		{"Ratelimit", `"default"`},
		{"Ratelimit", ";;=,r=;t"},
		{"Ratelimit", `"default";r=-1;t=5`},
		{"Retry-After", "120"},
		{"X-Ratelimit-Remaining", "many", "X-Ratelimit-Reset", "5"},
		{"X-Ratelimit-Remaining", "5"},
		{"X-Ratelimit-Remaining", "5", "X-Ratelimit-Reset", "NaN"},
	} {
		if n := limitsOf(http.StatusOK, response(http.StatusOK, headers...).Header, now); n != (notice{}) {
			t.Errorf("%q: %+v", headers, n)
		}
	}
	for header, want := range map[string]time.Duration{
		"": time.Minute, "soon": time.Minute, "-5": time.Minute, "0": time.Millisecond, "99999999999": 24 * time.Hour,
	} {
		n := limitsOf(http.StatusTooManyRequests, response(0, "Retry-After", header).Header, now)
		if got := time.Duration(n.Silence) * time.Millisecond; got != want {
			t.Errorf("a 429 with Retry-After %q silences for %s, want %s", header, got, want)
		}
	}
}

func TestCallWithoutBudgetSaysWhenToTryAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, Budget{Calls: 2, Window: time.Hour}, nil)
	r := w.processes[0]
	ctx := remotecall.With(context.Background(), &remotecall.Job{Spender: remotecall.People})
	for range 2 {
		if err := r.takeBudget(ctx, "a", ""); err != nil {
			t.Fatal(err)
		}
	}
	err := r.takeBudget(ctx, "a", "")
	if e := fault.Outermost(err); e == nil || e.Class != fault.ClassRateLimited ||
		e.RetryAfter < time.Hour && e.RetryAfter > 0 && e.RetryAfter <= time.Minute ||
		e.RetryAfter > time.Hour+5*time.Minute {
		t.Errorf("the third call gets %v", err)
	}
	if err := r.takeBudget(ctx, "b", ""); err != nil {
		t.Errorf("another limit scope: %v", err)
	}
}
