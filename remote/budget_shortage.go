package remote

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/nawasara/nawasync/internal/remotecall"
)

// Look tells whether a job would get its calls. It asks a copy of the accounts, so that nobody waits for it and
// nothing is counted.
func (l link) Look(ctx context.Context, q remotecall.Request) (short remotecall.Shortage, found bool) {
	b, now := l.budgets, l.budgets.now()
	if wait := b.silentFor(q.Scope); wait > 0 {
		return remotecall.Shortage{Scope: q.Scope, Until: now.Add(wait), Silent: true}, true
	}
	limits := slices.DeleteFunc(b.look(q.Scope), func(l *limit) bool { return l.budget.Class != "" || l.terms.Calls == 0 })
	if len(limits) == 0 {
		return short, false
	}
	accounts, err := b.copies(ctx, now, limits)
	if err != nil {
		return short, false
	}
	calls := max(q.Calls, 1)
	for _, l := range limits {
		calls = min(calls, max(1, l.terms.Calls/reservedPart))
	}
	for i, l := range limits {
		a, at := accounts[i].account, accounts[i].at
		out := a.do(at, l.terms, request{Spender: q.Spender, Calls: calls, Jobs: 1})
		until := now.Add(time.Duration(max(out.wait, 1)) * time.Millisecond)
		if out.jobs > 0 || found && !until.After(short.Until) {
			continue
		}
		found = true
		short = remotecall.Shortage{Scope: q.Scope, Until: until, Silent: out.silent > 0, Calls: l.budget.Calls, Window: l.budget.Window, Left: out.left}
	}
	return short, found
}

// accountCopy is a copy of an account, and the time by its clock.
type accountCopy struct {
	account account
	at      int64
}

// copies returns copies of the accounts of limits.
func (b *budgets) copies(ctx context.Context, now time.Time, limits []*limit) ([]accountCopy, error) {
	list := make([]accountCopy, len(limits))
	if b.redis != nil {
		read, err := b.readAccounts(ctx, now, limits)
		for i := range list {
			if err == nil {
				list[i].account, list[i].at = read.account(i)
			}
		}
		return list, err
	}
	for i, l := range limits {
		if err := l.lock(ctx); err != nil {
			return nil, err
		}
		list[i] = accountCopy{l.local, now.UnixMilli()}
		list[i].account.counts, list[i].account.sums = maps.Clone(l.local.counts), maps.Clone(l.local.sums)
		l.unlock()
	}
	return list, nil
}
