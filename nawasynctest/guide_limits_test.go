package nawasynctest_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/nawasynctest"
	"github.com/nawasara/nawasync/remote"
)

// lookup are the arguments of a job that makes one call.
type lookup struct{ Name string }

func (lookup) Kind() nawasync.Kind {
	return nawasync.Kind{Service: "dns", Type: "domain", Action: "lookup"}
}
func (l lookup) Target() nawasync.Target { return nawasync.Target{Instance: "acme", ID: l.Name} }

type lookupJob struct {
	nawasync.AbstractJob[lookup]
	api *remote.Remote
}

func (j *lookupJob) Execute(ctx context.Context, run *nawasync.Run[lookup]) error {
	_, err := j.api.Call(ctx, "acme", remote.Call{URL: "https://dns.example/domains/" + run.Args.Name}, nil)
	return err
}

// roundTrip is a server.
type roundTrip func(*http.Request) *http.Response

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r), nil }

// look runs jobs that call a server, in virtual time.
func look(t *testing.T, clock *nawasynctest.Clock, config remote.Config, names ...string) {
	t.Helper()
	config.Service, config.Now = "dns", clock.Now
	api, err := remote.New(config)
	if err != nil {
		t.Fatal(err)
	}
	engine := nawasynctest.NewEngine(t, func(c *nawasync.Config) { c.Now, c.Remotes = clock.Now, []*remote.Remote{api} })
	if err := nawasync.Register(engine, &lookupJob{api: api}); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if _, err := engine.Dispatch(t.Context(), lookup{name}, nawasync.Options{By: "user:7"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := nawasynctest.Drain(t.Context(), engine, clock); err != nil {
		t.Fatal(err)
	}
}

func TestJobsWaitAsLongAsARateLimitSays(t *testing.T) {
	t.Parallel()
	clock, calls := nawasynctest.NewClock(noon), 0
	server := roundTrip(func(*http.Request) *http.Response {
		if calls++; calls == 1 {
			return &http.Response{StatusCode: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"600"}}, Body: http.NoBody}
		}
		return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}
	})
	look(t, clock, remote.Config{Base: server}, "example.org", "example.net")
	if waited := clock.Now().Sub(noon); calls != 3 || waited < 10*time.Minute {
		t.Errorf("%d calls within %s, want 3 and a wait of 10 minutes", calls, waited)
	}
}

func TestNoWindowHasMoreCallsThanTheBudget(t *testing.T) {
	t.Parallel()
	clock := nawasynctest.NewClock(noon)
	var times []time.Time
	server := roundTrip(func(*http.Request) *http.Response {
		times = append(times, clock.Now())
		return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}
	})
	budget := remote.Budget{Calls: 2, Window: 5 * time.Minute}
	look(t, clock, remote.Config{Base: server, Budgets: []remote.Budget{budget}}, "a.example", "b.example", "c.example", "d.example", "e.example")
	if len(times) != 5 {
		t.Fatalf("%d calls, want 5", len(times))
	}
	for i := range times[2:] {
		if times[i+2].Sub(times[i]) < 5*time.Minute {
			t.Errorf("three calls within 5 minutes: %s", times)
		}
	}
}
