package remote

import (
	"context"
	"fmt"
	"time"

	"github.com/nawasara/nawasync/internal/remotecall"
)

// errAway is returned while Redis is left alone after it has not answered.
var errAway = fmt.Errorf("an earlier request to Redis was not answered less than %s ago", redisPause)

// shared asks Redis. It first reports what the process has spent, if the account does not know it.
func (l *limit) shared(ctx context.Context, now time.Time, q request, more sharedRequest) (out sharedAnswer, err error) {
	if l.budgets.redisPauses(now) {
		return out, errAway
	}
	if len(l.unreported) > 0 {
		// Whether the account is the one that knows the rest shows in a look without effect.
		if out, err = l.send(ctx, now, request{}, sharedRequest{look: true}); err == nil {
			err = l.report(ctx, now, out.lost)
		}
	}
	if err == nil {
		out, err = l.send(ctx, now, q, more)
	}
	if err == nil && out.lost {
		if err = l.report(ctx, now, true); err == nil {
			out, err = l.send(ctx, now, q, more)
		}
		if err == nil && out.lost {
			err = fmt.Errorf("the budget of %s/%s was lost twice within a moment", l.budgets.service, l.scope)
		}
	}
	if err != nil {
		l.budgets.pauseRedis(now)
		return out, err
	}
	l.awaySince = time.Time{}
	if out.jobs > 0 {
		l.grantedAt = out.part
		l.spend(out.part, q.Spender, out.jobs*q.Calls)
	}
	for _, b := range q.Back {
		l.spend(b.Part, b.Spender, -b.Calls)
	}
	return out, nil
}

// send runs the script once.
func (l *limit) send(ctx context.Context, now time.Time, q request, more sharedRequest) (sharedAnswer, error) {
	more.terms, more.notice, more.ID, more.Fresh = l.terms, q.Notice, l.id, l.budgets.newID()
	more.Spender, more.Jobs, more.JobCalls, more.Back = q.Spender, q.Jobs, max(q.Calls, 1), triples(q.Back)
	more.Settle = l.budgets.settle.Milliseconds()
	if l.budgets.ticks.Load() && !more.Leave && !more.look && l.terms.Calls > 0 {
		due := l.joined && now.Sub(l.tickedAt) >= tickInterval
		more.Tick = more.Report || due || (!l.joined && q.Jobs > 0)
	}
	if more.Tick || more.Leave {
		lease := l.budgets.valid(l.lease)
		more.LeaseNow, more.LeaseLater, more.Own = lease.now, lease.later, l.own(q.Back)
		more.Owner, more.Live = l.budgets.alive()
		more.LiveKnown = more.Live != nil
	}
	out, err := l.budgets.run(ctx, l.keys, &more)
	if err != nil {
		return out, err
	}
	l.serverAt, l.heardAt = out.now, now
	if more.Tick && !out.lost {
		l.joined, l.tickedAt, l.processes = true, now, out.processes
		l.lease = lease{now: out.lease.now, later: out.lease.later, at: now}
	}
	if !out.lost {
		l.id = out.id
		l.local.advance(out.now, l.terms)
	}
	return out, nil
}

// spend notes what this process has spent.
func (l *limit) spend(part int64, s remotecall.Spender, calls int) {
	l.local.count(l.serverAt, l.terms, part, s, calls)
}

// serverNow estimates the clock of Redis, in milliseconds. It is behind by at most the time of an answer.
func (l *limit) serverNow(now time.Time) int64 {
	if l.heardAt.IsZero() {
		return now.UnixMilli()
	}
	return l.serverAt + now.Sub(l.heardAt).Milliseconds()
}

// silentThen returns until when the limit scope is silent, by the clock of Redis.
func (l *limit) silentThen(now time.Time, server int64) int64 {
	if rest := l.silent.Sub(now); rest > 0 {
		return server + rest.Milliseconds()
	}
	return 0
}

// report tells Redis what this process has spent: all of it if the account was lost, and else what it
// has spent without Redis.
func (l *limit) report(ctx context.Context, now time.Time, lost bool) error {
	more := sharedRequest{Report: true, Spent: triples(spentOf(l.unreported))}
	if lost {
		more.Spent, more.Known = triples(spentOf(l.local.counts)), l.processes
	}
	q := request{Notice: notice{Silence: max(0, l.silent.Sub(now).Milliseconds())}}
	if _, err := l.send(ctx, now, q, more); err != nil {
		return err
	}
	l.unreported = nil
	return nil
}

// tick contacts Redis if this process spends, so that the others know it, and that it notices a loss.
func (l *limit) tick(ctx context.Context) {
	if l.lock(ctx) != nil {
		return
	}
	defer l.unlock()
	now := l.budgets.now()
	if l.gone || !l.joined && l.awaySince.IsZero() && len(l.unreported) == 0 {
		return
	}
	l.local.advance(l.serverNow(now), l.terms)
	if len(l.local.counts) == 0 && l.awaySince.IsZero() {
		l.leave(ctx)
		return
	}
	l.ask(ctx, request{}, sharedRequest{})
}

// leave tells Redis that this process does not spend any more. It gives its lease up.
func (l *limit) leave(ctx context.Context) {
	l.lease = lease{}
	if l.ask(ctx, request{}, sharedRequest{Leave: true}); l.awaySince.IsZero() {
		l.joined = false
	}
}
