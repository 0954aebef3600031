package remote_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/remotecall"
	"github.com/nawasara/nawasync/remote"
)

// budgetedAPI is an API whose calls need a token, and that has a budget. Tokens last for a minute.
type budgetedAPI struct {
	*remote.Remote

	mu            sync.Mutex
	tokens, calls int
	status        int // of the next request for a token; 0 is 200
}

func newBudgetedAPI(t *testing.T, calls int, change func(*remote.Config)) *budgetedAPI {
	t.Helper()
	api := &budgetedAPI{}
	credentials := clientcredentials.Config{ClientID: "nawasync", TokenURL: "https://id.example/token", AuthStyle: oauth2.AuthStyleInHeader}
	config := remote.Config{
		Service: "dns", Budgets: []remote.Budget{{Calls: calls, Window: 5 * time.Minute}}, Base: roundTripper(api.roundTrip),
		Token: func(ctx context.Context, _ string) (*oauth2.Token, error) { return credentials.Token(ctx) },
	}
	if change != nil {
		change(&config)
	}
	var err error
	api.Remote, err = remote.New(config)
	noError(t, err)
	return api
}

func (api *budgetedAPI) roundTrip(req *http.Request) (*http.Response, error) {
	api.mu.Lock()
	defer api.mu.Unlock()
	status, text := http.StatusOK, "{}"
	if req.URL.Path == "/token" {
		api.tokens++
		text = fmt.Sprintf(`{"access_token":"access-%d","expires_in":60,"token_type":"Bearer"}`, api.tokens)
		if api.status != 0 {
			status, api.status = api.status, 0
		}
	} else {
		api.calls++
	}
	header := http.Header{"Content-Type": {"application/json"}}
	if status == http.StatusTooManyRequests {
		header.Set("Retry-After", "40")
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(text))}, nil
}

// as makes a call for a spender, in a job if it is not People.
func (api *budgetedAPI) as(ctx context.Context, spender remotecall.Spender) error {
	if spender != remotecall.People {
		ctx = remotecall.With(ctx, &remotecall.Job{Spender: spender})
	}
	_, err := api.Call(ctx, "acme", remote.Call{URL: "https://dns.example/zones", Endpoint: "/zones"}, nil)
	return err
}

// left returns what is left of the budget of each limit scope, as text.
func (api *budgetedAPI) left(ctx context.Context) (list []string) {
	for _, b := range api.Budgets(ctx) {
		list = append(list, fmt.Sprint(b.Scope, " ", b.Left))
	}
	return list
}

func TestRequestsForTokensUseTheBudgetAndAreInTheLedger(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		api := newBudgetedAPI(t, 100, nil)
		var made []string
		job := &remotecall.Job{Record: func(c remotecall.Call) { made = append(made, c.Scope+" "+c.Method+" "+c.Template) }}
		_, err := api.Call(remotecall.With(t.Context(), job), "acme", remote.Call{URL: "https://dns.example/zones", Endpoint: "/zones"}, nil)
		noError(t, err)
		if got := api.left(t.Context()); !slices.Equal(got, []string{"acme 98"}) {
			t.Errorf("a call with its token leaves %q, want acme 98", got)
		}
		if want := []string{"acme POST access token", "acme GET /zones"}; !slices.Equal(made, want) {
			t.Errorf("the job has made %q, want %q", made, want)
		}
	})
}

func TestRequestsForTokensCanHaveALimitScopeOfTheirOwn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked := ""
		api := newBudgetedAPI(t, 100, func(c *remote.Config) {
			c.TokenScope = func(string) string { return "identity" }
			token := c.Token
			c.Token = func(ctx context.Context, scope string) (*oauth2.Token, error) {
				asked = scope
				return token(ctx, scope)
			}
		})
		noError(t, api.as(t.Context(), remotecall.People))
		if got := api.left(t.Context()); !slices.Equal(got, []string{"acme 99", "identity 99"}) || asked != "acme" {
			t.Errorf("%q are left for the token of %q, want a call of each limit scope for acme", got, asked)
		}
	})
}

