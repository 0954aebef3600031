package admin_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/internal/remotecall"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/remote"
	"github.com/nawasara/nawasync/tracker"
)

// refusing is a server that asks for two minutes of silence.
type refusing struct{}

func (refusing) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"120"}}, Body: http.NoBody}, nil
}

// newBudgeted returns a Remote of qhost with a budget of 400 calls in 5 minutes.
func newBudgeted(t *testing.T, client redis.UniversalClient) *remote.Remote {
	t.Helper()
	r, err := remote.New(remote.Config{
		Service: "qhost", Redis: client, Base: refusing{}, Budgets: []remote.Budget{{Calls: 400, Window: 5 * time.Minute}},
	})
	noError(t, err)
	return r
}

// spend uses calls of a limit scope for a spender.
func spend(t *testing.T, r *remote.Remote, scope string, s remotecall.Spender, calls int) {
	t.Helper()
	link := r.Link(remotecall.NewKey())
	if n := link.Reserve(t.Context(), []remotecall.Request{{Scope: scope, Spender: s, Calls: 1, Jobs: calls}})[0].Jobs; n != calls {
		t.Fatalf("%d of %d calls are granted", n, calls)
	}
}

// budgetedWorld has the pages of a process that has made calls for two instances.
func budgetedWorld(t *testing.T) (w *world, own *remote.Remote) {
	t.Helper()
	own = newBudgeted(t, nil)
	w = newWorldOf(t, testdb.SQLite(t), func(c *nawasync.Config) { c.Remotes = []*remote.Remote{own} })
	now := w.engine.Reader().Now()
	spend(t, own, "qalpha", remotecall.Bulk, 280)
	spend(t, own, "qalpha", remotecall.Syncs, 7)
	spend(t, own, "qalpha", remotecall.People, 5)
	spend(t, own, "qgroup/one", remotecall.People, 10)
	var calls []remotecall.Call
	for minute := range 6 {
		for range 50 {
			calls = append(calls, remotecall.Call{Scope: "qalpha", Template: "/a", Start: now.Add(time.Duration(minute-6) * time.Minute), Left: -1})
		}
	}
	storeCalls(t, enginetest.Store(w.engine), append(calls, remotecall.Call{Scope: "qgroup/one", Template: "/a", Start: now, Left: -1})...)
	return w, own
}

// Only the lists of budgets have these texts.
const (
	alphaLeft = "108 of 400 in 5 min"
	oneLeft   = "390 of 400 in 5 min"
)

func TestPagesShowTheBudgetsOfTheInstancesThatASubjectMayView(t *testing.T) {
	t.Parallel()
	w, own := budgetedWorld(t)
	usedUp := regexp.MustCompile(`used up in 2 min at this rate`) // 108 calls, 50 a minute
	for _, path := range []string{"/", "/services", "/services/qhost", "/services/qhost?instance=qalpha"} {
		page := text(w.get("operator", path).body)
		if !strings.Contains(page, alphaLeft) || !usedUp.MatchString(page) {
			t.Errorf("%s does not show the budget that is used up first:\n%s", path, page)
		}
		if page := text(w.get("one-operator", path).body); strings.Contains(page, alphaLeft) || path != "/services/qhost?instance=qalpha" && !strings.Contains(page, oneLeft) {
			t.Errorf("%s shows somebody the budgets of other instances, or not his own:\n%s", path, page)
		}
	}
	page := text(w.get("operator", "/services/qhost").body)
	for _, want := range []string{
		oneLeft, `280 <span class="muted">of at least 40</span>`, `7 <span class="muted">of at least 40</span>`, `5 <span class="muted">of at least 60</span>`,
		"forecast after 5 minutes of calls", // of the instance with one call
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not contain %q:\n%s", want, page)
		}
	}
	if page := text(w.get("operator", "/services/qhost?instance=qgroup/one").body); strings.Contains(page, alphaLeft) {
		t.Error("the page of an instance shows the budget of another one")
	}
	if err := callRefused(t, own, "qgroup/one"); err == nil {
		t.Error("the server has not asked for silence")
	}
	_, err := enginetest.Store(w.engine).Park(t.Context(), jobstore.Refusal{
		Service: "qhost", Instance: "qalpha", Wait: time.Hour, Asked: true, Reason: "HTTP 429",
	})
	noError(t, err)
	page = text(w.get("operator", "/services/qhost").body)
	if !strings.Contains(page, "no calls until ") || !strings.Contains(page, "parked or paused until ") || usedUp.MatchString(page) {
		t.Errorf("the page does not say until when no calls are made:\n%s", page)
	}
}

// What the server said of the quota is part of what the budget knows, so there is one forecast.
func TestTheQuotaOfAnEndpointIsThatOfItsBudget(t *testing.T) {
	t.Parallel()
	w, _ := budgetedWorld(t)
	said := remotecall.Call{Scope: "qalpha", Template: "/a", Start: w.engine.Reader().Now(), Left: 40}
	storeCalls(t, enginetest.Store(w.engine), said)
	page := text(w.get("operator", "/services/qhost?instance=qalpha").body)
	forecasts := regexp.MustCompile(`used up[^<]*`).FindAllString(page, -1)
	if len(forecasts) != 2 || forecasts[0] != "used up in 2 min at this rate" || forecasts[1] != forecasts[0] {
		t.Errorf("the budget and its endpoint have the forecasts %q", forecasts)
	}
	if cell := regexp.MustCompile(`<td data-label="Quota left"[^>]*>(.*?)</td>`).FindStringSubmatch(page); cell == nil || !strings.Contains(cell[1], ">108<") {
		t.Errorf("the endpoint has the quota %q, want the 108 calls of its budget", cell)
	}
}

