package remote

import (
	"crypto/rand"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
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
