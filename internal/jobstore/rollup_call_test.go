package jobstore_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nawasara/nawasync/internal/remotecall"
	"github.com/nawasara/nawasync/internal/storetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// flush stores what a ledger has counted, and rolls everything up.
func flush(b *storetest.Fixture, t *testing.T, l *remotecall.Ledger) {
	t.Helper()
	rest, err := b.InsertCalls(t.Context(), "dns", l.Take())
	b.NoError(err)
	if len(rest) > 0 {
		t.Fatalf("%d sums are not stored", len(rest))
	}
}

func rollup(b *storetest.Fixture, t *testing.T) {
	t.Helper()
	for {
		n, err := b.RollupCalls(t.Context(), 7)
		b.NoError(err)
		if n < 7 {
			return
		}
	}
}

func newLedger() *remotecall.Ledger {
	return remotecall.NewLedger("dns", func(text string, _ int) string { return text })
}

// callModel adds calls up without a database.
type callModel map[remotecall.Endpoint]*tracker.Endpoint

func (m callModel) add(c remotecall.Call) {
	k := remotecall.Endpoint{Scope: c.Scope, Budget: c.Budget, Method: c.Method, Template: c.Template}
	if m[k] == nil {
		m[k] = &tracker.Endpoint{
			Service: c.Service, Instance: c.Scope, Budget: c.Budget, Method: c.Method, Template: c.Template, Errors: map[string]int64{}, Left: -1,
		}
	}
	e, end := m[k], c.Start.Add(c.Duration)
	e.Calls++
	e.Durations.Add(c.Duration)
	if c.Class != "" {
		e.Failed++
		e.Errors[c.Class]++
	}
	if end.After(e.LastAt) {
		e.LastAt = end
	}
	if c.Left >= 0 && !end.Before(e.LeftAt) {
		e.Left, e.LeftAt = c.Left, end
	}
}

func TestCallsOfManyProcessesAddUpByEndpoint(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		b := storetest.New(t, db)
		random := rand.New(rand.NewPCG(1, 19)) //nolint:gosec // the test is repeatable
		processes := []*remotecall.Ledger{newLedger(), newLedger(), newLedger()}
		model, serial := callModel{}, time.Duration(0)
		for range 400 {
			serial += time.Microsecond
			call := remotecall.Call{
				Scope: []string{"", "a", "a/zone", "b%_"}[random.IntN(4)], Budget: []string{"", "write"}[random.IntN(2)],
				Method: []string{"GET", "PATCH"}[random.IntN(2)], Template: fmt.Sprintf("/zones/{zone}/%d", random.IntN(5)),
				Start: b.Now().Add(serial), Duration: time.Duration(random.IntN(5_000_000)) * time.Microsecond,
				Class: []string{"", "", "timeout", "rate_limited"}[random.IntN(4)], Left: int64(random.IntN(100)) - 50,
			}
			call = processes[random.IntN(3)].Add(t.Context(), call)
			model.add(call)
			if random.IntN(10) == 0 {
				flush(b, t, processes[random.IntN(3)])
			}
			if random.IntN(40) == 0 {
				rollup(b, t)
				b.Advance(time.Duration(random.IntN(120)) * time.Second)
			}
		}
		for _, l := range processes {
			flush(b, t, l)
		}
		rollup(b, t)
		for _, window := range []time.Duration{2 * time.Hour, 24 * time.Hour} {
			if diff := cmp.Diff(sortedModel(model), allEndpoints(b, t, window), cmp.AllowUnexported(tracker.Histogram{})); diff != "" {
				t.Errorf("window %s (-model +stored):\n%s", window, diff)
			}
		}
		checkTotals(b, t, model)
	})
}

func sortedModel(m callModel) map[string]tracker.Endpoint {
	out := map[string]tracker.Endpoint{}
	for _, e := range m {
		out[nameOf(e)] = *e
	}
	return out
}

func nameOf(e *tracker.Endpoint) string {
	return fmt.Sprintf("%q %q %s %q", e.Instance, e.Budget, e.Method, e.Template)
}

// allEndpoints reads every page.
func allEndpoints(b *storetest.Fixture, t *testing.T, window time.Duration) map[string]tracker.Endpoint {
	t.Helper()
	out := map[string]tracker.Endpoint{}
	search := tracker.EndpointSearch{Service: "dns", Window: window, Limit: 9}
	for {
		page, err := b.Endpoints(t.Context(), search)
		b.NoError(err)
		for _, e := range page.Endpoints {
			name := nameOf(&e)
			if _, twice := out[name]; twice {
				t.Fatalf("%s is on two pages", name)
			}
			e.ID = 0
			out[name] = e
		}
		if search.After = page.Next; page.Next == 0 {
			return out
		}
	}
}

