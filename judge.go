package nawasync

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/internal/remotecall"
	"github.com/nawasara/nawasync/tracker"
)

const (
	// stuckLogDelay is how long after its timeout a job is logged as stuck.
	stuckLogDelay = 5 * time.Second
	// retryAfterOutage is the delay of a job whose attempt met an outage of the database.
	retryAfterOutage = 5 * time.Second
)

// decideOutcome turns the error that Execute returned into an outcome. What the handler asked
// for (Skip, Conflict, RetryAfter) and the cause with which the context ended (cancelled,
// stopping, lease lost) take precedence over the class of the error.
func (e *Engine) decideOutcome(ctx context.Context, r *registration, a *attempt, err error) *jobstore.Outcome {
	a.mu.Lock()
	a.job.Wrote = a.job.Wrote || a.beganWrite
	state := a.state
	a.mu.Unlock()
	out := &jobstore.Outcome{Job: a.job, Result: a.resultJSON(), State: state}
	if err == nil {
		out.Status, out.OnSuccess = tracker.StatusSuccess, e.onSuccess(ctx, a.onSuccess)
		e.endProbe(ctx, out, nil)
		return out
	}
	out.Error = a.redactor().Clip(err.Error(), tracker.MaxError)
	cause := context.Cause(ctx)
	var skip *skipError
	var conflict *conflictError
	var later *retryAfterError
	var database *host.DatabaseError
	var noBudget *remotecall.NoBudgetError
	switch {
	case errors.As(err, &skip):
		out.Status = tracker.StatusSkipped
	case errors.As(err, &conflict):
		out.Status, out.ErrorClass = tracker.StatusConflict, string(fault.ClassConflict)
		out.Diff = a.redactor().JSON(conflict.json())
	case errors.Is(cause, ErrCancelled):
		out.Status, out.ErrorClass = tracker.StatusCancelled, string(fault.ClassCancelled)
	case errors.Is(cause, ErrStopping):
		e.requeue(out, 0, tracker.OutcomeStopped, fault.ClassStopped)
	case errors.Is(cause, ErrLeaseLost), errors.Is(err, ErrLeaseLost):
		e.requeueAfterLostLease(out)
	case errors.As(err, &database):
		e.requeue(out, retryAfterOutage, tracker.OutcomeDatabase, fault.ClassDatabase)
	case errors.As(err, &noBudget):
		e.requeue(out, noBudget.Wait, tracker.OutcomeRetryAfter, fault.ClassRateLimited)
	case errors.As(err, &later):
		e.requeue(out, later.after, tracker.OutcomeRetryAfter, fault.ClassOf(err))
	default:
		e.decideByClass(ctx, r, out, err)
	}
	e.endProbe(ctx, out, err)
	return out
}

// decideByClass completes the outcome of a failed attempt by the class of its error.
func (e *Engine) decideByClass(ctx context.Context, r *registration, out *jobstore.Outcome, err error) {
	class := fault.ClassOf(err)
	var panicked *host.PanicError
	switch {
	case errors.As(err, &panicked):
		class = fault.ClassPanic
	case errors.Is(context.Cause(ctx), ErrTimeout):
		class = fault.ClassTimeout
		out.Error = fmt.Sprintf("the attempt exceeded its timeout of %s: %s", r.timeout(), out.Error)
	}
	out.ErrorClass = string(class)
	switch class {
	case fault.ClassCredentials, fault.ClassUnavailable, fault.ClassRateLimited:
		e.park(ctx, out, class, err)
	case fault.ClassConflict, fault.ClassHeld:
		out.Status = tracker.StatusConflict
	case fault.ClassConfig, fault.ClassPermanent, fault.ClassForbidden, fault.ClassGone, fault.ClassAlreadyExists:
		out.Status = tracker.StatusFailed
	default:
		e.failAttempt(out, r.backoff(out.Job.Attempt))
	}
}

// onSuccess combines the hooks of a successful attempt into one, or returns nil if there are
// none. The hooks run in the transaction that writes the outcome, even if the attempt's
// context has ended.
func (e *Engine) onSuccess(ctx context.Context, hooks []func(*gorm.DB) error) func(*gorm.DB) error {
	if len(hooks) == 0 {
		return nil
	}
	return func(tx *gorm.DB) error {
		tx = e.hostSession(context.WithoutCancel(ctx), tx)
		for _, hook := range hooks {
			if err := runHook(hook, tx); err != nil {
				return err
			}
		}
		return nil
	}
}

func runHook(hook func(*gorm.DB) error, tx *gorm.DB) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &host.PanicError{Value: r}
		}
	}()
	return hook(tx)
}

// requeue returns the job to the queue without consuming the attempt.
func (e *Engine) requeue(out *jobstore.Outcome, after time.Duration, attempt tracker.Outcome, class fault.Class) *jobstore.Outcome {
	out.ErrorClass = string(class)
	if e.expireInstead(out, after) {
		return out
	}
	out.Status, out.KeepAttempt, out.Attempt = tracker.StatusQueued, true, attempt
	out.NotBefore = e.store.Now().Add(after)
	return out
}

// maxLeasesLost is how many attempts of a job may lose their lease without being consumed. A job
// that makes its process lose the lease, for example by using up the connections, must not run for
// ever.
const maxLeasesLost = 3

