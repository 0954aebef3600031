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