func checkTotals(b *storetest.Fixture, t *testing.T, model callModel) {
	t.Helper()
	want := tracker.CallTotal{Service: "dns", Errors: map[string]int64{}}
	for _, e := range model {
		want.Calls += e.Calls
		want.Durations.Merge(e.Durations)
		for class, n := range e.Errors {
			want.Errors[class] += n
		}
	}
	totals, err := b.CallTotals(t.Context())
	b.NoError(err)
	if diff := cmp.Diff([]tracker.CallTotal{want}, totals, cmp.AllowUnexported(tracker.Histogram{})); diff != "" {
		t.Errorf("totals (-model +stored):\n%s", diff)
	}
	quotas, more, err := b.Quotas(t.Context(), "dns", 0)
	b.NoError(err)
	if len(quotas) != 8 || more {
		t.Errorf("%d quotas, want one for each limit scope and class: 8", len(quotas))
	}
	for limit := range 8 {
		if some, more, err := b.Quotas(t.Context(), "", limit+1); err != nil || len(some) != limit+1 || more != (limit < 7) {
			t.Errorf("%d quotas of %d, more %v, %v", len(some), limit+1, more, err)
		}
	}
}

func TestOldCallsArePrunedAndTheTotalsStay(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		b := storetest.New(t, db)
		l := newLedger()
		for minute := range 30 {
			l.Add(t.Context(), remotecall.Call{Template: "/a", Start: b.Now(), Left: -1})
			if minute == 0 {
				l.Add(t.Context(), remotecall.Call{Template: "/old", Start: b.Now(), Left: -1})
			}
			flush(b, t, l)
			rollup(b, t)
			b.Advance(time.Minute)
		}
		count := func(table, where string) (n int) {
			b.NoError(db.Raw("SELECT COUNT(*) FROM " + table + " WHERE " + where).Row().Scan(&n))
			return n
		}
		now, rounds := b.Now(), 0
		for more := true; more; rounds++ {
			var err error
			more, err = b.PruneCalls(t.Context(), now.Add(-10*time.Minute), now.Add(-10*time.Hour), now.Add(-20*time.Minute), 10)
			b.NoError(err)
		}
		minutes, hours := count("nawasync_calls", "period = 'minute'"), count("nawasync_calls", "period = 'hour'")
		if totals := count("nawasync_calls", "period = 'total'"); minutes != 20 || hours != 3 || totals != 3 || rounds != 4 {
			t.Errorf("%d minute, %d hour and %d total rows are left after %d rounds; want 20, 3 and 3 after 4", minutes, hours, totals, rounds)
		}
		if left := allEndpoints(b, t, time.Hour); len(left) != 1 {
			t.Errorf("the endpoints %v are left", left)
		}
		if totals, err := b.CallTotals(t.Context()); err != nil || len(totals) != 1 || totals[0].Calls != 31 {
			t.Errorf("the totals are %+v, %v; want 31 calls", totals, err)
		}
	})
}

func TestRollupAndPagesOfCallsDoNotReadOtherEndpoints(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		if db.Dialect == "sqlite" {
			t.Skip("SQLite does not count the rows that it reads")
		}
		b := storetest.New(t, db)
		l := newLedger()
		for i := range 3000 {
			l.Add(t.Context(), remotecall.Call{Scope: fmt.Sprint("account-", i), Template: fmt.Sprint("/", i%100), Start: b.Now(), Left: -1})
		}
		flush(b, t, l)
		for n := 1; n > 0; {
			var err error
			n, err = b.RollupCalls(t.Context(), 1000)
			b.NoError(err)
		}
		analyze := map[string]string{"postgres": "ANALYZE nawasync_calls, nawasync_endpoints", "mysql": "ANALYZE TABLE nawasync_calls, nawasync_endpoints"}
		b.NoError(db.Exec(analyze[db.Dialect]).Error)
		l.Add(t.Context(), remotecall.Call{Scope: "account-7", Template: "/7", Start: b.Now(), Left: -1})
		flush(b, t, l)
		read := testdb.RowsRead(t, db, func() {
			rollup(b, t)
			_, err := b.Endpoints(t.Context(), tracker.EndpointSearch{Service: "dns", Instances: []string{"account-7"}})
			b.NoError(err)
			page, err := b.Endpoints(t.Context(), tracker.EndpointSearch{Service: "dns", Limit: 10})
			b.NoError(err)
			_, err = b.Endpoints(t.Context(), tracker.EndpointSearch{Service: "dns", Limit: 10, After: page.Next})
			b.NoError(err)
			_, err = b.PruneCalls(t.Context(), b.Now().Add(-time.Hour), b.Now().Add(-time.Hour), b.Now().Add(-time.Hour), 100)
			b.NoError(err)
		}, "nawasync_calls", "nawasync_endpoints")
		if read > 250 {
			t.Errorf("%d rows were read for one delta and three pages of 3,000 endpoints", read)
		}
	})
}
