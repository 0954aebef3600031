package nawasynctest

import (
	"sync"
	"time"
)

// Clock is a clock that stands still until the test or Drain moves it. Set nawasync.Config.Now to
// its method Now. Its methods are safe for concurrent use. Create it with NewClock.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock returns a clock that shows start. The zero time means the current time.
func NewClock(start time.Time) *Clock {
	if start.IsZero() {
		start = time.Now()
	}
	c := &Clock{}
	c.Set(start)
	return c
}

// Now returns the time that the clock shows, in UTC and whole microseconds, as a database stores it.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Set sets the clock to t, which may be earlier than Now.
func (c *Clock) Set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = t.UTC().Truncate(time.Microsecond)
}

// Advance moves the clock forward by d. A negative d moves it back.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d).Truncate(time.Microsecond)
}

// reach moves the clock forward to t. It does nothing if the clock already shows a later time.
func (c *Clock) reach(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.After(c.now) {
		c.now = t.UTC()
	}
}
