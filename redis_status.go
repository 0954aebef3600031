package nawasync

import (
	"context"
	"errors"
	"sync"
	"time"
)

// RedisStatus says whether this process can reach Redis.
type RedisStatus struct {
	// DownSince is when a check first failed, and zero while Redis responds.
	DownSince time.Time
	// Err is the error of the last check, or nil.
	Err error
}

const (
	// redisCheckInterval is how long the result of a check is used.
	redisCheckInterval = 5 * time.Second
	// redisCheckTimeout is how long a check may take. Redis usually responds in a millisecond.
	redisCheckTimeout = time.Second
)

// redisCheck is the last check of Redis.
type redisCheck struct {
	mu        sync.Mutex
	status    RedisStatus
	checkedAt time.Time
	running   chan struct{} // closed when the running check ends; nil if none runs
}

// RedisStatus checks whether Redis responds. It checks at most every 5 seconds, takes at most a
// second, and returns the result of the last check in between. Without Config.Redis it returns
// the zero RedisStatus.
func (e *Engine) RedisStatus(ctx context.Context) RedisStatus {
	if e.config.Redis == nil {
		return RedisStatus{}
	}
	c := &e.redisCheck
	c.mu.Lock()
	if age := e.store.Now().Sub(c.checkedAt); c.running == nil && (age < 0 || age >= redisCheckInterval) {
		running := make(chan struct{})
		c.running = running
		go func() {
			// The client may ignore the end of this context, so the caller does not wait for it.
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), redisCheckTimeout)
			defer cancel()
			e.endRedisCheck(e.config.Redis.Ping(ctx).Err())
			close(running)
		}()
	}
	running := c.running
	c.mu.Unlock()
	if running != nil {
		timeout := time.NewTimer(redisCheckTimeout)
		defer timeout.Stop()
		select {
		case <-running:
		case <-ctx.Done():
		case <-timeout.C:
			e.failRedisCheck(context.DeadlineExceeded)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.status
}

// endRedisCheck stores the result of a check that has ended.
func (e *Engine) endRedisCheck(err error) {
	if err != nil {
		e.failRedisCheck(err)
	}
	c := &e.redisCheck
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.status = RedisStatus{}
	}
	c.running, c.checkedAt = nil, e.store.Now()
}

// failRedisCheck stores that Redis does not respond.
func (e *Engine) failRedisCheck(err error) {
	if clean := e.redactor.Text(err.Error()); clean != err.Error() {
		err = errors.New(clean)
	}
	c := &e.redisCheck
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.status.DownSince.IsZero() {
		c.status.DownSince = e.store.Now()
	}
	c.status.Err = err
}

// lastRedisStatus returns the result of the last check.
func (e *Engine) lastRedisStatus() RedisStatus {
	e.redisCheck.mu.Lock()
	defer e.redisCheck.mu.Unlock()
	return e.redisCheck.status
}
