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
	"github.com/nawasara/nawasync/tracker"
)

// How long a scope is parked when the remote does not say.
const (
	parkForCredentials = 5 * time.Minute
	parkForRateLimit   = time.Minute
	// stuckLogDelay is how long past its timeout a job is called stuck in the log.
	stuckLogDelay = 5 * time.Second
)

// judge turns what Execute returned into an outcome.
func (e *Engine) judge(ctx context.Context, r *registration, a *attempt, err error) *jobstore.Outcome {
	job := a.job
	a.mu.Lock()
	job.Wrote = job.Wrote || a.beganWrite
	a.mu.Unlock()
	v := &jobstore.Outcome{Job: job, Result: a.resultJSON()}
	if err == nil {
		v.Status = tracker.StatusSuccess
		if hooks := a.onSuccess; len(hooks) > 0 {
			v.OnSuccess = func(tx *gorm.DB) error {
				tx = e.hostSession(context.WithoutCancel(ctx), tx)
				for _, hook := range hooks {
					if err := runHook(hook, tx); err != nil {
						return err
					}
				}
				return nil
			}
		}
		return v
	}
	v.Error = a.redactor().Text(err.Error())
	class := fault.ClassOf(err)
	cause := context.Cause(ctx)
	var skip *skipError
	var conflict *conflictError
	var later *retryAfterError
	var panicked *host.PanicError
	switch {
	case errors.As(err, &skip):
		v.Status = tracker.StatusSkipped
		return v
	case errors.As(err, &conflict):
		v.Status, v.Diff = tracker.StatusConflict, a.redactor().JSON(conflict.json())
		v.ErrorClass = string(fault.ClassConflict)
		return v
	case errors.Is(cause, ErrCancelled):
		v.Status, v.ErrorClass = tracker.StatusCancelled, string(fault.ClassCancelled)
		return v
	case errors.Is(cause, ErrStopping), errors.Is(cause, ErrLeaseLost), errors.Is(err, ErrLeaseLost):
		return e.requeue(v, 0, tracker.OutcomeStopped, fault.ClassStopped)
	case errors.As(err, &later):
		return e.requeue(v, later.after, tracker.OutcomeRetryAfter, class)
	case errors.As(err, &panicked):
		class = fault.ClassPanic
	case errors.Is(cause, ErrTimeout):
		class = fault.ClassTimeout
		v.Error = fmt.Sprintf("the job's time of %s ran out: %s", r.timeout(), v.Error)
	}
	v.ErrorClass = string(class)
	switch class {
	case fault.ClassCredentials, fault.ClassRateLimited:
		return e.park(ctx, v, class, err)
	case fault.ClassConflict, fault.ClassHeld:
		v.Status = tracker.StatusConflict
		return v
	case fault.ClassConfig, fault.ClassPermanent, fault.ClassGone, fault.ClassAlreadyExists:
		v.Status = tracker.StatusFailed
		return v
	default:
		return e.failAttempt(v, r.backoff(job.Attempt))
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

// requeue puts the job back without consuming the attempt.
func (e *Engine) requeue(v *jobstore.Outcome, after time.Duration, outcome tracker.Outcome, class fault.Class) *jobstore.Outcome {
	v.ErrorClass = string(class)
	if e.expireInstead(v, after) {
		return v
	}
	v.Status, v.KeepAttempt, v.Attempt = tracker.StatusQueued, true, outcome
	v.NotBefore = e.store.Now().Add(after)
	return v
}

// failAttempt puts the job back, or gives it up when its attempts are used up.
func (e *Engine) failAttempt(v *jobstore.Outcome, after time.Duration) *jobstore.Outcome {
	if v.Job.Attempt >= v.Job.MaxAttempts {
		v.Status = tracker.StatusFailed
		return v
	}
	if e.expireInstead(v, after) {
		return v
	}
	v.Status, v.Attempt = tracker.StatusQueued, tracker.OutcomeRetry
	v.NotBefore = e.store.Now().Add(max(0, after))
	return v
}

// expireInstead gives a job up that would come due after its expiry.
func (e *Engine) expireInstead(v *jobstore.Outcome, after time.Duration) bool {
	if e.store.Now().Add(after).Sub(v.Job.DueAt) < e.config.Expiry {
		return false
	}
	v.Status, v.ErrorClass = tracker.StatusFailed, string(fault.ClassExpired)
	v.Error = fmt.Sprintf("expired %s after it first came due; the last error: %s", e.config.Expiry, v.Error)
	return true
}

// park stops the whole scope, so that what one job met does not fail the others.
func (e *Engine) park(ctx context.Context, v *jobstore.Outcome, class fault.Class, err error) *jobstore.Outcome {
	pause := parkForCredentials
	if class == fault.ClassRateLimited {
		pause = parkForRateLimit
	}
	if classified := fault.Outermost(err); classified != nil && classified.RetryAfter > 0 {
		pause = classified.RetryAfter
	}
	pause = min(pause, 24*time.Hour)
	scope := tracker.Scope{Service: v.Job.Service, Instance: v.Job.Instance, Until: e.store.Now().Add(pause), Parked: true, By: "nawasync", Reason: string(class) +
		": " + v.Error}
	// Without the scope's row this job still waits; the next one will park it.
	parkCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := e.store.Pause(parkCtx, scope); err != nil {
		e.logger.Warn("nawasync: a scope could not be parked", "service", scope.Service, "instance", scope.Instance, "error", err)
	} else {
		e.logger.Warn("nawasync: a scope is parked", "service", scope.Service, "instance", scope.Instance, "until", scope.Until, "reason", scope.Reason)
		e.emit(Event{Type: EventParked, Scope: &scope})
	}
	return e.requeue(v, pause, tracker.OutcomeParked, class)
}

// onSuccessFailedOutcome is the outcome on a success that its own OnSuccess undid.
func (e *Engine) onSuccessFailedOutcome(v *jobstore.Outcome, err error) *jobstore.Outcome {
	refused := &jobstore.Outcome{Job: v.Job, Log: v.Log, ErrorClass: string(fault.ClassUnclassified), Error: "the job ran, but its OnSuccess failed: " +
		e.redactorOf(v.Job).Text(err.Error())}
	return e.failAttempt(refused, e.backoffOf(v.Job))
}

func (e *Engine) backoffOf(job *jobstore.Job) time.Duration {
	if r := e.registrationOf(job); r != nil {
		return r.backoff(job.Attempt)
	}
	return 10 * time.Second
}

// workerDiedOutcome is the outcome of a job whose process died: its attempt is consumed, so
// that a job that kills its process does so a limited number of times, and it is
// due at once.
func (e *Engine) workerDiedOutcome(job *jobstore.Job) *jobstore.Outcome {
	v := &jobstore.Outcome{Job: job, Error: fmt.Sprintf("process %s died while it ran the job", job.Worker), ErrorClass: string(fault.ClassWorkerDied)}
	if v = e.failAttempt(v, 0); v.Status == tracker.StatusQueued {
		v.Attempt = tracker.OutcomeReaped
	}
	return v
}

// orphanOutcome is the outcome of a job that was claimed here, by a claim that got lost.
func (e *Engine) orphanOutcome(job *jobstore.Job) *jobstore.Outcome {
	return e.requeue(&jobstore.Outcome{Job: job, Error: "its claim got lost on the way; nothing ran"}, 0, tracker.OutcomeStopped, fault.ClassStopped)
}

// expiredOutcome is the outcome of a job that waited too long.
func (e *Engine) expiredOutcome(job *jobstore.Job) *jobstore.Outcome {
	text := fmt.Sprintf("expired: it did not finish within %s of first coming due", e.config.Expiry)
	if job.Error != "" {
		text += "; the last error: " + job.Error
	}
	return &jobstore.Outcome{Job: job, Status: tracker.StatusFailed, Error: text, ErrorClass: string(fault.ClassExpired)}
}

// settle writes outcomes, wakes the jobs that waited for them and tells who is to be told
// of endings. The jobs as their outcomes left them are in the order of outcomes, nil
// where another was faster. An outcome that cannot be written is an error, and takes no
// other with it.
func (e *Engine) settle(ctx context.Context, outcomes []*jobstore.Outcome) (won []*jobstore.Job, err error) {
	won = make([]*jobstore.Job, len(outcomes))
	results, errs := e.store.Settle(ctx, outcomes)
	for i, result := range results {
		if errs[i] == nil && result.Won {
			e.publishOutcome(ctx, outcomes[i], result)
			won[i] = result.Job
		}
	}
	return won, errors.Join(errs...)
}

// publishOutcome is told of every outcome that this process has written.
func (e *Engine) publishOutcome(ctx context.Context, o *jobstore.Outcome, result jobstore.Settled) {
	e.enqueue(ctx, result.Next)
	e.publishEnded(o, result.Job)
}