// A token that bulk work asks for is everybody's: its request neither fails for want of bulk's budget, nor keeps
// people from theirs.
func TestBulkWithoutBudgetDoesNotKeepPeopleFromATokenAndNobodyWaitsForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		api := newBudgetedAPI(t, 100, nil)
		for api.Link(remotecall.NewKey()).Reserve(t.Context(), []remotecall.Request{{Scope: "acme", Spender: remotecall.Bulk, Calls: 1, Jobs: 100}})[0].Jobs > 0 {
		}
		time.Sleep(4 * time.Second) // a call of bulk now waits for the next part of the window
		begun := time.Now()
		var group sync.WaitGroup
		results := make([]error, 20)
		for i := range results {
			spender := remotecall.Bulk
			if i%5 == 4 {
				spender = remotecall.People
			}
			group.Go(func() {
				results[i] = api.as(t.Context(), spender)
				if waited := time.Since(begun); spender == remotecall.People && waited > 0 {
					t.Errorf("a person waits for %s", waited)
				}
			})
			if i == 0 {
				synctest.Wait() // bulk is the first to ask
			}
		}
		group.Wait()
		for i, err := range results {
			var noBudget *remotecall.NoBudgetError
			if people := i%5 == 4; people && err != nil || err != nil && !errors.As(err, &noBudget) {
				t.Errorf("call %d, of a person %v: %v", i, people, err)
			}
		}
		if took := time.Since(begun); api.tokens != 1 || took > 5*time.Second {
			t.Errorf("%d tokens after %s, want one within 5 s", api.tokens, took)
		}
	})
}

// Without any budget the request for a token is not sent, the job goes back to the queue as if it were its own
// call, and goes on when there is budget.
func TestWithoutBudgetForATokenTheJobWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		api := newBudgetedAPI(t, 10, nil)
		for api.as(t.Context(), remotecall.People) == nil {
		}
		time.Sleep(time.Minute)
		tokens, calls := api.tokens, api.calls
		var noBudget *remotecall.NoBudgetError
		err := api.as(t.Context(), remotecall.Bulk)
		if !errors.As(err, &noBudget) || fault.ClassOf(err) != fault.ClassRateLimited || api.tokens != tokens || api.calls != calls {
			t.Errorf("%d tokens and %d calls without budget: %v", api.tokens-tokens, api.calls-calls, err)
		}
		time.Sleep(5 * time.Minute)
		noError(t, api.as(t.Context(), remotecall.Bulk))
	})
}

func TestServerOfTokensCanAskForSilence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		api := newBudgetedAPI(t, 100, nil)
		api.status = http.StatusTooManyRequests
		for range 3 {
			if err := api.as(t.Context(), remotecall.People); fault.ClassOf(err) != fault.ClassRateLimited || api.tokens != 1 {
				t.Errorf("%d requests for a token: %v", api.tokens, err)
			}
		}
		time.Sleep(41 * time.Second)
		noError(t, api.as(t.Context(), remotecall.People))
	})
}

func TestATokenTakesNothingThatIsReservedForTheJob(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		api := newBudgetedAPI(t, 100, nil)
		request := remotecall.Request{Scope: "acme", Spender: remotecall.Bulk, Calls: 2, Jobs: 1}
		grant := api.Link(remotecall.NewKey()).Reserve(t.Context(), []remotecall.Request{request})[0]
		job := &remotecall.Job{Spender: remotecall.Bulk, Reserved: grant.For(request)}
		_, err := api.Call(remotecall.With(t.Context(), job), "acme", remote.Call{URL: "https://dns.example/zones"}, nil)
		noError(t, err)
		if taken, _ := job.Reserved.Take("acme", 9); taken != 1 || api.tokens != 1 {
			t.Errorf("%d reserved calls are left after a call and %d tokens, want 1", taken, api.tokens)
		}
	})
}
