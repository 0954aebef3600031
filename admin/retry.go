package admin

import (
	"context"
	"errors"
	"strconv"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/tracker"
)

// maxRetryChain is how many retries of retries a job's page follows.
const maxRetryChain = 20

// loadRetries reads what was dispatched after an ended job: the last of its retries, and later jobs of its object.
func (v *jobView) loadRetries(ctx context.Context) error {
	later, err := v.store().LaterJobs(ctx, []*tracker.Job{v.job})
	if err != nil {
		return err
	}
	l := later[v.job.ID]
	v.newer, v.newest = l.Succeeded, l.Newest()
	found, err := v.store().ByID(ctx, []int64{l.Succeeded, l.Failed, l.Open})
	if err != nil {
		return err
	}
	for _, id := range []int64{l.Open, l.Failed, l.Succeeded} {
		if job := found[id]; job != nil && job.OriginalID() != v.job.OriginalID() {
			v.later = append(v.later, job)
		}
	}
	for id := v.job.RetriedAs; id != 0 && len(v.retries) < maxRetryChain; {
		found, err := v.store().ByID(ctx, []int64{id})
		if err != nil {
			return err
		}
		job := found[id]
		if job == nil {
			break
		}
		v.retries = append(v.retries, job)
		id = job.RetriedAs
	}
	return nil
}

// lastRetry returns the last retry of the job that is stored, or nil.
func (v *jobView) lastRetry() *tracker.Job {
	if len(v.retries) == 0 {
		return nil
	}
	return v.retries[len(v.retries)-1]
}

// retriedText says which job follows the job, or "".
func (v *jobView) retriedText() string {
	last := v.lastRetry()
	switch {
	case v.job.RetriedAs == 0:
		return ""
	case last == nil && v.job.Status == tracker.StatusConflict:
		return v.Tf("Answered by job %d, which is no longer stored.", v.job.RetriedAs)
	case last == nil:
		return v.Tf("Retried as job %d, which is no longer stored.", v.job.RetriedAs)
	case v.job.Status == tracker.StatusConflict:
		return v.Tf("Answered by job %d: %s.", last.ID, v.status(last.Status))
	case len(v.retries) > 1:
		return v.Tf("Retried %d times, last as job %d: %s.", len(v.retries), last.ID, v.status(last.Status))
	}
	return v.Tf("Retried as job %d: %s.", last.ID, v.status(last.Status))
}

// retryInstead returns the job to retry or to wait for instead of this one, or nil. That is its last retry, unless that
// has succeeded.
func (v *jobView) retryInstead() *tracker.Job {
	last := v.lastRetry()
	if last == nil || last.Status == tracker.StatusSuccess || last.Status == tracker.StatusSkipped {
		return nil
	}
	if last.Tracked() && last.Status == tracker.StatusQueued && last.Attempt == 0 {
		return nil // its task may not have been enqueued; another retry enqueues it
	}
	return last
}

// retriesFirst reports whether the retry is what an operator would press first.
func (v *jobView) retriesFirst() bool {
	if v.retryBlockedReason() != "" || v.job.RetriedAs != 0 || v.newest != 0 || v.job.Status == tracker.StatusSuccess || v.job.Status == tracker.StatusSkipped {
		return false
	}
	return !v.job.InConflict() && !v.isHeldSync()
}

// warnsOfLater reports whether the page itself warns of later jobs of the object, and not just the form: somebody may
// want to retry the job.
func (v *jobView) warnsOfLater() bool {
	return len(v.later) > 0 && v.canManage() && v.retryBlockedReason() == "" && v.retryInstead() == nil &&
		(v.job.Status == tracker.StatusFailed || v.job.Status == tracker.StatusCancelled)
}

// needsForce reports whether only a forced retry runs the job again.
func (v *jobView) needsForce() bool { return v.newer != 0 || v.job.RetriedAs != 0 }

// laterText says how a later job of the same object stands.
func (v *jobView) laterText(job *tracker.Job) string {
	switch {
	case job.Status == tracker.StatusSuccess:
		return v.T("A later job of the same object succeeded. A retry would undo its change:")
	case job.Status.Terminal():
		return v.T("A later job of the same object failed. A retry would run without its change:")
	}
	return v.T("A later job of the same object has not ended. A retry would run after it:")
}

// retryJob retries a job. If later jobs of its object succeeded, failed or are open, the form must name the newest
// of them, which the operator has seen.
func (p *request) retryJob(ctx context.Context, job *tracker.Job) (flash, error) {
	confirmed, err := p.checkRetry(ctx, job)
	if err != nil {
		return flash{}, err
	}
	operator := p.operatorOptions()
	next, err := p.h.engine.Retry(ctx, job.ID, nawasync.RetryOptions{
		By: operator.By, Reason: operator.Reason, Address: operator.Address, Force: confirmed,
	})
	if err == nil && next.Coalesced {
		return flash{Text: p.Tf("Job %d, which has not ended, already does this.", next.ID), Job: next.ID}, nil
	}
	return newJobFlash(p.T("Retried as job %d."), next, err)
}

// checkRetry refuses the retry of a job that the operator must confirm, and has not. It reports whether the operator
// has confirmed it.
func (p *request) checkRetry(ctx context.Context, job *tracker.Job) (confirmed bool, err error) {
	switch {
	case job.Service == bulkKind.Service: // the retry would act with the permissions of the operator who started the run
		return false, &refusedError{text: p.T("A bulk run cannot be retried. Start a new one from the job list.")}
	case !job.Status.Terminal():
		return false, &refusedError{text: p.T("Only an ended job can be retried.")}
	}
	confirmed = p.r.PostFormValue("force") == "yes"
	var later map[int64]tracker.LaterJobs
	if job.RetriedAs == 0 || confirmed { // otherwise the engine returns the retry, or names it
		if later, err = p.store().LaterJobs(ctx, []*tracker.Job{job}); err != nil {
			return false, err
		}
	}
	seen, _ := strconv.ParseInt(p.r.PostFormValue("later"), 10, 64)
	newest := later[job.ID].Newest()
	switch {
	case newest == 0:
	case !confirmed:
		return false, &refusedError{text: p.Tf("Job %d of the same object was dispatched later. To retry anyway, select “Retry although …” on this page.", newest)}
	case seen < newest:
		return false, &refusedError{text: p.Tf("Job %d of the same object was dispatched in the meantime. Look at it, then retry if the change is still wanted.", newest)}
	}
	return confirmed, nil
}

// retriedErrorText returns the text for a job that another job already follows, or "".
func (p *request) retriedErrorText(err error) string {
	var retried *jobstore.RetriedError
	if !errors.As(err, &retried) {
		return ""
	}
	switch {
	case retried.Status != "" && !retried.Status.Terminal():
		return p.Tf("Job %d, which has not ended, already answers this conflict. Wait for its end, or cancel it.", retried.As)
	case retried.Status == tracker.StatusFailed, retried.Status == tracker.StatusConflict:
		return p.Tf("The job was already retried. Its last retry is job %d, which did not succeed: continue with that job.", retried.As)
	}
	return p.Tf("The job was already retried as job %d. To run it again, select “Retry although …” on the page of the job that was retried.", retried.As)
}

// isAnswered reports whether an answer to the job's conflict is open.
func (v *jobView) isAnswered() bool {
	last := v.lastRetry()
	return last != nil && !last.Status.Terminal()
}
