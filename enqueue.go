package nawasync

import (
	"context"
	"time"

	"github.com/nawasara/nawasync/internal/jobstore"
)

// enqueueBudget is how many jobs of one dispatch may be rung by it. What goes beyond, more
// than Redis should hold, is left to the relay.
func (e *Engine) enqueueBudget() int {
	if e.bells == nil {
		return 0
	}
	return e.tuning.RungCap
}

// maxEnqueuing is how many dispatches may ring in the background at once.
const maxEnqueuing = 32

// enqueueAsync rings for a job or two without keeping the caller waiting: the jobs
// stand, and a ring that gets lost is found by the relay. When many are on their
// way already the caller waits, so that Redis sets the pace.
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

// drainEnqueues waits until no dispatch rings in the background, and has later ones ring
// themselves.
func (e *Engine) drainEnqueues(ctx context.Context) {
	for range maxEnqueuing {
		select {
		case e.enqueuing <- struct{}{}:
		case <-ctx.Done():
			return
		}
	}
}

func (e *Engine) enqueue(ctx context.Context, bells []jobstore.Bell) {
	if len(bells) == 0 || e.bells == nil {
		return
	}
	// The jobs stand: a caller that gives up now must not keep them from running.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	missed, err := e.bells.Ring(ctx, bells)
	if err == nil {
		return
	}
	e.logger.Warn("nawasync: jobs could not be put into Redis; the relay will ring for them", "jobs", len(missed), "error", err)
	if err := e.store.Unring(ctx, missed); err != nil {
		e.logger.Debug("nawasync: rings got lost and will be found by the relay", "jobs", len(missed), "error", err)
	}
}
