package remote //nolint:testpackage // what is forgotten is not in the API

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/remotecall"
)

func newClocked(t *testing.T, budget Budget) (*Remote, *time.Time) {
	t.Helper()
	now := time.Unix(1_800_000_123, 0)
	r, err := New(Config{Service: "many", Budgets: []Budget{budget}, MaxWait: time.Nanosecond, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	return r, &now
}

func TestIdleLimitScopesAreForgotten(t *testing.T) {
	t.Parallel()
	r, now := newClocked(t, Budget{Calls: 1, Window: time.Minute})
	use := func(scope string, ok bool, object string) error {
		done, err := r.allow(t.Context(), scope)
		if err != nil {
			return err
		}
		err = r.takeBudget(t.Context(), scope, "")
		_ = done(false, ok, object)
		return err
	}
	for i := range maxFailing {
		_ = use("down", false, fmt.Sprint(i))
	}
	most := 0
	for i := range 100_000 {
		*now = now.Add(20 * time.Millisecond) // about 3,000 in a window
		scope := fmt.Sprint(i)
		if err := use(scope, true, ""); err != nil {
			t.Fatal(err)
		}
		if i%10 == 0 {
			r.noteLimits(t.Context(), scope, "", response(http.StatusTooManyRequests, "Retry-After", "90"))
		}
		most = max(most, len(r.budgets.limits), len(r.budgets.silence), len(r.breakers.byScope))
	}
	if most > 10_000 {
		t.Errorf("a process with 100,000 limit scopes, of which 3,000 are in use, keeps %d", most)
	}
	if err := use("99000", true, ""); fault.ClassOf(err) != fault.ClassRateLimited {
		t.Errorf("a budget that was used up 20 s ago: %v", err)
	}
	if until := r.silentUntil("96000"); until.IsZero() {
		t.Error("a silence of 90 s has ended after 80 s")
	}
	if err := use("down", true, ""); fault.ClassOf(err) != fault.ClassUnavailable {
		t.Errorf("an open breaker: %v", err)
	}
}

// A call may still hold the limit that was forgotten.
func TestCallsOfAForgottenLimitCountInItsSuccessor(t *testing.T) {
	t.Parallel()
	r, now := newClocked(t, Budget{Calls: 2, Window: time.Minute})
	b := r.budgets
	first := b.of("a", "")
	*now = now.Add(time.Hour)
	b.mu.Lock()
	b.forgetIdle()
	b.mu.Unlock()
	second := b.of("a", "")
	if first[0] == second[0] {
		t.Fatal("an idle limit is not forgotten")
	}
	granted := 0
	for _, limits := range [][]*limit{first, second, first, second} {
		grant, _ := b.take(t.Context(), limits, remotecall.People, 1, 1, nil)
		granted += grant.Jobs
	}
	if granted != 2 {
		t.Errorf("%d calls were granted, of 2", granted)
	}
}

// Another call may hold the lock while Redis answers.
func TestWaitForABudgetEndsWithTheContext(t *testing.T) {
	t.Parallel()
	r, _ := newClocked(t, Budget{Calls: 10, Window: time.Minute})
	q := remotecall.Request{Scope: "a", Calls: 2, Jobs: 1}
	link := r.Link(remotecall.NewKey())
	reserved := link.Reserve(t.Context(), []remotecall.Request{q})[0].For(q)
	l := r.budgets.of("a", "")[0]
	if err := l.lock(t.Context()); err != nil {
		t.Fatal(err)
	}
	stopped := errors.New("stopped")
	ctx, cancel := context.WithCancelCause(remotecall.With(t.Context(), &remotecall.Job{Reserved: reserved}))
	cancel(stopped)
	if err := r.takeBudget(ctx, "a", ""); !errors.Is(err, stopped) {
		t.Errorf("the wait ends with %v", err)
	}
	if grant := link.Reserve(ctx, []remotecall.Request{q})[0]; grant.Jobs != 0 {
		t.Errorf("%d jobs have reserved calls", grant.Jobs)
	}
	l.unlock()
	link.ReturnRest(ctx, remotecall.People, reserved)
	if l.local.used != [spenders]int{} {
		t.Errorf("calls are counted as used: %v", l.local.used)
	}
}
