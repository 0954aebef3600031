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

// maxEnqueuing is how many dispatches may send wake-ups in the background at once.
const maxEnqueuing = 32

// enqueueAsync sends the wake-ups of one or two jobs in the background. The caller need not
// wait, because the jobs are committed and the relay repeats a lost wake-up. When maxEnqueuing
// dispatches are already sending, the caller sends the wake-ups itself, so that dispatches do
// not outrun Redis.
func (e *Engine) enqueueAsync(ctx context.Context, bells []jobstore.Bell) {
	if len(bells) == 0 || e.bells == nil {
		return
	}
	if len(bells) <= 2 {
		select {
		case e.enqueuing <- struct{}{}:
			go func() {
				defer func() { <-e.enqueuing }()
				e.enqueue(ctx, bells)
			}()
			return
		default:
		}
	}
	e.enqueue(ctx, bells)
}

// drainEnqueues waits until no dispatch sends wake-ups in the background. It keeps all slots,
// so later dispatches send their wake-ups in the foreground.
func (e *Engine) drainEnqueues(ctx context.Context) {
	for range maxEnqueuing {
		select {
		case e.enqueuing <- struct{}{}:
		case <-ctx.Done():
			return
		}
	}
}

// enqueue puts the wake-ups into Redis. If that fails, it leaves them to the relay.
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
	if err := e.store.Unring(ctx, missed); err != nil {
		e.logger.Debug("could not mark jobs as missing from Redis; the relay will find them later", "jobs", len(missed), "error", err)
	}
}
