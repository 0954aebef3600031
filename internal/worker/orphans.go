package worker

import "github.com/nawasara/nawasync/internal/jobstore"

// CheckOrphans compares what the database says runs here with what does. A claim whose
// answer was lost may come through after we had looked for it: its job would be
// running for ever, since its process lives. It is given back when two accounts in
// a row have it.
func (w *Worker) CheckOrphans(account []jobstore.Claim) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.running == nil {
		return // not started yet
	}
	seen := map[jobstore.Claim]bool{}
	for _, claim := range account {
		switch {
		case w.running[claim] != nil || w.claiming[claim] > 0:
		case !w.orphanCandidates[claim]:
			seen[claim] = true
		case !w.draining:
			w.inFlight.Add(1)
			go w.releaseClaim(claim)
		}
	}
	w.orphanCandidates = seen
}

func (w *Worker) releaseClaim(claim jobstore.Claim) {
	defer w.inFlight.Done()
	job, err := w.Store.ClaimedBy(w.ctx, w.Worker(), claim)
	if err != nil || job == nil {
		return // the next accounts will tell
	}
	w.Logger.Warn("nawasync: a job was claimed here and its claim got lost; it is given back", "job", job.ID, "epoch", job.Epoch)
	w.settle(w.OrphanOutcome(job))
}
