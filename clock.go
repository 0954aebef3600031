package nawasync

import (
	"context"
	"crypto/rand"
	"strings"
	"sync/atomic"
	"time"
)

// clock is the system's clock, corrected by its offset from the database's clock, so that all
// processes agree on which jobs are due. With Config.Now there is no correction.
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

// minOffset is the smallest offset that is corrected. A smaller one may be an error of the
// measurement.
const minOffset = 50 * time.Millisecond

// measureClock measures the clock's offset from the database's clock.
func (e *Engine) measureClock(ctx context.Context) error {
	if e.clock.base != nil {
		return nil
	}
	before := time.Now()
	remote, err := e.store.DatabaseTime(ctx)
	if err != nil || remote.IsZero() {
		return err
	}
	elapsed := time.Since(before)
	offset := remote.Sub(before.Add(elapsed / 2))
	if offset.Abs() < max(minOffset, elapsed) {
		offset = 0
	}
	e.clock.offset.Store(int64(offset))
	return nil
}

// newInstallation returns a random prefix for this database's queues in Redis.
func newInstallation() string { return "nw" + strings.ToLower(rand.Text()[:8]) }