func callRefused(t *testing.T, r *remote.Remote, scope string) error {
	t.Helper()
	_, err := r.Call(t.Context(), scope, remote.Call{URL: "https://qhost.example/a"}, nil)
	return err
}

func TestHealthAndMetricsHaveTheBudgets(t *testing.T) {
	t.Parallel()
	w, _ := budgetedWorld(t)
	var health struct {
		Services []struct {
			Service string `json:"service"`
			Budgets []struct {
				Instance string             `json:"instance"`
				Left     int                `json:"left"`
				Bulk     remote.BudgetShare `json:"bulk"`
				Shared   bool               `json:"shared"`
				Forecast tracker.Forecast   `json:"forecast"`
			} `json:"budgets"`
		} `json:"services"`
	}
	noError(t, json.Unmarshal([]byte(w.get("operator", "/health.json").body), &health))
	for _, s := range health.Services {
		if s.Service == "qhost" {
			if len(s.Budgets) != 2 || s.Budgets[0].Instance != "qalpha" || s.Budgets[0].Left != 108 || s.Budgets[0].Shared ||
				s.Budgets[0].Bulk != (remote.BudgetShare{Minimum: 40, Used: 280}) || s.Budgets[0].Forecast.State != tracker.ForecastUsedUp {
				t.Errorf("/health.json has the budgets %+v", s.Budgets)
			}
		} else if len(s.Budgets) > 0 {
			t.Errorf("/health.json has budgets of %s: %+v", s.Service, s.Budgets)
		}
	}
	metrics := scrape(t, w.site, "operator")
	for name, want := range map[string]float64{"nawasync_remote_budget_calls": 400, "nawasync_remote_budget_left": 108} {
		if n := sample(t, metrics, name, "", "qalpha", "qhost", "5m0s").GetGauge().GetValue(); n != want {
			t.Errorf("%s is %v, want %v", name, n, want)
		}
	}
	if list := scrape(t, w.site, "one-operator")["nawasync_remote_budget_left"].GetMetric(); len(list) != 1 || list[0].GetGauge().GetValue() != 390 {
		t.Errorf("somebody who may see one instance gets the budgets %v", list)
	}
}

// A process without the calls reads the budgets of the others in Redis: see TestAProcessThatMakesNoCallsSeesTheBudgetsOfTheOthers
// of package remote.
func TestBudgetsAreUnknownWhileRedisDoesNotAnswer(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	server.SetError("LOADING Redis is loading the dataset in memory")
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), MaxRetries: -1, DisableIdentity: true})
	t.Cleanup(func() { _ = client.Close() })
	w := newWorldOf(t, testdb.SQLite(t), func(c *nawasync.Config) { c.Remotes = []*remote.Remote{newBudgeted(t, client)} })
	storeCalls(t, enginetest.Store(w.engine), remotecall.Call{Scope: "qalpha", Template: "/a", Start: w.engine.Reader().Now(), Left: -1})
	page := text(w.get("operator", "/services/qhost").body)
	if !strings.Contains(page, ">unknown<") || !strings.Contains(page, "because Redis does not answer") || strings.Contains(page, "those of this process") {
		t.Errorf("the page does not say that the budget is unknown:\n%s", page)
	}
	metrics := scrape(t, w.site, "operator")
	if left, calls := metrics["nawasync_remote_budget_left"].GetMetric(), metrics["nawasync_remote_budget_calls"].GetMetric(); len(left) != 0 || len(calls) != 1 {
		t.Errorf("without Redis, /metrics has %v and %v", left, calls)
	}
}

func TestBudgetsWithoutRedisAreMarkedAndMetricsHaveABoundedNumber(t *testing.T) {
	t.Parallel()
	own := newBudgeted(t, nil)
	w := newWorldOf(t, testdb.SQLite(t), func(c *nawasync.Config) { c.Remotes = []*remote.Remote{own} })
	var calls []remotecall.Call
	for i := range 60 {
		scope := fmt.Sprintf("scope-%02d", i)
		spend(t, own, scope, remotecall.People, 10)
		calls = append(calls, remotecall.Call{Scope: scope, Template: "/a", Start: w.engine.Reader().Now(), Left: -1})
	}
	storeCalls(t, enginetest.Store(w.engine), calls...)
	page := text(w.get("operator", "/services/qhost").body)
	if n := strings.Count(page, ">"+oneLeft+"<"); n != 50 || !strings.Contains(page, "10 more budgets have more calls left.") ||
		!strings.Contains(page, "those of this process") {
		t.Errorf("the page has %d budgets, want 50 of 60, of this process:\n%s", n, page)
	}
	list := scrape(t, w.site, "operator")
	if n := len(list["nawasync_remote_budget_left"].GetMetric()); n != 51 {
		t.Errorf("/metrics has %d time series, want 51", n)
	}
	if n := sample(t, list, "nawasync_remote_budget_left", "", "other", "qhost", "5m0s").GetGauge().GetValue(); n != 3900 {
		t.Errorf("the other limit scopes have %v calls left, want 3900", n)
	}
}
