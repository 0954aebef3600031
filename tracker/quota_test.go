package tracker_test

import (
	"testing"
	"time"

	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/internal/remotecall"
	"github.com/nawasara/nawasync/internal/storetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// quotaFixture makes calls and reads their quota.
type quotaFixture struct {
	*storetest.Fixture
	t      *testing.T
	ledger *remotecall.Ledger
}

// call makes 10 calls in a minute, after which the server says what is left and when the quota is full again.
func (f *quotaFixture) call(left int64, reset time.Time) {
	f.t.Helper()
	for range 10 {
		f.ledger.Add(f.t.Context(), remotecall.Call{Scope: "main", Template: "/a", Start: f.Now(), Left: left, Reset: reset})
	}
	_, err := f.InsertCalls(f.t.Context(), "dns", f.ledger.Take())
	f.NoError(err)
	_, err = f.RollupCalls(f.t.Context(), 1000)
	f.NoError(err)
	f.Advance(time.Minute)
}

func (f *quotaFixture) quota() tracker.Quota {
	f.t.Helper()
	list, _, err := f.Quotas(f.t.Context(), "dns", 0)
	f.NoError(err)
	if len(list) != 1 {
		f.t.Fatalf("%d quotas", len(list))
	}
	return list[0]
}

func (f *quotaFixture) expect(what string, state tracker.ForecastState, at time.Time) {
	f.t.Helper()
	if q := f.quota(); q.Forecast != (tracker.Forecast{State: state, At: at}) {
		f.t.Errorf("%s: %+v, want %s %s", what, q, state, at)
	}
}

func TestForecastSaysWhenTheQuotaIsUsedUpAtThePresentRate(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		f := &quotaFixture{storetest.New(t, db), t, remotecall.NewLedger("dns", func(text string, _ int) string { return text })}
		f.call(-1, time.Time{})
		f.expect("the server says nothing", tracker.ForecastUnknown, time.Time{})
		for i := range 4 {
			f.expectEarly(i)
			f.call(int64(190-10*i), time.Time{})
		}
		// 10 calls a minute since 5 minutes, of which 160 are left a minute ago.
		f.expect("after 5 minutes", tracker.ForecastUsedUp, f.Now().Add(-time.Minute+16*time.Minute))
		if q := f.quota(); q.Rate != 10 || q.Left != 160 || !q.LeftAt.Equal(f.Now().Add(-time.Minute)) {
			t.Errorf("the quota is %+v, want 10 calls a minute and 160 left", q)
		}
		f.call(150, f.Now().Add(15*time.Minute))
		f.expect("the quota is full again as soon as it is used up", tracker.ForecastLasts, time.Time{})
		f.call(140, f.Now().Add(13*time.Minute))
		f.expect("the quota is full again before it is used up", tracker.ForecastLasts, time.Time{})
		f.call(100, f.Now().Add(time.Hour))
		f.expect("others use it too", tracker.ForecastUsedUp, f.Now().Add(9*time.Minute))

		f.park("main")
		f.expect("parked", tracker.ForecastParked, time.Time{})
		f.Advance(10 * time.Minute)
		f.expect("no longer parked, and no calls", tracker.ForecastLasts, time.Time{})
		f.call(90, time.Time{})
		f.expect("calls began again", tracker.ForecastEarly, time.Time{})
		f.call(80, f.Now().Add(2*time.Minute))
		f.Advance(2 * time.Minute)
		f.expect("the quota was filled up", tracker.ForecastUnknown, time.Time{})
	})
}

func (f *quotaFixture) expectEarly(i int) {
	f.t.Helper()
	if i > 0 {
		f.expect("less than 5 minutes", tracker.ForecastEarly, time.Time{})
	}
}

// park parks a limit scope for 5 minutes.
func (f *quotaFixture) park(instance string) {
	f.t.Helper()
	_, err := f.Park(f.t.Context(), jobstore.Refusal{Service: "dns", Instance: instance, Wait: 5 * time.Minute, Asked: true, Reason: "HTTP 429"})
	f.NoError(err)
}

func TestLimitedReaderShowsOnlyTheCallsOfItsLimitScopes(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		b := storetest.New(t, db)
		for _, service := range []string{"dns", "whm"} {
			l := remotecall.NewLedger(service, func(text string, _ int) string { return text })
			for _, scope := range []string{"", "a", "a/zone", "b"} {
				l.Add(t.Context(), remotecall.Call{Scope: scope, Template: "/x", Start: b.Now(), Left: 5})
			}
			_, err := b.InsertCalls(t.Context(), service, l.Take())
			b.NoError(err)
		}
		_, err := b.RollupCalls(t.Context(), 1000)
		b.NoError(err)
		for _, c := range []struct {
			name     string
			shows    tracker.Visibility
			dns      int
			quotas   int
			services int
			totals   int // of endpoints, whose calls are those of all limit scopes
		}{
			{"nothing", tracker.Visibility{}, 0, 0, 0, 0},
			{"a service", tracker.Visibility{Services: []string{"dns"}}, 4, 4, 1, 1},
			{"an instance", tracker.Visibility{Instances: []tracker.ServiceInstance{{Service: "dns", Instance: "a"}}}, 1, 1, 1, 0},
			{"the jobs without an instance", tracker.Visibility{Instances: []tracker.ServiceInstance{{Service: "dns"}}}, 1, 1, 1, 0},
			{
				"an instance of each",
				tracker.Visibility{Instances: []tracker.ServiceInstance{{Service: "dns", Instance: "a/zone"}, {Service: "whm", Instance: "b"}}},
				1, 2, 2, 0,
			},
		} {
			r := b.Limited(c.shows)
			page, err := r.Endpoints(t.Context(), tracker.EndpointSearch{Service: "dns"})
			b.NoError(err)
			quotas, _, err := r.Quotas(t.Context(), "", 0)
			b.NoError(err)
			totals, err := r.CallTotals(t.Context())
			b.NoError(err)
			endpoints, err := r.EndpointTotals(t.Context())
			if err != nil || len(endpoints) != c.totals || c.totals > 0 && endpoints[0].Calls != 4 {
				t.Errorf("%s shows the totals %+v, %v; want %d, of 4 calls", c.name, endpoints, err, c.totals)
			}
			var calls int64
			for _, total := range totals {
				calls += total.Calls
			}
			if len(page.Endpoints) != c.dns || len(quotas) != c.quotas || len(totals) != c.services || calls != int64(c.quotas) {
				t.Errorf("%s shows %d endpoints of dns, %d quotas, and %d calls of %d services; want %d, %d and %d",
					c.name, len(page.Endpoints), len(quotas), calls, len(totals), c.dns, c.quotas, c.services)
			}
		}
		page, err := b.Endpoints(t.Context(), tracker.EndpointSearch{Service: "dns", Instances: []string{"", "b"}})
		if err != nil || len(page.Endpoints) != 2 {
			t.Errorf("%d endpoints of two limit scopes, %v", len(page.Endpoints), err)
		}
		if _, err := b.Endpoints(t.Context(), tracker.EndpointSearch{}); err == nil {
			t.Error("Endpoints accepts no service")
		}
	})
}
