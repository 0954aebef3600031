package remote

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// Budget is how many calls of a class a limit scope may make in a window of time. No window of that
// length holds more calls, wherever it begins and however many processes there are.
//
// The server's windows may begin at any time, so calls are counted in a sliding window: for each sixtieth
// of the window, one number for each spender. A call counts until its whole sixtieth, and one more for the
// time that a request is on its way, have left the window. This costs a budget about a fortieth of its
// calls, whatever their number, where a log of all calls would cost memory and a token bucket would
// either allow twice the calls in a window or spread calls that the server lets come at once.
//
// Jobs of users, syncs and jobs that were dispatched in bulk each have a minimum, which the others leave
// to them: 15, 10 and 10 % of the calls. What a spender has not used is freed step by step towards the end of
// a window; 2 % stay with people. Syncs and bulk keep their minimum only while they ask for calls.
//
// While Redis is away, each process goes on with what Redis has leased to it: what it has made in the last
// window, and a part of what is kept for people. A process that starts meanwhile makes no calls, and neither
// does one without a started engine.
type Budget struct {
	// Class is the class of endpoints, see Config.Class. "" is all classes without a budget of their own.
	Class string
	// Calls is how many calls may be made in a window. At least 1.
	Calls int
	// Window is the length of the window. At least one second.
	Window time.Duration
}

// BudgetState is how a budget of one limit scope stands.
type BudgetState struct {
	Scope  string
	Budget // Calls is 0 if the class has no limit
	// Left is how many calls are left for all processes and spenders; negative if that is unknown.
	Left int
	// SilentUntil is until when the server has asked for no calls. Zero if it has not.
	SilentUntil time.Time
	// AwaySince is since when Redis has not answered. Zero if it does, or without Redis.
	AwaySince time.Time
}

// Budgets returns the state of the budgets of the limit scopes that this process has called, sorted by
// limit scope. It asks Redis, and waits no longer than 0.1 s for each of them. A process with more than
// 256 limit scopes forgets those whose window has no calls.
func (r *Remote) Budgets(ctx context.Context) []BudgetState {
	var list []BudgetState
	for _, l := range r.budgets.all() {
		if l.terms.Calls > 0 {
			_, _ = l.do(ctx, request{})
		}
		if state, err := l.state(ctx, r.silentUntil(l.scope)); err == nil {
			list = append(list, state)
		}
	}
	slices.SortFunc(list, func(a, b BudgetState) int {
		return cmp.Or(cmp.Compare(a.Scope, b.Scope), cmp.Compare(a.Class, b.Class), cmp.Compare(a.Window, b.Window))
	})
	return list
}

func (l *limit) state(ctx context.Context, silent time.Time) (BudgetState, error) {
	if err := l.lock(ctx); err != nil {
		return BudgetState{}, err
	}
	defer l.unlock()
	s := BudgetState{Scope: l.scope, Budget: l.budget, Left: l.left, SilentUntil: silent, AwaySince: l.awaySince}
	if !l.awaySince.IsZero() || l.terms.Calls == 0 {
		s.Left = -1
	}
	return s, nil
}
