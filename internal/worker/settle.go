package worker

import (
	"context"
	"errors"
	"time"

	"github.com/nawasara/nawasync/internal/groupcommit"
	"github.com/nawasara/nawasync/internal/jobstore"
)

// runJob runs a claimed job and writes its outcome.
func (w *Worker) runJob(ctx context.Context, p *puller, job *jobstore.Job) {
	defer w.inFlight.Done()
	outcome := w.Run(ctx, job)
	// Free the slot now and write the outcome afterwards. If the process dies before the outcome is
	// written, the row still has the status running, and a reaper requeues the job.
	w.pending <- struct{}{}
	p.release(1)
	place := w.pending
	defer func() { <-place }()
	// The job counts as running until its outcome is written, so that it is not taken for an orphan.
	defer w.unregister(job)
	w.settle(outcome, func() { place = w.leavePending(place) })
}

func (w *Worker) unregister(job *jobstore.Job) {
	key := jobstore.Claim{ID: job.ID, Epoch: job.Epoch}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running[key](nil)
	delete(w.running, key)
}

// settle tries to write an outcome until it is written or refused, or until Stop ends the
// retries. Between two tries it has no connection. It calls onLocked when it has found a row locked.
func (w *Worker) settle(out *jobstore.Outcome, onLocked func()) {
	defer w.lockedOutcomes.remove(out.Job.ID)
	for wait := minPause; ; wait = min(2*wait, maxPause) {
		result, err := w.settleOnce(out)
		var refused *jobstore.OnSuccessError
		var locked *jobstore.LockedError
		switch {
		case err == nil && !result.Won:
			w.Logger.Warn("a late outcome was refused: another process has changed the job", "job_id", out.Job.ID, "epoch", out.Job.Epoch)
			return
		case err == nil:
			w.Settled(w.ctx, out, result)
			return
		case errors.As(err, &refused):
			out = w.OnSuccessFailed(out, refused)
			continue
		case errors.As(err, &locked) && w.ctx.Err() == nil:
			w.lockedOutcomes.add(out.Job.ID, locked.Row)
			w.Logger.Debug("an outcome cannot be written yet", "job_id", out.Job.ID, "error", err)
			onLocked()
			w.awaitUnlocked(locked, wait)
		case errors.Is(err, groupcommit.ErrStopped) || !w.waitForRetry(wait):
			w.Logger.Error("the process stops before an outcome could be written; the job will run again", "job_id", out.Job.ID, "error", err)
			return
		default:
			w.Logger.Warn("an outcome could not be written; trying again", "job_id", out.Job.ID, "error", err)
		}
		out.Now = time.Time{}
	}
}

// waitForRetry waits for d. It returns false after Stop.
func (w *Worker) waitForRetry(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-w.ctx.Done():
		return false
	}
}

// settleOnce tries once to write an outcome. An outcome with an OnSuccess function or a snapshot
// row gets its own transaction: a slow function or a locked row must not delay other outcomes.
func (w *Worker) settleOnce(out *jobstore.Outcome) (jobstore.Settled, error) {
	if out.OnSuccess == nil && out.Job.SnapshotTable == "" {
		return w.settlements.Do(out)
	}
	results, errs := w.Store.Settle(w.ctx, []*jobstore.Outcome{out})
	return results[0], errs[0]
}
