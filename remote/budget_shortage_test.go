package remote //nolint:testpackage // see budget_world_test.go

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/nawasara/nawasync/internal/remotecall"
)

// A page says that a job waits for a budget if and only if a worker would not get its calls.
func TestLookFindsAShortageWhereAReservationWouldBeRefused(t *testing.T) {
	t.Parallel()
	_, client := miniRedis(t)
	for name, w := range map[string]*world{"local": newWorld(t, 1, tenth(), nil), "shared": newWorld(t, 1, tenth(), client)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := w.processes[0]
			r.budgets.settle = 0
			random := rand.New(rand.NewPCG(1, 2))
			short := 0
			for range 600 {
				w.step(time.Duration(random.IntN(900)) * time.Millisecond)
				q := remotecall.Request{Scope: "acme", Spender: remotecall.Spender(random.IntN(3)), Calls: 1 + random.IntN(3), Jobs: 1}
				spendAtMost(t, r, q)
				now := r.config.Now()
				shortage, found := link{r.budgets}.Look(t.Context(), q)
				limit := r.budgets.of("acme", "")[0]
				out, err := limit.do(t.Context(), request{Spender: q.Spender, Calls: q.Calls, Jobs: 1})
				if err != nil {
					t.Fatal(err)
				}
				if found != (out.jobs == 0) {
					t.Fatalf("Look finds a shortage: %v %+v; the account grants %+v", found, shortage, out)
				}
				if !found {
					continue
				}
				short++
				if wait := time.Duration(out.wait) * time.Millisecond; shortage.Until != now.Add(wait) || shortage.Left != out.left || shortage.Calls != 120 ||
					shortage.Window != time.Minute || shortage.Scope != "acme" || shortage.Silent {
					t.Fatalf("the shortage is %+v at %s; the account answers %+v", shortage, now, out)
				}
			}
			if short < 20 || short > 580 {
				t.Errorf("there was a shortage %d times of 600", short)
			}
			r.budgets.noteSilence("acme", r.config.Now().Add(time.Minute))
			if shortage, found := (link{r.budgets}).Look(t.Context(), remotecall.Request{Scope: "acme"}); !found || !shortage.Silent || shortage.Until != r.config.Now().Add(time.Minute) {
				t.Errorf("during a silence, Look finds %v %+v", found, shortage)
			}
		})
	}
}

// spendAtMost takes what a few jobs need, as far as it is granted.
func spendAtMost(t *testing.T, r *Remote, q remotecall.Request) {
	t.Helper()
	if _, err := r.budgets.of("acme", "")[0].do(t.Context(), request{Spender: q.Spender, Calls: 1, Jobs: 4}); err != nil {
		t.Fatal(err)
	}
}
