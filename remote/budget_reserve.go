package remote

import (
	"context"
	"time"

	"github.com/nawasara/nawasync/internal/remotecall"
)

// Link is for package nawasync, which reserves the calls of jobs. It returns nil to all others, who cannot
// name the type of its parameter.
func (r *Remote) Link(key remotecall.Key) remotecall.Link {
	if !key.Valid() {
		return nil
	}
	return link{r.budgets}
}

type link struct{ budgets *budgets }

const (
	// reservedPart is how much of a budget one job may reserve: a job that needs more takes the rest while
	// it runs.
	reservedPart = 4
	// maxReserveWait is after how long the engine asks again at the latest.
	maxReserveWait = 10 * time.Second
	maxPeopleWait  = 500 * time.Millisecond
)

// Reserve reserves calls for jobs.
func (l link) Reserve(ctx context.Context, requests []remotecall.Request) []remotecall.Grant {
	grants := make([]remotecall.Grant, len(requests))
	for i, q := range requests {
		grants[i] = l.budgets.reserve(ctx, q)
	}
	return grants
}

func (b *budgets) reserve(ctx context.Context, q remotecall.Request) remotecall.Grant {
	limits, calls, now := b.of(q.Scope, ""), max(q.Calls, 1), b.now()
	if wait := b.silentFor(q.Scope); wait > 0 {
		return remotecall.Grant{Wait: min(wait, maxReserveWait)}
	}
	for _, l := range limits {
		if l.terms.Calls == 0 {
			return remotecall.Grant{Jobs: q.Jobs}
		}
		calls = min(calls, max(1, l.terms.Calls/reservedPart))
		if wait := l.refusedFor(ctx, q.Spender, now); wait > 0 {
			return remotecall.Grant{Wait: min(wait, maxReserveWait)}
		}
	}
	grant, _ := b.take(ctx, limits, q.Spender, calls, q.Jobs, nil)
	grant.Wait = min(grant.Wait, maxReserveWait)
	if q.Spender == remotecall.People { // somebody may give back calls
		grant.Wait = min(grant.Wait, maxPeopleWait)
	}
	return grant
}

// Return gives back the calls of jobs that were not claimed.
func (l link) Return(ctx context.Context, q remotecall.Request, grant remotecall.Grant, n int) {
	l.budgets.giveBack(ctx, q.Scope, q.Spender, grant.At, n*grant.Calls)
}

// ReturnRest gives back what a job did not use.
func (l link) ReturnRest(ctx context.Context, s remotecall.Spender, rest *remotecall.Reserved) {
	if rest == nil {
		return
	}
	const all = 1 << 30
	calls, at := rest.Take(rest.Scope(), all)
	l.budgets.giveBack(ctx, rest.Scope(), s, at, calls)
}

func (b *budgets) giveBack(ctx context.Context, scope string, s remotecall.Spender, at []int64, calls int) {
	if calls > 0 && len(at) > 0 {
		giveBackAt(ctx, b.of(scope, ""), s, at, calls)
	}
}

// Tick contacts Redis for each budget that this process spends.
func (l link) Tick(ctx context.Context, engine string, live []string) {
	l.budgets.tidy()
	if l.budgets.redis == nil {
		return
	}
	l.budgets.ticks.Store(true)
	l.budgets.live(engine, live)
	for _, limit := range l.budgets.all() {
		limit.tick(ctx)
	}
}

// Leave gives up what this process may spend without Redis.
func (l link) Leave(ctx context.Context) {
	if l.budgets.redis == nil {
		return
	}
	l.budgets.ticks.Store(false)
	for _, limit := range l.budgets.all() {
		limit.stop(ctx)
	}
}
