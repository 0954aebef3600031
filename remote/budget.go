package remote

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/remotecall"
)

// budgets are the budgets of a Remote. They are safe for concurrent use.
type budgets struct {
	service string
	list    []Budget
	maxWait time.Duration
	redis   redis.UniversalClient // nil without
	script  *redis.Script
	process string // names this process among those that share the budgets
	now     func() time.Time
	// serverTime replaces the clock of Redis, in milliseconds. Only tests set it.
	serverTime func() int64
	redisLimit time.Duration // how long a call waits for Redis
	settle     time.Duration // settlePause
	ticks      atomic.Bool   // an engine calls Tick
	processes  atomic.Int64  // live processes, as the engine knows them; 0 if it does not

	mu          sync.Mutex
	limits      map[limitKey][]*limit
	silence     map[string]time.Time // of each limit scope, until when
	pausedUntil time.Time            // Redis is left alone
}

type limitKey struct{ scope, class string }

// newBudgets checks the budgets of a configuration.
func newBudgets(c *Config) (*budgets, error) {
	for _, b := range c.Budgets {
		if b.Calls <= 0 || b.Window < time.Second {
			const text = "create the remote of %s: the budget of %d calls in %s for class %q is not valid; set Calls to at least 1, and Window to at least 1 s"
			return nil, fmt.Errorf(text, c.Service, b.Calls, b.Window, b.Class)
		}
	}
	return &budgets{
		service: c.Service, list: c.Budgets, maxWait: c.MaxWait, redis: c.Redis, script: newScript(), process: rand.Text(), now: c.Now,
		redisLimit: redisLimit, settle: settlePause,
		limits: map[limitKey][]*limit{}, silence: map[string]time.Time{},
	}, nil
}

func (*budgets) newID() string { return rand.Text() }

// of returns the limits that count the calls of a class. Without a budget it is one without a limit,
// which knows only what the server asks for.
func (b *budgets) of(scope, class string) []*limit {
	key := limitKey{scope, b.counted(class)}
	b.mu.Lock()
	defer b.mu.Unlock()
	if known := b.limits[key]; known != nil {
		return known
	}
	var list []*limit
	for _, budget := range b.list {
		if budget.Class == key.class {
			list = append(list, newLimit(b, scope, budget))
		}
	}
	if list == nil {
		list = []*limit{newLimit(b, scope, Budget{Class: key.class, Window: time.Minute})}
	}
	b.limits[key] = list
	return list
}

// counted returns the class whose budgets count the calls of a class.
func (b *budgets) counted(class string) string {
	for _, budget := range b.list {
		if budget.Class == class {
			return class
		}
	}
	return ""
}

func (b *budgets) all() (list []*limit) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, limits := range b.limits {
		list = append(list, limits...)
	}
	return list
}

func (b *budgets) redisPauses(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.pausedUntil.After(now)
}

func (b *budgets) pauseRedis(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.pausedUntil.After(now) {
		b.pausedUntil = now.Add(redisPause)
	}
}

// noteSilence notes that a limit scope is silent.
func (b *budgets) noteSilence(scope string, until time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if until.After(b.silence[scope]) {
		b.silence[scope] = until
	}
}

// silentFor returns how long a limit scope is still silent.
func (b *budgets) silentFor(scope string) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return max(0, b.silence[scope].Sub(b.now()))
}

// silentUntil returns until when the server has asked for no calls of a limit scope, as far as this
// process knows, or the zero time.
func (r *Remote) silentUntil(scope string) time.Time {
	if wait := r.budgets.silentFor(scope); wait > 0 {
		return r.config.Now().Add(wait)
	}
	return time.Time{}
}

// waitStep is how long a call that waits for a budget waits between two looks.
const waitStep = 250 * time.Millisecond

// takeBudget takes one call from the budgets of a class, first of the calls that are reserved for the
// job of ctx. It waits up to Config.MaxWait for one. Without one it returns an error with
// fault.ClassRateLimited, which says when to try again.
func (r *Remote) takeBudget(ctx context.Context, scope, class string) error {
	b, limits, spender := r.budgets, r.budgets.of(scope, class), remotecall.SpenderOf(ctx)
	var back []int64
	if job := remotecall.From(ctx); job != nil && b.counted(class) == "" {
		if taken, at := job.Reserved.Take(scope, 1); taken > 0 {
			back = at
		}
	}
	for waited := time.Duration(0); ; {
		grant := b.take(ctx, limits, spender, 1, 1, back)
		if grant.Jobs > 0 {
			return nil
		}
		if back = nil; waited+grant.Wait > b.maxWait {
			return r.noBudget(scope, limits, grant.Wait)
		}
		step := min(grant.Wait, waitStep)
		timer := time.NewTimer(step)
		select {
		case <-timer.C:
			waited += step
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		}
	}
}

// take takes the calls of up to jobs jobs from all limits. back tells where calls are counted that are
// given back for them.
func (b *budgets) take(ctx context.Context, limits []*limit, s remotecall.Spender, calls, jobs int, back []int64) remotecall.Grant {
	grant := remotecall.Grant{Jobs: jobs, Calls: calls}
	giveBack := func(jobs int) {
		for i, part := range grant.At {
			if jobs > 0 {
				limits[i].do(ctx, request{Back: []spent{{part, s, jobs * calls}}})
			}
		}
	}
	for i, l := range limits {
		if wait := b.silentFor(l.scope); wait > 0 {
			giveBack(grant.Jobs)
			return remotecall.Grant{Wait: wait}
		}
		q := request{Spender: s, Calls: calls, Jobs: grant.Jobs}
		if i < len(back) {
			q.Back = []spent{{back[i], s, calls}}
		}
		out := l.do(ctx, q)
		giveBack(grant.Jobs - out.jobs)
		grant.Jobs = out.jobs
		if out.jobs == 0 {
			return remotecall.Grant{Wait: time.Duration(max(out.wait, 1)) * time.Millisecond}
		}
		grant.At = append(grant.At, out.part)
	}
	return grant
}

// noBudget returns the error of a call that was not made.
func (r *Remote) noBudget(scope string, limits []*limit, wait time.Duration) error {
	if until := r.silentUntil(scope); !until.IsZero() {
		err := fmt.Errorf("%s asks for no calls of limit scope %q until %s; the call was not made", r.config.Service, scope, until.Format(time.TimeOnly))
		return &fault.Error{Class: fault.ClassRateLimited, RetryAfter: wait, Err: err}
	}
	text := fmt.Sprintf("the budget of %s for limit scope %q is used up; the call was not made", r.config.Service, scope)
	if l := limits[0]; l.terms.Calls > 0 {
		text = fmt.Sprintf(
			"the budget of %s for limit scope %q, %d calls in %s, is used up; the call was not made",
			r.config.Service,
			scope,
			l.budget.Calls,
			l.budget.Window,
		)
	}
	return &fault.Error{
		Class:      fault.ClassRateLimited,
		RetryAfter: wait,
		Err:        &remotecall.NoBudgetError{Scope: scope, Wait: min(wait, maxReserveWait), Text: text},
	}
}
