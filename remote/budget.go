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
	process string // names this process among those that spend
	now     func() time.Time
	// serverTime replaces the clock of Redis, in milliseconds. Only tests set it.
	serverTime func() int64
	redisLimit time.Duration // how long a call waits for Redis
	settle     time.Duration // settlePause
	ticks      atomic.Bool   // an engine calls Tick

	mu          sync.Mutex
	limits      map[limitKey][]*limit
	silence     map[string]time.Time // of each limit scope, until when
	forgetAt    int                  // at how many limits and silences the idle ones are forgotten
	forgotAt    time.Time
	pausedUntil time.Time // Redis is left alone
	owner       string    // the engine of this process
	engines     []string  // those that live
	aliveAt     time.Time // when it was last known that owner lives
	aliveSince  time.Time // since when that was known without a gap
	lookAway    time.Time // since when Redis has not answered a look
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
	b.makeRoom()
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
		b.makeRoom()
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
	var reserved *remotecall.Reserved
	if job := remotecall.From(ctx); job != nil && b.counted(class) == "" {
		reserved = job.Reserved
	}
	for waited := time.Duration(0); ; {
		taken, back := reserved.Take(scope, 1)
		if taken == 0 {
			back = nil
		}
		grant, kept := b.take(ctx, limits, spender, 1, 1, back)
		if grant.Jobs > 0 {
			return nil
		}
		if kept {
			reserved.PutBack(taken)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if waited+grant.Wait > b.maxWait {
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
// given back for them; kept reports that they were not.
func (b *budgets) take(
	ctx context.Context, limits []*limit, s remotecall.Spender, calls, jobs int, back []int64,
) (grant remotecall.Grant, kept bool) {
	grant = remotecall.Grant{Jobs: jobs, Calls: calls}
	refused := func(wait time.Duration, from int) (remotecall.Grant, bool) {
		giveBackAt(ctx, limits, s, grant.At, grant.Jobs*calls)
		if from > 0 && from < len(back) {
			giveBackAt(ctx, limits[from:], s, back[from:], calls)
		}
		return remotecall.Grant{Wait: wait}, from == 0
	}
	for i, l := range limits {
		if wait := b.silentFor(l.scope); wait > 0 {
			return refused(wait, i)
		}
		q := request{Spender: s, Calls: calls, Jobs: grant.Jobs}
		if i < len(back) {
			q.Back = []spent{{back[i], s, calls}}
		}
		out, err := l.do(ctx, q)
		switch {
		case err != nil:
			return refused(0, i)
		case out.jobs == 0:
			return refused(time.Duration(max(out.wait, 1))*time.Millisecond, i+1)
		}
		giveBackAt(ctx, limits, s, grant.At, (grant.Jobs-out.jobs)*calls)
		grant.Jobs, grant.At = out.jobs, append(grant.At, out.part)
	}
	return grant, false
}

// giveBackAt gives back calls that limits count in parts of their windows, also if ctx has ended.
func giveBackAt(ctx context.Context, limits []*limit, s remotecall.Spender, at []int64, calls int) {
	if calls == 0 {
		return
	}
	ctx = context.WithoutCancel(ctx)
	for i, part := range at {
		_, _ = limits[i].do(ctx, request{Back: []spent{{part, s, calls}}})
	}
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
