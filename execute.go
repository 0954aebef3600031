package nawasync

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/internal/remotecall"
	"github.com/nawasara/nawasync/secret"
	"github.com/nawasara/nawasync/tracker"
)

// servedKinds lists the registered kinds. It calls Timeout each time because a handler may
// read it from a setting.
func (e *Engine) servedKinds() []jobstore.Served {
	list := make([]jobstore.Served, 0, len(e.handlers))
	for kind, r := range e.handlers {
		list = append(list, jobstore.Served{Kind: kind.String(), Timeout: r.timeout()})
	}
	slices.SortFunc(list, func(a, b jobstore.Served) int { return strings.Compare(a.Kind, b.Kind) })
	return list
}

// runJob runs one attempt of a claimed job and returns its outcome. It returns an outcome even
// if the host's code panics outside of Execute, for example in a MarshalJSON or Error method.
// Without an outcome the job would block its lane forever.
func (e *Engine) runJob(ctx context.Context, job *jobstore.Job) (out *jobstore.Outcome) {
	defer func() {
		if value := recover(); value != nil {
			out = e.panicOutcome(job, value, string(debug.Stack()))
		}
	}()
	return e.runAttempt(ctx, job)
}

func (e *Engine) panicOutcome(job *jobstore.Job, value any, stack string) *jobstore.Outcome {
	out := &jobstore.Outcome{
		Job: job, ErrorClass: string(fault.ClassPanic), Error: "panic outside of Execute; its text is omitted because secrets could not be redacted from it",
	}
	func() {
		defer func() { _ = recover() }() // the host's code may panic again
		redactor := e.redactorOf(job)
		out.Error = redactor.Clip(fmt.Sprintf("panic outside of Execute: %v", value), tracker.MaxError)
		out.Stack = redactor.Clip(stack, tracker.MaxStack)
	}()
	return e.failAttempt(out, e.backoffOf(job))
}

// runAttempt opens and decodes the arguments, runs the handler under its timeout, and turns
// the result into an outcome.
func (e *Engine) runAttempt(ctx context.Context, job *jobstore.Job) (out *jobstore.Outcome) {
	r := e.registrationOf(job)
	ctx, span := e.telemetry.startAttempt(ctx, job)
	defer span.End()
	plain, err := e.openArguments(job)
	if err != nil {
		text := e.redactor.Clip(err.Error(), tracker.MaxError)
		return &jobstore.Outcome{Job: job, Status: tracker.StatusFailed, Error: text, ErrorClass: string(fault.ClassUndecodable)}
	}
	secrets, execute, err := r.decode(plain)
	a := &attempt{
		job: job, store: e.store, key: e.idempotencyKey(job), lease: e.checkLease,
		redactor: sync.OnceValue(func() *secret.Redactor { return e.newRedactor(plain, job.Payload, secrets, r.maskKeys) }),
	}
	if err != nil {
		text := a.redactor().Clip(err.Error(), tracker.MaxError)
		return &jobstore.Outcome{Job: job, Status: tracker.StatusFailed, Error: text, ErrorClass: string(fault.ClassUndecodable)}
	}
	if job.Bound != "" {
		execute = e.onItsRow(execute)
	}
	ctx = remotecall.With(ctx, &remotecall.Job{ID: job.ID})
	timeout := r.timeout()
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, ErrTimeout)
	defer func() {
		// OnSuccess runs later, with the outcome, and may use this context. The worker cancels
		// its parent as soon as the outcome is written.
		if out == nil || out.OnSuccess == nil {
			cancel()
		}
	}()
	stuck := time.AfterFunc(timeout+stuckLogDelay, func() {
		e.logger.Warn("a job ignores the end of its context; it keeps its slot and its lane until its handler returns", "job_id", job.ID,
			"kind", r.kind.String(), "timeout", timeout)
	})
	defer stuck.Stop()
	ctx = remotecall.With(ctx, &remotecall.Job{ID: job.ID, Record: a.calls.add})
	stack, err := executeSafely(ctx, a, execute)
	out = e.decideOutcome(ctx, r, a, err)
	if stack != "" {
		out.Stack = a.redactor().Clip(stack, tracker.MaxStack)
	}
	out.Log, out.Calls = a.log.String(), a.calls.text()
	e.telemetry.recordOutcome(span, out)
	e.logAttempt(ctx, out)
	return out
}

// checkLease returns ErrLeaseLost without a valid lease. An engine that is not started has no lease;
// it runs jobs only in nawasynctest.Drain.
func (e *Engine) checkLease() error {
	if e.lease != nil && !e.lease.Valid() {
		return ErrLeaseLost
	}
	return nil
}

// logAttempt logs how an attempt ended: as a warning if it failed. ctx has the attempt's span, so
// a slog handler can add the trace. Secrets are already redacted from the error's text.
func (e *Engine) logAttempt(ctx context.Context, out *jobstore.Outcome) {
	level, attributes := slog.LevelInfo, []slog.Attr{
		slog.Int64("job_id", out.Job.ID), slog.String("kind", out.Job.Kind()), slog.Int("attempt", out.Job.Attempt),
		slog.String("outcome", string(out.AttemptOutcome())), slog.Duration("duration", max(0, e.store.Now().Sub(out.Job.StartedAt))),
	}
	switch class := fault.Class(out.ErrorClass); class {
	case "":
	case fault.ClassStopped, fault.ClassCancelled:
		attributes = append(attributes, slog.String("error_class", out.ErrorClass))
	default:
		level = slog.LevelWarn
		attributes = append(attributes, slog.String("error_class", out.ErrorClass), slog.String("error", out.Error))
	}
	if e.logger.Enabled(ctx, level) {
		e.logger.LogAttrs(ctx, level, "attempt ended", attributes...)
	}
}

// idempotencyKey returns a key that is the same for all attempts of a job. Its prefix is unique to
// the database, so that two applications with one remote do not use the same keys.
func (e *Engine) idempotencyKey(job *jobstore.Job) string {
	return fmt.Sprintf("%s:job-%d", e.installation, job.ID)
}

// executeSafely calls execute and returns a panic as an error, with its stack.
func executeSafely(ctx context.Context, a *attempt, execute func(context.Context, *attempt) error) (stack string, err error) {
	defer func() {
		if r := recover(); r != nil {
			stack, err = string(debug.Stack()), &host.PanicError{Value: r}
		}
	}()
	return "", execute(ctx, a)
}

// redactorOf returns a redactor for a job's secrets. It serves the code that has no attempt of
// the job.
func (e *Engine) redactorOf(job *jobstore.Job) *secret.Redactor {
	plain, err := e.openArguments(job)
	if err != nil {
		plain = job.Payload
	}
	var secrets, maskKeys []string
	if r := e.registrationOf(job); r != nil {
		secrets, _, _ = r.decode(plain)
		maskKeys = r.maskKeys
	}
	return e.newRedactor(plain, job.Payload, secrets, maskKeys)
}
