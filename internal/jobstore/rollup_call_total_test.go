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

// endpointTotals returns the totals of all endpoints by method and template.
func endpointTotals(b *storetest.Fixture, t *testing.T) map[string]tracker.Endpoint {
	t.Helper()
	list, err := b.EndpointTotals(t.Context())
	b.NoError(err)
	byName := map[string]tracker.Endpoint{}
	for _, e := range list {
		byName[e.Method+" "+e.Template] = e
	}
	if len(byName) != len(list) {
		t.Errorf("%d of %d totals have names of their own", len(byName), len(list))
	}
	return byName
}

// pruneAll deletes all statistics of calls that retention can delete.
func pruneAll(b *storetest.Fixture, t *testing.T) {
	t.Helper()
	later := b.Now().Add(time.Hour)
	for more := true; more; {
		var err error
		more, err = b.PruneCalls(t.Context(), later, later, later, 100)
		b.NoError(err)
	}
}

// A counter that falls looks to Prometheus as if its process had started again, and rate() counts all its calls once more.
func TestTotalsOfEndpointsCountEveryCallAndNeverFall(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		b := storetest.New(t, db)
		random := rand.New(rand.NewPCG(2, 19)) //nolint:gosec // the test is repeatable
		processes := []*remotecall.Ledger{newLedger(), newLedger()}
		want, before := map[string]*tracker.Endpoint{}, map[string]tracker.Endpoint{}
		for n := range 300 {
			call := processes[random.IntN(2)].Add(t.Context(), remotecall.Call{
				// The first calls have no names but those of the totals, which are other rows all the same.
				Scope: []string{"", "a", "b"}[min(n/50, random.IntN(3))], Budget: []string{"", "write"}[min(n/50, random.IntN(2))],
				Method: []string{"GET", "PATCH"}[random.IntN(2)], Template: []string{"", "/zones", "/zones/{zone}", "other"}[random.IntN(4)],
				Class: []string{"", "", "timeout", "gone"}[random.IntN(4)],
				Start: b.Now().Add(time.Duration(n) * time.Microsecond), Duration: time.Duration(random.IntN(3_000_000)) * time.Microsecond,
				Left: int64(random.IntN(100)) - 50,
			})
			countEndpoint(want, call)
			if random.IntN(12) == 0 {
				flush(b, t, processes[random.IntN(2)])
				rollup(b, t)
				before = checkGrowth(t, before, endpointTotals(b, t))
			}
			switch {
			case n == 49:
				checkTotalsOf(b, t, processes, want)
			case n%70 == 69:
				pruneAll(b, t)
				b.Advance(time.Duration(random.IntN(90)) * time.Minute)
			case n == 160: // a process stops, and starts again
				flush(b, t, processes[0])
				processes[0] = newLedger()
			}
		}
		pruneAll(b, t)
		checkGrowth(t, before, endpointTotals(b, t))
		checkTotalsOf(b, t, processes, want)
		pruneAll(b, t)
		if left := allEndpoints(b, t, time.Hour); len(left) != 0 {
			t.Errorf("retention has left %d endpoints", len(left))
		}
	})
}

// checkTotalsOf stores what the processes have counted, and compares the totals with a plain count.
func checkTotalsOf(b *storetest.Fixture, t *testing.T, processes []*remotecall.Ledger, want map[string]*tracker.Endpoint) {
	t.Helper()
	for _, l := range processes {
		flush(b, t, l)
	}
	rollup(b, t)
	stored := map[string]*tracker.Endpoint{}
	for name, e := range endpointTotals(b, t) {
		stored[name] = &e
	}
	if diff := cmp.Diff(want, stored, cmp.AllowUnexported(tracker.Histogram{})); diff != "" {
		t.Errorf("totals (-counted +stored):\n%s", diff)
	}
}

func countEndpoint(m map[string]*tracker.Endpoint, c remotecall.Call) {
	name := c.Method + " " + c.Template
	if m[name] == nil {
		m[name] = &tracker.Endpoint{Service: c.Service, Method: c.Method, Template: c.Template, Errors: map[string]int64{}, Left: -1}
	}
	e := m[name]
	e.Calls++
	e.Durations.Add(c.Duration)
	if c.Class != "" {
		e.Failed++
		e.Errors[c.Class]++
	}
	if end := c.Start.Add(c.Duration); end.After(e.LastAt) {
		e.LastAt = end
	}
}

// checkGrowth checks that no figure has fallen, and returns the present ones.
func checkGrowth(t *testing.T, before, now map[string]tracker.Endpoint) map[string]tracker.Endpoint {
	t.Helper()
	for name, old := range before {
		e := now[name]
		if e.Calls < old.Calls || e.Durations.Sum() < old.Durations.Sum() || e.Durations.Count() < old.Durations.Count() {
			t.Errorf("%s has fallen from %d to %d calls", name, old.Calls, e.Calls)
		}
		for class, n := range old.Errors {
			if e.Errors[class] < n {
				t.Errorf("%s has fallen from %d to %d of %s", name, n, e.Errors[class], class)
			}
		}
	}
	return now
}

func TestTotalsHaveABoundedNumberOfTemplates(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		b := storetest.New(t, db)
		count := func(calls ...remotecall.Call) {
			l := newLedger()
			for _, call := range calls {
				call.Start, call.Left = b.Now(), -1
				l.Add(t.Context(), call)
			}
			flush(b, t, l)
			_, err := b.RollupCalls(t.Context(), 1000)
			b.NoError(err)
		}
		for version := range 3 { // of a client, each with templates of its own
			calls := make([]remotecall.Call, 90)
			for i := range calls {
				calls[i].Template = fmt.Sprintf("/v%d/%d", version, i)
			}
			count(calls...)
		}
		for range 2 {
			count(remotecall.Call{Template: "/v0/1", Method: "DELETE"}, remotecall.Call{Template: "/v9"}, remotecall.Call{})
		}
		totals := endpointTotals(b, t)
		if n := len(totals); n != remotecall.MaxTemplates+2 {
			t.Errorf("%d totals, want %d templates, other, and one with two methods", n, remotecall.MaxTemplates)
		}
		if own, other := totals["DELETE /v0/1"].Calls, totals["GET other"].Calls; own != 2 || other != 3*90-remotecall.MaxTemplates+4 {
			t.Errorf("%d calls of a known template, want 2, and %d of the others, want 74", own, other)
		}
	})
}