// requeueAfterLostLease returns the job to the queue because its process lost the lease.
func (e *Engine) requeueAfterLostLease(out *jobstore.Outcome) {
	out.LeaseLost = true
	if out.Job.LeasesLost+1 < maxLeasesLost {
		e.requeue(out, 0, tracker.OutcomeStopped, fault.ClassStopped)
		return
	}
	out.ErrorClass = string(fault.ClassStopped)
	e.failAttempt(out, e.backoffOf(out.Job))
}

// failAttempt returns the job to the queue for another attempt, or ends it as failed if it has
// no attempts left.
func (e *Engine) failAttempt(out *jobstore.Outcome, after time.Duration) *jobstore.Outcome {
	if out.Job.Attempt >= out.Job.MaxAttempts {
		out.Status = tracker.StatusFailed
		return out
	}
	if e.expireInstead(out, after) {
		return out
	}
	out.Status, out.Attempt = tracker.StatusQueued, tracker.OutcomeRetry
	out.NotBefore = e.store.Now().Add(max(0, after))
	return out
}

// expireInstead ends a job as expired if it would next come due after its expiry. It reports
// whether it ended the job.
func (e *Engine) expireInstead(out *jobstore.Outcome, after time.Duration) bool {
	age := e.store.Now().Add(after).Sub(out.Job.DueAt)
	if age < e.config.Expiry {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), parkTimeout)
	defer cancel()
	if paused, err := e.store.PausedTime(ctx, out.Job.ID); err != nil || age-paused < e.config.Expiry {
		return false // if the time cannot be read, the pruner expires the job later
	}
	out.Status, out.ErrorClass = tracker.StatusFailed, string(fault.ClassExpired)
	out.Error = fmt.Sprintf("the job expired %s after it first came due; the last error: %s", e.config.Expiry, out.Error)
	return true
}

// onSuccessFailedOutcome returns the outcome that replaces a success whose OnSuccess failed:
// the attempt fails.
func (e *Engine) onSuccessFailedOutcome(success *jobstore.Outcome, err error) *jobstore.Outcome {
	failed := &jobstore.Outcome{
		Job: success.Job, Log: success.Log, ErrorClass: string(fault.ClassUnclassified),
		Error: "the handler succeeded, but its OnSuccess failed: " + e.redactorOf(success.Job).Clip(err.Error(), tracker.MaxError),
	}
	return e.failAttempt(failed, e.backoffOf(success.Job))
}

func (e *Engine) backoffOf(job *jobstore.Job) time.Duration {
	if r := e.registrationOf(job); r != nil {
		return r.backoff(job.Attempt)
	}
	return 10 * time.Second
}

// workerDiedOutcome returns the outcome of a job whose process died. The attempt is consumed,
// so that a job cannot kill one process after another forever. The next attempt is due at
// once.
func (e *Engine) workerDiedOutcome(job *jobstore.Job) *jobstore.Outcome {
	out := &jobstore.Outcome{Job: job, Error: fmt.Sprintf("process %s died while it ran the job", job.Worker), ErrorClass: string(fault.ClassWorkerDied)}
	if out = e.failAttempt(out, 0); out.Status == tracker.StatusQueued {
		out.Attempt = tracker.OutcomeReaped
	}
	return out
}

// orphanOutcome returns the outcome of a job that this process claimed but never ran, because
// the response to the claim was lost.
func (e *Engine) orphanOutcome(job *jobstore.Job) *jobstore.Outcome {
	out := &jobstore.Outcome{Job: job, Error: "the response to the job's claim was lost; the handler did not run"}
	return e.requeue(out, 0, tracker.OutcomeStopped, fault.ClassStopped)
}

// expiredOutcome returns the outcome of a job that was still queued when it expired.
func (e *Engine) expiredOutcome(job *jobstore.Job) *jobstore.Outcome {
	text := fmt.Sprintf("the job expired: it did not finish within %s of first coming due", e.config.Expiry)
	if job.Error != "" {
		text += "; the last error: " + job.Error
	}
	return &jobstore.Outcome{Job: job, Status: tracker.StatusFailed, Error: text, ErrorClass: string(fault.ClassExpired)}
}

// settle writes outcomes, wakes the jobs that waited for them, and publishes the jobs that
// ended. It returns the jobs as their outcomes left them, in the order of outcomes. If another
// process settled a job first, that job's entry is nil. An outcome that cannot be written is
// an error and does not affect the other outcomes.
func (e *Engine) settle(ctx context.Context, outcomes []*jobstore.Outcome) (settled []*jobstore.Job, err error) {
	settled, errs := e.settleEach(ctx, outcomes)
	return settled, errors.Join(errs...)
}

// settleEach is settle with an error for each outcome.
func (e *Engine) settleEach(ctx context.Context, outcomes []*jobstore.Outcome) (settled []*jobstore.Job, errs []error) {
	settled = make([]*jobstore.Job, len(outcomes))
	results, errs := e.store.Settle(ctx, outcomes)
	for i, result := range results {
		if errs[i] == nil && result.Won {
			e.publishOutcome(ctx, outcomes[i], result)
			settled[i] = result.Job
		}
	}
	return settled, errs
}

// publishOutcome wakes the jobs that waited for a job and publishes the job's end. It is called
// for every outcome that this process has written.
func (e *Engine) publishOutcome(_ context.Context, out *jobstore.Outcome, result jobstore.Settled) {
	e.wake(append(result.Next, jobstore.WakesOf([]*jobstore.Job{result.Job})...))
	e.publishEnded(out, result.Job)
}
