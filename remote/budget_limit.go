package remote

import (
	"context"
	"fmt"
	"slices"
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

	turn     chan struct{} // a lock that is held while Redis answers
	local    account       // without Redis, and while it is away
	forecast forecast
	left     int // calls left, according to the last answer; -1 if unknown
	silent   time.Time
	quota    int                 // what the server has last said about its limit
	others   bool                // it has fewer calls left than the account
	refused  [spenders]time.Time // until when a spender need not ask again

	// What this process knows of the account in Redis. Times of Redis are in milliseconds.
	id        string
	serverAt  int64     // the clock of Redis at the last answer
	heardAt   time.Time // when that was here
	joined    bool      // the account lists this process among those that spend
	tickedAt  time.Time
	processes []string                // the processes that spend
	own       map[int64][spenders]int // what this process has spent
	awaySince time.Time               // since when Redis has not answered; zero if it does
}

func newLimit(b *budgets, scope string, budget Budget) *limit {
	window := budget.Window.Milliseconds()
	width := max(window/parts, 1)
	onItsWay := max(width, min(window/20, time.Second.Milliseconds())) // a request may take so long to arrive
	l := &limit{
		budgets: b, scope: scope, budget: budget, turn: make(chan struct{}, 1), left: -1, own: map[int64][spenders]int{},
		terms: terms{Calls: budget.Calls, Width: width, Kept: window + onItsWay},
	}
	tag := fmt.Sprintf("nawasync:budget:{%s/%s}", b.service, scope)
	account := fmt.Sprintf("%s:%s:%d", tag, budget.Class, budget.Window.Milliseconds())
	l.keys = []string{account, tag + ":silence", account + ":processes"}
	return l
}

func (l *limit) lock() { l.turn <- struct{}{} }

func (l *limit) unlock() { <-l.turn }

// do answers a request: by Redis if there is one, else by the account of this process.
func (l *limit) do(ctx context.Context, q request) answer {
	l.lock()
	defer l.unlock()
	out, _ := l.ask(ctx, q, sharedRequest{})
	return out
}

// ask is do for a caller that holds the lock. more holds what else it tells Redis.
func (l *limit) ask(ctx context.Context, q request, more sharedRequest) (answer, error) {
	now := l.budgets.now()
	if l.budgets.redis == nil {
		out := l.local.do(now.UnixMilli(), l.terms, q)
		l.noteAnswer(now, q, out)
		return out, nil
	}
	out, err := l.shared(ctx, now, q, more)
	if err != nil {
		if l.awaySince.IsZero() {
			l.awaySince = now
		}
		out = l.away(now, q)
	}
	l.noteAnswer(now, q, out)
	return out, err
}

// noteAnswer remembers an answer.
func (l *limit) noteAnswer(now time.Time, q request, out answer) {
	l.left = out.left
	l.silent = time.Time{}
	if out.silent > out.now {
		l.silent = now.Add(time.Duration(out.silent-out.now) * time.Millisecond)
		l.budgets.noteSilence(l.scope, l.silent)
	}
	l.forecast.add(now, out.left, !l.silent.IsZero())
	if q.Jobs > 0 {
		l.refused[q.Spender] = time.Time{}
		if out.jobs == 0 && q.Spender != remotecall.People {
			l.refused[q.Spender] = now.Add(min(time.Duration(out.wait)*time.Millisecond, maxReserveWait))
		}
	}
}

// errAway is returned while Redis is left alone after it has not answered.
var errAway = fmt.Errorf("an earlier request to Redis was not answered less than %s ago", redisPause)

// shared asks Redis. It first reports what the process has spent, if the account does not know it.
func (l *limit) shared(ctx context.Context, now time.Time, q request, more sharedRequest) (answer, error) {
	if l.budgets.redisPauses(now) {
		return answer{}, errAway
	}
	if l.spentWhileAway(now) {
		if err := l.report(ctx, now); err != nil {
			return answer{}, err
		}
	}
	out, err := l.send(ctx, now, q, more)
	if err == nil && out.lost {
		if err = l.report(ctx, now); err == nil {
			out, err = l.send(ctx, now, q, more)
		}
		if err == nil && out.lost {
			err = fmt.Errorf("the budget of %s/%s was lost twice within a moment", l.budgets.service, l.scope)
		}
	}
	if err != nil {
		l.budgets.pauseRedis(now)
		return answer{}, err
	}
	l.awaySince = time.Time{}
	if q.Jobs > 0 {
		l.spend(out.part, q.Spender, out.jobs*q.Calls)
	}
	for _, b := range q.Back {
		l.spend(b.Part, b.Spender, -b.Calls)
	}
	return out.answer, nil
}

