package remote

import (
	"context"
	"time"
)

const (
	// forgetAbove is how many limit scopes a process knows before it forgets those that are idle.
	forgetAbove = 256
	// forgetEvery is how often an engine lets a process with more of them forget.
	forgetEvery = time.Minute
)

// makeRoom forgets what is idle if there is twice as much as was left the last time. So it costs a new limit
// scope no more than a look at two. The caller holds mu.
func (b *budgets) makeRoom() {
	if len(b.limits)+len(b.silence) >= max(b.forgetAt, forgetAbove) {
		b.forgetIdle()
	}
}

// tidy forgets what is idle from time to time.
func (b *budgets) tidy() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.limits)+len(b.silence) > forgetAbove && b.now().Sub(b.forgotAt) >= forgetEvery {
		b.forgetIdle()
	}
}

// forgetIdle forgets silences that are over, and limits whose window has no calls. The caller holds mu.
func (b *budgets) forgetIdle() {
	now := b.now()
	for scope, until := range b.silence {
		if !until.After(now) {
			delete(b.silence, scope)
		}
	}
	for key, limits := range b.limits {
		if forget(limits, now) {
			delete(b.limits, key)
		}
	}
	b.forgetAt, b.forgotAt = 2*(len(b.limits)+len(b.silence)), now
}

// forget marks the limits of a limit scope as gone if all are idle. It does not wait for a lock: a limit
// that is locked is not idle.
func forget(limits []*limit, now time.Time) bool {
	locked := 0
	defer func() {
		for _, l := range limits[:locked] {
			l.unlock()
		}
	}()
	for _, l := range limits {
		select {
		case l.turn <- struct{}{}:
			locked++
		default:
			return false
		}
		if !l.idle(now) {
			return false
		}
	}
	for _, l := range limits {
		l.gone = true
	}
	return true
}

// idle reports whether the limit knows nothing that a new one does not. The caller holds the lock.
func (l *limit) idle(now time.Time) bool {
	server := l.serverNow(now)
	l.local.advance(server, l.terms)
	known := len(l.local.counts) > 0 || l.local.silent > server || l.local.othersUntil > server || l.local.quotaUntil > server
	return !known && !l.joined && len(l.unreported) == 0 && !l.silent.After(now)
}

// stop gives up what this process may spend without Redis, because its engine has stopped.
func (l *limit) stop(ctx context.Context) {
	if l.lock(ctx) != nil {
		return
	}
	defer l.unlock()
	if l.joined {
		l.leave(ctx)
	}
}
