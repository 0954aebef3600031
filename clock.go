package nawasync

import (
	"context"
	"crypto/rand"
	"strings"
	"sync/atomic"
	"time"
)

// clock is the system's clock with the database's offset, so that processes agree
// on what is due. With Config.Now there is no offset.
type clock struct {
	base   func() time.Time
	offset atomic.Int64
}

func (c *clock) Now() time.Time {
	if c.base != nil {
		return c.base()
	}
	return time.Now().Add(time.Duration(c.offset.Load()))
}

// minOffset is an offset that is left alone: less than what measuring it errs.
const minOffset = 50 * time.Millisecond

func (e *Engine) measureClock(ctx context.Context) error {
	if e.clock.base != nil {
		return nil
	}
	before := time.Now()
	remote, err := e.store.DatabaseTime(ctx)
	if err != nil || remote.IsZero() {
		return err
	}
	took := time.Since(before)
	offset := remote.Sub(before.Add(took / 2))
	if offset.Abs() < max(minOffset, took) {
		offset = 0
	}
	e.clock.offset.Store(int64(offset))
	return nil
}

// newInstallation is a random prefix for this database's queues in Redis.
func newInstallation() string { return "nw" + strings.ToLower(rand.Text()[:8]) }
