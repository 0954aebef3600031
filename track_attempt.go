package nawasync

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/tracker"
)

// trackTimeout bounds how long a task waits for its row, before and after its handler.
const trackTimeout = 2 * time.Second

// trackedAttempt is one attempt that asynq makes of a task.
type trackedAttempt struct {
	*taskTracker
	task     *asynq.Task
	payload  taskPayload
	delivery jobstore.Delivery
	fresh    *jobstore.Job // the row that the task gets if it has none

	began chan struct{} // closed when begin has written the row, or has failed
	job   *jobstore.Job // after began: the row, or nil if it could not be written
}

// begin writes that the attempt runs. It returns the job if an operator has cancelled it, in which
// case the task must not run. It does not wait for longer than trackTimeout.
func (a *trackedAttempt) begin(ctx context.Context) (cancelled *jobstore.Job) {
	a.began = make(chan struct{})
	go func() {
		defer close(a.began)
		a.writeStart(ctx)
	}()
	if waitFor(a.began) && a.job != nil && a.job.Status.Terminal() {
		return a.job
	}
	return nil
}

// waitFor waits for done, at most for trackTimeout. SQLite may be busy for longer, whatever the context
// of its statements says. It reports whether done is closed.
func waitFor(done <-chan struct{}) bool {
	timer := time.NewTimer(trackTimeout)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}

func (a *trackedAttempt) writeStart(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), trackTimeout)
	defer cancel()
	job, err := a.engine.store.BeginTracked(ctx, a.fresh, a.delivery)
	if err != nil {
		a.warn("the start of a task is not recorded", err)
		return
	}
	a.job = job
}

// end records how the attempt ended. err is what the handler returned, or its panic with the stack. It
// does not wait for longer than trackTimeout.
func (a *trackedAttempt) end(ctx context.Context, err error, stack string) {
	defer a.recoverPanic()
	out := a.outcome(ctx.Err(), err)
	if stack != "" {
		out.Stack = a.payload.redactor(a.options.MaskKeys).Clip(stack, tracker.MaxStack)
	}
	written := make(chan struct{})
	go func() {
		defer close(written)
		a.writeEnd(ctx, out)
	}()
	waitFor(written)
}

func (a *trackedAttempt) writeEnd(ctx context.Context, out *jobstore.Outcome) {
	<-a.began
	if a.job == nil { // the database may be back
		a.writeStart(ctx)
	}
	if a.job == nil || a.job.Status.Terminal() {
		return
	}
	out.Job = a.job
	a.engine.logAttempt(ctx, out)
	write, cancel := context.WithTimeout(context.WithoutCancel(ctx), trackTimeout)
	defer cancel()
	if err := a.engine.settleTracked(write, out); err != nil {
		a.warn("the outcome of a task is not recorded yet", err)
		a.engine.settleTrackedLater(out)
	}
}

// outcome translates the handler's result into what asynq does with the task. ended is the error of
// the context: if it has ended, asynq has already failed the attempt and ignores the result.
func (a *trackedAttempt) outcome(ended, err error) *jobstore.Outcome {
	out := &jobstore.Outcome{Now: a.engine.store.Now()}
	if err == nil && ended == nil {
		out.Status = tracker.StatusSuccess
		return out
	}
	switch {
	case err == nil:
		err = fmt.Errorf("the handler succeeded after its context had ended, so asynq takes the attempt as failed: %w", ended)
	case ended == nil && errors.Is(err, asynq.RevokeTask):
		out.Status = tracker.StatusSkipped
	case ended == nil && errors.Is(err, asynq.SkipRetry):
		out.Status = tracker.StatusFailed
	}
	out.Error = a.payload.redactor(a.options.MaskKeys).Clip(err.Error(), tracker.MaxError)
	if out.Status == tracker.StatusSkipped {
		return out
	}
	out.ErrorClass = string(classOfTask(ended, err))
	retried := a.delivery.Attempt - 1
	switch {
	case errors.Is(ended, context.Canceled):
		// The server stops and returns the task to its queue, or somebody has cancelled the attempt.
		out.Status, out.Attempt, out.NotBefore = tracker.StatusQueued, tracker.OutcomeStopped, out.Now
	case out.Status == tracker.StatusFailed || a.delivery.Attempt >= a.delivery.MaxAttempts:
		out.Status = tracker.StatusFailed
	default:
		out.Status, out.Attempt = tracker.StatusQueued, tracker.OutcomeRetry
		out.NotBefore = out.Now.Add(max(0, a.options.RetryDelay(retried, err, a.task)))
	}
	return out
}

func classOfTask(ended, err error) fault.Class {
	var panicked *host.PanicError
	class := fault.ClassOf(err)
	switch {
	case errors.As(err, &panicked):
		return fault.ClassPanic
	case errors.Is(ended, context.Canceled):
		return fault.ClassStopped
	case ended != nil:
		return fault.ClassTimeout
	case class == fault.ClassUnclassified && errors.Is(err, asynq.SkipRetry):
		return fault.ClassPermanent
	}
	return class
}

func (a *trackedAttempt) warn(text string, err error) {
	a.engine.logger.Warn(text, "queue", a.fresh.Queue, "kind", a.fresh.Kind(), "attempt", a.delivery.Attempt, "error", err)
}

// recoverPanic keeps a panic of the host's code, for example in an Error method, from failing a task
// that has succeeded.
func (a *trackedAttempt) recoverPanic() {
	if value := recover(); value != nil {
		a.warn("a task is not recorded", &host.PanicError{Value: value})
	}
}

// settleTracked writes an outcome and publishes it. An outcome that comes too late, because asynq has
// delivered the task again in the meantime, changes nothing.
func (e *Engine) settleTracked(ctx context.Context, out *jobstore.Outcome) error {
	settled, err := e.store.SettleTracked(ctx, out)
	if err == nil && settled.Won {
		e.publishOutcome(ctx, out, settled)
	}
	return err
}

// lateOutcomes counts the outcomes that wait for the database.
type lateOutcomes struct{ waiting atomic.Int64 }

const (
	maxLateOutcomes = 1000
	lateFor         = 10 * time.Minute
	latePause       = 5 * time.Second
)

// settleTrackedLater tries to write an outcome until it succeeds, the engine stops or lateFor has
// passed. Without the outcome, the job would look as if its handler hung.
func (e *Engine) settleTrackedLater(out *jobstore.Outcome) {
	late := &e.trackers.late
	if late.waiting.Add(1) > maxLateOutcomes {
		late.waiting.Add(-1)
		e.logger.Warn("the outcome of a task is lost, because too many outcomes wait for the database", "job_id", out.Job.ID)
		return
	}
	go func() {
		defer late.waiting.Add(-1)
		ctx, cancel := context.WithTimeout(context.Background(), lateFor)
		defer cancel()
		for {
			if !e.pauseLate(ctx) {
				e.logger.Warn("the outcome of a task is lost, because the database was away for too long or the engine has stopped", "job_id", out.Job.ID)
				return
			}
			if e.settleTracked(ctx, out) == nil {
				return
			}
		}
	}()
}

// pauseLate waits for latePause. It returns false if ctx has ended or the engine has stopped.
func (e *Engine) pauseLate(ctx context.Context) bool {
	pause := time.NewTimer(latePause)
	defer pause.Stop()
	select {
	case <-pause.C:
		return true
	case <-e.stopCh:
	case <-ctx.Done():
	}
	return false
}
