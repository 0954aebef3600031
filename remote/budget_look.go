package remote

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/nawasara/nawasync/internal/remotecall"
)

// BudgetShare is what one kind of work has of a budget.
type BudgetShare struct {
	Minimum int `json:"minimum"` // calls of a window that others leave to it
	Used    int `json:"used"`    // calls that count now
}

// BudgetUse is a BudgetState with who has used the calls that count now.
type BudgetUse struct {
	BudgetState
	// People, Syncs and Bulk are the shares of jobs of users, of syncs, and of jobs that were dispatched in bulk.
	People, Syncs, Bulk BudgetShare
	// Shared reports whether the figures are those of all processes. Without Config.Redis they are those of
	// this one.
	Shared bool

	at      time.Time
	leaving []leaving
}

// leaving are calls that no longer count from a time on.
type leaving struct {
	at    time.Time
	calls int
}

// maxLook is how many limit scopes BudgetsIn looks at.
const maxLook = 200

// BudgetsIn returns how the budgets of limit scopes stand, in the order of the limit scopes: of the first 200 of
// the given ones. With Config.Redis these are the budgets that all processes share, also those of limit scopes that
// this process has not called, so that a process which only serves pages can show them. Without it, these are the
// limit scopes that this process has called. It reads Redis once, changes nothing there, and waits no longer than
// 0.1 s. If Redis does not answer, Left and what was used are negative, and AwaySince says since when.
// [BudgetUse.LastsUntil] has a forecast.
func (r *Remote) BudgetsIn(ctx context.Context, scopes []string) []BudgetUse {
	b, now := r.budgets, r.budgets.now()
	scopes = slices.Compact(slices.Sorted(slices.Values(scopes)))
	var limits []*limit
	for _, scope := range scopes[:min(maxLook, len(scopes))] {
		limits = append(limits, b.look(scope)...)
	}
	list := make([]BudgetUse, 0, len(limits))
	if b.redis == nil {
		for _, l := range limits {
			if u, err := l.localUse(ctx, now); err == nil {
				list = append(list, u)
			}
		}
	} else {
		list = b.sharedUse(ctx, now, limits)
	}
	for i := range list {
		if until := r.silentUntil(list[i].Scope); until.After(list[i].SilentUntil) {
			list[i].SilentUntil = until
		}
	}
	list = slices.DeleteFunc(list, func(u BudgetUse) bool { return u.Calls == 0 && u.SilentUntil.IsZero() })
	slices.SortStableFunc(list, func(a, b BudgetUse) int {
		return cmp.Or(cmp.Compare(a.Scope, b.Scope), cmp.Compare(a.Class, b.Class), cmp.Compare(a.Window, b.Window))
	})
	return list
}

// look returns the limits of all classes of a limit scope. With Redis, they include those that this process does
// not use; they are not kept.
func (b *budgets) look(scope string) (list []*limit) {
	classes := []string{""}
	for _, budget := range b.list {
		if !slices.Contains(classes, budget.Class) {
			classes = append(classes, budget.Class)
		}
	}
	for _, class := range classes {
		b.mu.Lock()
		known := b.limits[limitKey{scope, class}]
		b.mu.Unlock()
		list = append(list, known...)
		for _, budget := range b.list {
			if known == nil && b.redis != nil && budget.Class == class {
				list = append(list, newLimit(b, scope, budget))
			}
		}
	}
	return list
}

// localUse returns how the account of this process stands.
func (l *limit) localUse(ctx context.Context, now time.Time) (BudgetUse, error) {
	if err := l.lock(ctx); err != nil {
		return BudgetUse{}, err
	}
	defer l.unlock()
	out := l.local.do(now.UnixMilli(), l.terms, request{})
	u := l.use(now, &l.local, out.now)
	if u.Left = out.left; out.silent > out.now {
		u.SilentUntil = now.Add(time.Duration(out.silent-out.now) * time.Millisecond)
	}
	return u, nil
}

// use returns what an account has counted. at is the time by the clock of the account.
func (l *limit) use(now time.Time, a *account, at int64) BudgetUse {
	share := func(s remotecall.Spender, hundredths int) BudgetShare {
		return BudgetShare{Minimum: l.terms.Calls * hundredths / 100, Used: a.used[s]}
	}
	u := BudgetUse{
		BudgetState: BudgetState{Scope: l.scope, Budget: l.budget}, at: now,
		People: share(remotecall.People, peopleShare), Syncs: share(remotecall.Syncs, syncShare), Bulk: share(remotecall.Bulk, bulkShare),
	}
	for _, part := range slices.Sorted(maps.Keys(a.counts)) {
		calls := 0
		for _, n := range a.counts[part] {
			calls += n
		}
		end := (part+1)*l.terms.Width + l.terms.Kept
		u.leaving = append(u.leaving, leaving{now.Add(time.Duration(end-at) * time.Millisecond), calls})
	}
	return u
}

// LastsUntil returns when no calls are left if as many calls a minute are made as given, for example tracker.Quota.Rate:
// calls that have left the window are free again. It returns the zero time if the calls do not run out.
func (u *BudgetUse) LastsUntil(perMinute float64) time.Time {
	rate := perMinute / float64(time.Minute)
	if rate <= 0 || u.Left < 0 || u.Calls == 0 {
		return time.Time{}
	}
	free := float64(u.Left)
	for _, l := range u.leaving {
		if after := l.at.Sub(u.at); free < rate*float64(after) {
			break
		}
		free += float64(l.calls)
	}
	// From a window from now on, the calls of this forecast leave the window as fast as new ones are made.
	if lasts := time.Duration(free / rate); lasts < u.Window {
		return u.at.Add(lasts)
	}
	return time.Time{}
}
