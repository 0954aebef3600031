package worker

import "github.com/nawasara/nawasync/internal/jobstore"

// CheckOrphans looks for orphans: jobs that run here according to the database, but not in fact.
// An orphan appears when the answer to a claim was lost and the database applied the claim only
// after the worker had checked for it. No reaper would end such a job, because this process is
// alive. CheckOrphans requeues a job when two calls in a row find it. claims are the jobs that
// run under this process's id according to the database.
func (w *Worker) CheckOrphans(claims []jobstore.Claim) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.running == nil {
		return // not started yet
	}
	candidates := map[jobstore.Claim]bool{}
	for _, claim := range claims {
		switch {
		case w.running[claim] != nil || w.claiming[claim] > 0:
		case !w.orphanCandidates[claim]:
			candidates[claim] = true
		case !w.draining:
			w.inFlight.Add(1)
			go w.requeueOrphan(claim)
		}
	}
	w.orphanCandidates = candidates
}

// requeueOrphan puts an orphan back into the queue, if the database still says that it runs here.
func (w *Worker) requeueOrphan(claim jobstore.Claim) {
	defer w.inFlight.Done()
	job, err := w.Store.ClaimedBy(w.ctx, w.Worker(), claim)
	if err != nil || job == nil {
		return // if the job is still an orphan, the next calls of CheckOrphans find it
	}
	w.Logger.Warn("the database applied a claim after its answer was lost; the job goes back to the queue", "job_id", job.ID, "epoch", job.Epoch)
	w.settle(w.OrphanOutcome(job))
}
