package remote

import (
	"errors"
	"slices"
	"time"

	"github.com/nawasara/nawasync/internal/remotecall"
)

// lease is with how many calls in a window a process may go on while it does not reach Redis. The account
// in Redis sets them aside, so that no window holds more calls than the budget, whichever processes reach
// Redis. For the sum over all processes of the greater of what a process has spent and its lease is never
// above the budget: a process whose lease is greater than what it has spent makes up the difference at most,
// and one that has spent more makes no calls.
//
// A process may go on with what it has made in the last window, and its part of two thirds of the calls that
// are kept for people. This keeps nothing from other processes that they could use. What nobody uses is
// leased for later: after a window, in which the calls that were granted to others leave it. Redis sets that
// aside only while the process is away.
//
// A lease changes once a second, with the tick of its process. Redis sets aside the greater of both until
// the process has said which one it knows. It sets the lease of a process that is away aside until the
// engine of the process is not in the database, and a window longer. So a process gives up its lease when it
// cannot read there that its engine lives.
type lease struct {
	now, later int
	at         time.Time // when it was told
}

const (
	// leasedShare is which part of the calls that are kept for people is leased, in hundredths.
	leasedShare = 67
	// aliveFor is how long a process uses a lease after it has read that its engine lives.
	aliveFor = 5 * time.Second
	// actionCalls is how many calls of a lease are left to people at least: those of one change.
	actionCalls = 2
)

// valid returns a lease as the process may use it.
func (b *budgets) valid(l lease) lease {
	b.mu.Lock()
	defer b.mu.Unlock()
	if l.at.Before(b.aliveSince) || b.now().Sub(b.aliveAt) > aliveFor {
		return lease{}
	}
	return l
}

// live notes that the engine of this process lives. After a time in which that was not known, the leases
// of before have ended.
func (b *budgets) live(owner string, engines []string) {
	now := b.now()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.owner, b.engines = owner, engines
	if slices.Contains(engines, owner) {
		if now.Sub(b.aliveAt) > aliveFor {
			b.aliveSince = now
		}
		b.aliveAt = now
		return
	}
}

// leased returns how many calls in a window this process may make without Redis.
func (l *limit) leased(now time.Time) int {
	lease := l.budgets.valid(l.lease)
	if !l.awaySince.IsZero() && now.Sub(l.awaySince) >= l.untilLater() {
		return max(lease.now, lease.later)
	}
	return lease.now
}

// untilLater is how long a process must not have reached Redis until it may use what is leased for later:
// until Redis takes it as away, and all that was granted to others before has left the window.
func (l *limit) untilLater() time.Duration {
	return unseenAfter + time.Duration(l.terms.Kept+2*l.terms.Width)*time.Millisecond
}

// alone answers without Redis, from the lease. err is why. What q gives back of calls that Redis has granted
// may have reached it all the same.
func (l *limit) alone(now time.Time, q request, err error) answer {
	server, t := l.serverNow(now), l.terms
	if t.Calls == 0 {
		l.local.silent = max(l.local.silent, l.silentThen(now, server))
		return l.local.do(server, t, q)
	}
	for _, b := range q.Back {
		if b.Part > l.grantedAt || errors.Is(err, errAway) {
			l.addUnreported(b.Part, b.Spender, -b.Calls)
		}
	}
	t.Calls = l.leased(now)
	if t.Calls == 0 {
		l.local.advance(server, l.terms)
		l.local.giveBack(server, l.terms, q.Back)
		return answer{now: server, wait: redisPause.Milliseconds(), silent: l.silentThen(now, server)}
	}
	t.People = min(actionCalls, t.Calls/2)
	l.local.silent = max(l.local.silent, l.silentThen(now, server))
	out := l.local.do(server, t, q)
	l.addUnreported(out.part, q.Spender, out.jobs*q.Calls)
	out.wait = min(out.wait, redisPause.Milliseconds())
	return out
}

// addUnreported notes calls that Redis does not know.
func (l *limit) addUnreported(part int64, s remotecall.Spender, calls int) {
	counts := l.unreported[part]
	if counts[s] = max(0, counts[s]+calls); counts == [spenders]int{} {
		delete(l.unreported, part)
		return
	}
	if l.unreported == nil {
		l.unreported = map[int64][spenders]int{}
	}
	l.unreported[part] = counts
}

// spentOf returns the calls of parts as a list.
func spentOf(counts map[int64][spenders]int) (list []spent) {
	for part, calls := range counts {
		for s, n := range calls {
			if n > 0 {
				list = append(list, spent{part, remotecall.Spender(s), n})
			}
		}
	}
	return list
}

// own returns what this process has spent in each part, without what it gives back.
func (l *limit) own(back []spent) (list [][2]int64) {
	for part, calls := range l.local.counts {
		sum := 0
		for _, n := range calls {
			sum += n
		}
		for _, b := range back {
			if b.Part == part {
				sum -= b.Calls
			}
		}
		if sum > 0 {
			list = append(list, [2]int64{part, int64(sum)})
		}
	}
	return list
}

// alive returns the engine of this process and those that live, nil if that is unknown.
func (b *budgets) alive() (owner string, engines []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.now().Sub(b.aliveAt) > aliveFor {
		return b.owner, nil
	}
	return b.owner, b.engines
}
