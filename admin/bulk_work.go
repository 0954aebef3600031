package admin

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/tracker"
)

// bulkWork is an attempt of a run.
type bulkWork struct {
	*bulkJob
	run    *nawasync.Run[bulkArgs]
	choice retryChoice
	state  bulkState
	ahead  map[int64]bool                   // jobs that retryOvertaken has retried before their turn, which has not come
	begun  map[tracker.ServiceInstance]bool // instances on which this attempt has taken an action
}

// actionContext returns the context of the action on a job, by which the audit log knows the run.
func (w *bulkWork) actionContext(ctx context.Context, job *tracker.Job) context.Context {
	at := tracker.ServiceInstance{Service: job.Service, Instance: job.Instance}
	first := !w.begun[at]
	w.begun[at] = true
	return jobstore.WithBulkRun(ctx, jobstore.BulkRun{ID: w.run.Job().ID, First: first})
}

// nextBatch returns the next jobs of the run, in the order in which to process them, and where the batch after them
// begins, or 0.
func (w *bulkWork) nextBatch(ctx context.Context) (jobs []*tracker.Job, next int64, err error) {
	if !w.run.Args.oldestFirst() {
		results, err := w.choice.store.Search(ctx, withLimit(w.choice.search, w.state.Cursor, bulkBatchSize))
		return results.Jobs, results.Older, err
	}
	search := withLimit(w.choice.search, w.choice.lastJobID+1, bulkBatchSize)
	search.After, search.Oldest = w.state.After, true
	results, err := w.choice.store.Search(ctx, search)
	slices.Reverse(results.Jobs)
	return results.Jobs, results.Newer, err
}

// advance records that the run has come to a job.
func (w *bulkWork) advance(id int64) {
	if w.run.Args.oldestFirst() {
		w.state.After = id
	} else {
		w.state.Cursor = id
	}
}

// processBatch processes the next jobs and reports whether there are more. When ctx ends, it stores the
// progress and returns the cause.
func (w *bulkWork) processBatch(ctx context.Context) (more bool, err error) {
	jobs, next, err := w.nextBatch(ctx)
	if err != nil {
		return false, err
	}
	decided := make([]retryDecision, len(jobs))
	if w.run.Args.Action == "retry" {
		if decided, err = w.choice.decide(ctx, jobs); err != nil {
			return false, err
		}
	}
	for i, job := range jobs {
		if ctx.Err() != nil || !w.processJob(ctx, job, decided[i].reason) {
			w.run.SetResult(w.state)
			w.saveProgress(context.WithoutCancel(ctx), true)
			return false, context.Cause(ctx)
		}
		w.advance(job.ID)
	}
	if next != 0 {
		w.advance(next)
	}
	return next != 0, nil
}

// saveProgress stores the state as the note of the job's progress. Progress drops reports that
// follow each other within a second, except one in which done equals total. A final report uses that
// exception.
func (w *bulkWork) saveProgress(ctx context.Context, final bool) {
	text, err := json.Marshal(w.state)
	if err != nil {
		return
	}
	done, total := w.state.Done+w.state.Skipped+w.state.Failed, int64(0)
	if final {
		total = done
	}
	w.run.Progress(ctx, done, total, string(text))
}

// processJob performs the action on one job, or skips the job, and counts the result. reason is why a retry
// leaves it out, or "". It returns false if the run was interrupted and the job is still to be processed.
func (w *bulkWork) processJob(ctx context.Context, job *tracker.Job, reason skipReason) bool {
	reason, err := w.skipReason(ctx, job, reason)
	early := w.ahead[job.ID]
	delete(w.ahead, job.ID)
	switch retried := w.run.Args.Action == "retry" && job.RetriedAs != 0; {
	case reason != "" || err != nil || early:
	case retried && job.Tracked(): // its task may not have been enqueued
		reason, err = w.retryNow(ctx, job)
	case retried:
	case !w.mayReachMore():
		reason = reasonUnconfirmed
	default:
		reason, err = w.perform(ctx, job)
	}
	switch {
	case errors.Is(err, nawasync.ErrNoArguments):
		reason, err = reasonNoArguments, nil
	case errors.Is(err, nawasync.ErrSuperseded):
		reason, err = reasonSuperseded, nil
	case errors.Is(err, nawasync.ErrDeleting):
		reason, err = reasonLaterOpen, nil
	case errors.Is(err, nawasync.ErrEnded), errors.Is(err, nawasync.ErrNotEnded), errors.Is(err, nawasync.ErrNotFound),
		errors.Is(err, nawasync.ErrRowGone):
		reason, err = reasonChanged, nil
	}
	state := &w.state
	switch {
	case err != nil && ctx.Err() != nil:
		return false
	case err != nil:
		w.run.Logf("job %d: %v", job.ID, err)
		state.count(&state.Failed, reasonError)
	case reason != "":
		state.count(&state.Skipped, reason)
	default:
		state.count(&state.Done, "")
	}
	return true
}

// mayReachMore reports whether the run has changed fewer jobs than the operator has confirmed.
func (w *bulkWork) mayReachMore() bool {
	most := w.run.Args.Most
	return most == 0 || w.state.reached()+int64(len(w.ahead)) < most
}

// skipReason returns why the run must skip the job, or "". A run that was interrupted may not have stored that it
// has retried the job: that is no reason to count it as skipped.
func (w *bulkWork) skipReason(ctx context.Context, job *tracker.Job, reason skipReason) (skipReason, error) {
	if reason == "" {
		reason = skipReasonFor(w.run.Args.Action, job)
	}
	if reason == reasonRetried {
		return w.reasonOfRetry(ctx, job.RetriedAs)
	}
	if reason != "" {
		return reason, nil
	}
	if allowed, err := w.allowed(ctx, w.run.Args.By, job); err != nil || !allowed {
		return reasonNotPermitted, err
	}
	return "", nil
}

// decisionCacheTime is how long a bulk run uses the decisions of an enforcer without a version.
const decisionCacheTime = 5 * time.Second

// operator returns who started the run, for what the run does to a job.
func (w *bulkWork) operator() nawasync.OperatorOptions {
	return nawasync.OperatorOptions{By: w.run.Args.By, Reason: w.run.Args.Reason, Address: runAddress(w.run.Job().ID)}
}

// perform performs the action on one job on behalf of the operator, or returns why it does not.
func (w *bulkWork) perform(ctx context.Context, job *tracker.Job) (reason skipReason, err error) {
	if w.run.Args.Action != "retry" {
		ctx = w.actionContext(ctx, job)
	}
	switch w.run.Args.Action {
	case "retry":
		return w.retryJob(ctx, job)
	case "cancel":
		_, err = w.engine.Cancel(ctx, job.ID, w.operator())
	case "delete":
		err = w.engine.Delete(ctx, job.ID, w.operator())
	case "restore":
		err = w.engine.Restore(ctx, job.ID, w.operator())
	}
	return "", err
}
