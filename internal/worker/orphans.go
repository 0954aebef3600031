package worker

import (
	"context"

	"github.com/nawasara/nawasync/internal/jobstore"
)

// CheckOrphans looks for orphans: jobs that run here according to the database, but not in fact.
// An orphan appears when the answer to a claim was lost although the database applied it. No reaper
// would end such a job, because this process is alive. CheckOrphans requeues a job if an earlier call
// has found it too and all claims that had begun by then have ended. listed are the jobs that run
// under this process's id according to the database.
func (w *Worker) CheckOrphans(listed []jobstore.Claim) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.running == nil {
		return // not started yet
	}
	candidates := map[jobstore.Claim]int{}
	for _, claim := range listed {
		if w.running[claim] != nil {
			continue
		}
		seen, known := w.orphans[claim]
		switch {
		case !known:
			candidates[claim] = w.claims.begun
		case w.claims.oldest() <= seen || w.drains():
			candidates[claim] = seen
		default:
			w.inFlight.Add(1)
			go w.requeueOrphan(claim)
		}
	}
	w.orphans = candidates
}

// requeueOrphan puts an orphan back into the queue, if the database still says that it runs here.
func (w *Worker) requeueOrphan(claim jobstore.Claim) {
	defer w.inFlight.Done()
	ctx, cancel := context.WithTimeout(w.ctx, claimTimeout)
	defer cancel()
	job, err := w.Store.ClaimedBy(ctx, w.Worker(), claim)
	if err != nil || job == nil {
		return // if the job is still an orphan, the next calls of CheckOrphans find it
	}
	w.Logger.Warn("the database applied a claim after its answer was lost; the job goes back to the queue", "job_id", job.ID, "epoch", job.Epoch)
	w.settle(w.OrphanOutcome(job), func() {})
}
