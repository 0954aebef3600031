package remote_test

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/remote"
)

// roundTrip is a server.
type roundTrip func(*http.Request) *http.Response

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req), nil }

// Each account may make two calls in five minutes. Calls of all processes count, if Config.Redis is set.
func ExampleBudget() {
	dns, _ := remote.New(remote.Config{
		Service: "dns", Budgets: []remote.Budget{{Calls: 2, Window: 5 * time.Minute}},
		Base: roundTrip(func(*http.Request) *http.Response {
			return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}
		}),
	})
	for _, account := range []string{"acme", "acme", "acme", "example"} {
		_, err := dns.Client(account).Get("https://dns.example/zones")
		fmt.Println(account, err == nil, fault.ClassOf(err) == fault.ClassRateLimited)
	}
	// Output:
	// acme true false
	// acme true false
	// acme false true
	// example true false
}

func ExampleRemote_Budgets() {
	dns, _ := remote.New(remote.Config{
		Service: "dns", Budgets: []remote.Budget{{Calls: 1200, Window: 5 * time.Minute}},
		Base: roundTrip(func(*http.Request) *http.Response {
			h := http.Header{"Ratelimit": {`"default";r=50;t=30`}} // others use the account too
			return &http.Response{StatusCode: http.StatusOK, Header: h, Body: http.NoBody}
		}),
	})
	_, _ = dns.Client("acme").Get("https://dns.example/zones")
	for _, b := range dns.Budgets(context.Background()) {
		fmt.Printf("%s: %d of %d calls left in %s\n", b.Scope, b.Left, b.Calls, b.Window)
	}
	// Output: acme: 50 of 1200 calls left in 5m0s
}

// A process that serves pages asks for the limit scopes that it shows. With Config.Redis, it sees the calls of
// all processes.
func ExampleRemote_BudgetsIn() {
	dns, _ := remote.New(remote.Config{
		Service: "dns", Budgets: []remote.Budget{{Calls: 1200, Window: 5 * time.Minute}},
		Base: roundTrip(func(*http.Request) *http.Response {
			return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}
		}),
	})
	_, _ = dns.Client("acme").Get("https://dns.example/zones")
	for _, b := range dns.BudgetsIn(context.Background(), []string{"acme"}) {
		const perMinute = 60
		fmt.Printf("%s: %d left, %d used by people of at least %d\n", b.Scope, b.Left, b.People.Used, b.People.Minimum)
		fmt.Println("lasts at this rate:", b.LastsUntil(perMinute).IsZero())
	}
	// Output:
	// acme: 1199 left, 1 used by people of at least 180
	// lasts at this rate: true
}
