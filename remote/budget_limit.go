package remote

import (
	"context"
	"fmt"
	"time"

	"github.com/nawasara/nawasync/internal/remotecall"
)

// limit is one budget of one limit scope, as this process knows it. It is safe for concurrent use.
type limit struct {
	budgets *budgets
	scope   string
	budget  Budget
	terms   terms
	keys    []string

	turn    chan struct{} // a lock that is held while Redis answers
	gone    bool          // forgotten: another limit has taken its place
	local   account       // what this process has spent; the whole account without Redis
	left    int           // calls left, according to the last answer; -1 if unknown
	silent  time.Time
	quota   int                 // what the server has last said about its limit
	others  bool                // it has fewer calls left than the account
	refused [spenders]time.Time // until when a spender need not ask again

	// What this process knows of the account in Redis. Times of Redis are in milliseconds.
	id         string
	serverAt   int64     // the clock of Redis at the last answer
	heardAt    time.Time // when that was here
	joined     bool      // the account lists this process among those that spend
	tickedAt   time.Time
	lease      lease
	processes  []string                // the leases of the others that spend
	grantedAt  int64                   // the last part of the window in which it has granted calls
	unreported map[int64][spenders]int // what was spent without Redis
	awaySince  time.Time               // since when Redis has not answered; zero if it does
}

func newLimit(b *budgets, scope string, budget Budget) *limit {
	window := budget.Window.Milliseconds()
	width := max(window/parts, 1)
	onItsWay := max(width, min(window/20, time.Second.Milliseconds())) // a request may take so long to arrive
	l := &limit{
		budgets: b, scope: scope, budget: budget, turn: make(chan struct{}, 1), left: -1,
		terms: terms{Calls: budget.Calls, Width: width, Kept: window + onItsWay},
	}
	tag := fmt.Sprintf("nawasync:budget:{%s/%s}", b.service, scope)
	account := fmt.Sprintf("%s:%s:%d", tag, budget.Class, budget.Window.Milliseconds())
	l.keys = []string{account, tag + ":silence", account + ":processes"}
	return l
}

// lock waits for the lock until ctx ends.
func (l *limit) lock(ctx context.Context) error {
	select {
	case l.turn <- struct{}{}:
		return nil
	default:
	}
	select {
	case l.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (l *limit) unlock() { <-l.turn }

// do answers a request: by Redis if there is one, else by the account of this process. It returns an error
// only if ctx ends before it is this request's turn; nothing is taken or given back then.
func (l *limit) do(ctx context.Context, q request) (answer, error) {
	l, err := l.locked(ctx)
	if err != nil {
		return answer{}, err
	}
	defer l.unlock()
	return l.ask(ctx, q, sharedRequest{}), nil
}

// locked locks the limit, or the one that has taken its place.
func (l *limit) locked(ctx context.Context) (*limit, error) {
	for {
		if err := l.lock(ctx); err != nil {
			return nil, err
		}
		if !l.gone {
			return l, nil
		}
		l.unlock()
		for _, other := range l.budgets.of(l.scope, l.budget.Class) {
			if other.budget == l.budget {
				l = other
			}
		}
	}
}

// ask is do for a caller that holds the lock. more holds what else it tells Redis.
func (l *limit) ask(ctx context.Context, q request, more sharedRequest) answer {
	now := l.budgets.now()
	if l.budgets.redis == nil {
		out := l.local.do(now.UnixMilli(), l.terms, q)
		l.noteAnswer(now, q, out)
		return out
	}
	shared, err := l.shared(ctx, now, q, more)
	out := shared.answer
	switch {
	case err != nil:
		if l.awaySince.IsZero() {
			l.awaySince = now
		}
		out = l.alone(now, q, err)
	case shared.unsettled:
		if lent := l.alone(now, request{Spender: q.Spender, Calls: q.Calls, Jobs: q.Jobs}, nil); lent.jobs > 0 {
			out = lent
		}
	}
	l.noteAnswer(now, q, out)
	return out
}

// noteAnswer remembers an answer.
func (l *limit) noteAnswer(now time.Time, q request, out answer) {
	l.left = out.left
	l.silent = time.Time{}
	if out.silent > out.now {
		l.silent = now.Add(time.Duration(out.silent-out.now) * time.Millisecond)
		l.budgets.noteSilence(l.scope, l.silent)
	}
	if q.Jobs > 0 {
		l.refused[q.Spender] = time.Time{}
		if out.jobs == 0 && q.Spender != remotecall.People {
			l.refused[q.Spender] = now.Add(min(time.Duration(out.wait)*time.Millisecond, maxReserveWait))
		}
	}
}

// refusedFor returns how long a spender need not ask.
func (l *limit) refusedFor(ctx context.Context, s remotecall.Spender, now time.Time) time.Duration {
	if l.lock(ctx) != nil {
		return time.Millisecond
	}
	defer l.unlock()
	return l.refused[s].Sub(now)
}

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
