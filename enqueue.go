package nawasync

import (
	"context"
	"time"

	"github.com/nawasara/nawasync/internal/jobstore"
)

// enqueueBudget returns how many jobs a dispatch may put into Redis itself. The relay puts the
// others there, so that a large dispatch does not fill Redis.
func (e *Engine) enqueueBudget() int {
	if e.bells == nil {
		return 0
	}
	return e.tuning.RungCap
}

const (
	// maxEnqueuing is how many dispatches may send wake-ups in the background at once.
	maxEnqueuing = 32
	// maxEnqueueWait is how long a dispatch waits for Redis.
	maxEnqueueWait = 20 * time.Millisecond
)

// enqueueAsync sends wake-ups in the background. The caller need not wait, because the jobs are
// committed and the relay repeats a lost wake-up. So that dispatches do not outrun Redis,
// enqueueAsync waits up to maxEnqueueWait for a free slot and, with more than two wake-ups, until
// they are sent. After that time it returns: the background goroutine continues, or without a free
// slot the relay sends the wake-ups.
func (e *Engine) enqueueAsync(ctx context.Context, bells []jobstore.Bell) {
	if len(bells) == 0 || e.bells == nil {
		return
	}
	var wait <-chan time.Time // made only when there is something to wait for
	select {
	case e.enqueuing <- struct{}{}:
	default:
		wait = time.After(maxEnqueueWait)
		select {
		case e.enqueuing <- struct{}{}:
		case <-wait:
			e.leaveToRelay(ctx, bells)
			return
		}
	}
	sent := make(chan struct{})
	go func() {
		defer func() { <-e.enqueuing }()
		defer close(sent)
		e.enqueue(ctx, bells)
	}()
	if len(bells) > 2 {
		if wait == nil {
			wait = time.After(maxEnqueueWait)
		}
		select {
		case <-sent:
		case <-wait:
		}
	}
}

// drainEnqueues waits until no dispatch sends wake-ups in the background. It keeps all slots, so
// later dispatches leave their wake-ups to the relay.
func (e *Engine) drainEnqueues(ctx context.Context) {
	for range maxEnqueuing {
		select {
		case e.enqueuing <- struct{}{}:
		case <-ctx.Done():
			return
		}
	}
}

// enqueue puts the wake-ups into Redis. It leaves those that Redis does not accept to the relay.
func (e *Engine) enqueue(ctx context.Context, bells []jobstore.Bell) {
	if len(bells) == 0 || e.bells == nil {
		return
	}
	// The jobs are committed, so they must be woken even if the caller's context has ended.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	missed, err := e.bells.Ring(ctx, bells)
	if err == nil {
		return
	}
	e.logger.Warn("could not put jobs into Redis; the relay will try again", "jobs", len(missed), "error", err)
	e.leaveToRelay(ctx, missed)
}

// leaveToRelay marks jobs as missing from Redis, so that the relay enqueues them at once.
func (e *Engine) leaveToRelay(ctx context.Context, bells []jobstore.Bell) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := e.store.Unring(ctx, bells); err != nil {
		e.logger.Debug("could not mark jobs as missing from Redis; the relay will find them later", "jobs", len(bells), "error", err)
	}
}
