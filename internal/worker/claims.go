package worker

import (
	"context"

	"github.com/nawasara/nawasync/internal/jobstore"
)

// claims counts the claims that the database may be working on. A claim whose job is not registered
// as running yet must not be taken for an orphan.
type claims struct {
	begun    int          // number of the last claim that has begun
	inFlight map[int]bool // numbers of the claims that have not ended
}

// oldest returns the number of the oldest claim in flight, or begun+1 if there is none.
func (c *claims) oldest() int {
	oldest := c.begun + 1
	for n := range c.inFlight {
		oldest = min(oldest, n)
	}
	return oldest
}

// claimDue claims jobs. The caller must call end with the jobs that it will run: end registers them
// as running and returns their contexts.
func (w *Worker) claimDue(looks []jobstore.Look, limit int) (result *jobstore.Claimed, end func([]*jobstore.Job) []context.Context, err error) {
	w.mu.Lock()
	w.claims.begun++
	n := w.claims.begun
	if w.claims.inFlight == nil {
		w.claims.inFlight = map[int]bool{}
	}
	w.claims.inFlight[n] = true
	w.mu.Unlock()
	end = func(jobs []*jobstore.Job) []context.Context {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.claims.inFlight, n)
		contexts := make([]context.Context, 0, len(jobs))
		for _, job := range jobs {
			contexts = append(contexts, w.register(job))
		}
		return contexts
	}
	ctx, cancel := context.WithTimeout(w.ctx, claimTimeout)
	defer cancel()
	defer w.through.begin()()
	if len(looks) == 1 && looks[0].Probe {
		result, err = w.Store.ClaimProbe(ctx, w.Worker(), looks[0])
	} else {
		result, err = w.Store.ClaimDue(ctx, w.Worker(), looks, limit)
	}
	w.through.end(err)
	return result, end, err
}

// register registers a claimed job as running and returns its context. The caller holds w.mu.
func (w *Worker) register(job *jobstore.Job) context.Context {
	w.inFlight.Add(1)
	ctx, cancel := context.WithCancelCause(context.Background())
	w.running[jobstore.Claim{ID: job.ID, Epoch: job.Epoch}] = cancel
	if w.stopCause != nil && (w.drains() || !w.HoldsLease() || job.Worker != w.Worker()) {
		cancel(w.stopCause)
	}
	return ctx
}

// demote takes jobs out of the way of later claims.
func (w *Worker) demote(jobs []jobstore.Blocked) error {
	ctx, cancel := context.WithTimeout(w.ctx, claimTimeout)
	defer cancel()
	return w.Store.Demote(ctx, jobs)
}