// send runs the script once.
func (l *limit) send(ctx context.Context, now time.Time, q request, more sharedRequest) (sharedAnswer, error) {
	more.terms, more.notice, more.ID, more.Fresh = l.terms, q.Notice, l.id, l.budgets.newID()
	more.Spender, more.Jobs, more.JobCalls, more.Back = q.Spender, q.Jobs, max(q.Calls, 1), triples(q.Back)
	more.Settle = l.budgets.settle.Milliseconds()
	if more.Spent == nil {
		more.Spent = [][3]int64{}
	}
	if l.budgets.ticks.Load() && !more.Leave && !more.look {
		due := l.joined && now.Sub(l.tickedAt) >= tickInterval
		more.Tick = more.Report || due || (!l.joined && q.Jobs > 0)
	}
	out, err := l.budgets.run(ctx, l.keys, &more)
	if err != nil {
		return out, err
	}
	l.serverAt, l.heardAt = out.now, now
	if more.Tick && !out.lost {
		l.joined, l.tickedAt, l.processes = true, now, out.processes
	}
	if !out.lost {
		l.id = out.id
		l.forgetExpired(out.now)
	}
	return out, nil
}

// spend notes what this process has spent.
func (l *limit) spend(part int64, s remotecall.Spender, calls int) {
	if calls == 0 || l.terms.Calls == 0 {
		return
	}
	counts := l.own[part]
	counts[s] = max(0, counts[s]+calls)
	l.own[part] = counts
}

func (l *limit) forgetExpired(server int64) {
	for part := range l.own {
		if !l.terms.counts(part, server) {
			delete(l.own, part)
		}
	}
}

// serverNow estimates the clock of Redis, in milliseconds. It is behind by at most the time of an answer.
func (l *limit) serverNow(now time.Time) int64 {
	if l.heardAt.IsZero() {
		return now.UnixMilli()
	}
	return l.serverAt + now.Sub(l.heardAt).Milliseconds()
}

// silence after a loss of Redis lasts until nothing of what was granted before counts any more.
func (l *limit) silenceWhileAway() time.Duration {
	return time.Duration(l.terms.Kept+2*l.terms.Width) * time.Millisecond
}

// away answers while Redis is away: nothing for one window, which may hold calls that other processes
// were granted, and then this process's part of the budget.
func (l *limit) away(now time.Time, q request) answer {
	server := l.serverNow(now)
	if rest := l.awaySince.Add(l.silenceWhileAway()).Sub(now); rest > 0 && l.terms.Calls > 0 {
		return answer{now: server, wait: min(rest, redisPause).Milliseconds(), silent: l.silentThen(now, server)}
	}
	t := l.terms
	if t.Calls > 0 {
		processes := max(len(l.processes), int(l.budgets.processes.Load()))
		if processes == 0 {
			return answer{now: server, wait: redisPause.Milliseconds(), silent: l.silentThen(now, server)}
		}
		if t.Calls /= processes; t.Calls == 0 {
			return answer{now: server, wait: redisPause.Milliseconds(), silent: l.silentThen(now, server)}
		}
	}
	l.local.silent = max(l.local.silent, l.silentThen(now, server))
	return l.local.do(server, t, q)
}

// silentThen returns until when the limit scope is silent, by the clock of Redis.
func (l *limit) silentThen(now time.Time, server int64) int64 {
	if rest := l.silent.Sub(now); rest > 0 {
		return server + rest.Milliseconds()
	}
	return 0
}

// spentWhileAway reports whether processes may have spent their parts of the budget since Redis answered.
func (l *limit) spentWhileAway(now time.Time) bool {
	return !l.awaySince.IsZero() && now.Sub(l.awaySince) >= l.silenceWhileAway() && l.terms.Calls > 0
}

// report tells Redis what this process has spent: all of it if the account was lost, and else what it
// has spent while Redis was away.
func (l *limit) report(ctx context.Context, now time.Time) error {
	var list, lost []spent
	for part, counts := range l.local.counts {
		for s, n := range counts {
			list = append(list, spent{part, remotecall.Spender(s), n})
		}
	}
	for part, counts := range l.own {
		for s, n := range counts {
			lost = append(lost, spent{part, remotecall.Spender(s), n})
		}
	}
	more := sharedRequest{Report: true, Known: l.processes, Spent: triples(slices.Concat(list, lost))}
	if l.id != "" {
		// Whether the account is the one that knows l.own shows in a look without effect.
		seen, err := l.send(ctx, now, request{}, sharedRequest{look: true})
		if err != nil {
			return err
		}
		if !seen.lost {
			more.Spent = triples(list)
		}
	}
	q := request{Notice: notice{Silence: max(0, l.silent.Sub(now).Milliseconds())}}
	if _, err := l.send(ctx, now, q, more); err != nil {
		return err
	}
	for _, s := range list {
		l.spend(s.Part, s.Spender, s.Calls)
	}
	l.local, l.awaySince = account{}, time.Time{}
	return nil
}

// tick contacts Redis if this process spends, so that the others know it, and that it notices a loss.
func (l *limit) tick(ctx context.Context) {
	l.lock()
	defer l.unlock()
	now := l.budgets.now()
	if !l.joined && l.awaySince.IsZero() {
		return
	}
	l.forgetExpired(l.serverNow(now))
	if leave := len(l.own) == 0 && l.awaySince.IsZero(); leave {
		if _, err := l.ask(ctx, request{}, sharedRequest{Leave: true}); err == nil {
			l.joined = false
		}
		return
	}
	_, _ = l.ask(ctx, request{}, sharedRequest{})
}
