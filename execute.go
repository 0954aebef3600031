package nawasync

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/secret"
	"github.com/nawasara/nawasync/tracker"
)

// serves asks the handlers anew: a timeout may be a setting that changes.
func (e *Engine) serves() []jobstore.Served {
	list := make([]jobstore.Served, 0, len(e.handlers))
	for kind, r := range e.handlers {
		list = append(list, jobstore.Served{Kind: kind.String(), Timeout: r.timeout()})
	}
	slices.SortFunc(list, func(a, b jobstore.Served) int { return strings.Compare(a.Kind, b.Kind) })
	return list
}

// runJob is one attempt. Whatever of the host's code panics, also outside of Execute
// (a MarshalJSON, an Error method), there is an outcome: a job without one would
// keep its lane for ever.
func (e *Engine) runJob(ctx context.Context, job *jobstore.Job) (v *jobstore.Outcome) {
	defer func() {
		if value := recover(); value != nil {
			v = e.panicOutcome(job, value, string(debug.Stack()))
		}
	}()
	return e.runAttempt(ctx, job)
}

func (e *Engine) panicOutcome(job *jobstore.Job, value any, stack string) *jobstore.Outcome {
	v := &jobstore.Outcome{Job: job, ErrorClass: string(fault.ClassPanic), Error: "panic outside of Execute; its text could not be freed of secrets"}
	func() {
		defer func() { _ = recover() }() // what panicked may do so again
		scrub := e.redactorOf(job)
		v.Error, v.Stack = scrub.Text(fmt.Sprintf("panic outside of Execute: %v", value)), scrub.Text(stack)
	}()
	return e.failAttempt(v, e.backoffOf(job))
}

// runAttempt opens the arguments, has the handler run under its timeout, and turns
// what comes back into an outcome.
func (e *Engine) runAttempt(ctx context.Context, job *jobstore.Job) *jobstore.Outcome {
	r := e.registrationOf(job)
	ctx, span := e.telemetry.startAttempt(ctx, job)
	defer span.End()
	plain, err := e.openArguments(job)
	if err != nil {
		return &jobstore.Outcome{Job: job, Status: tracker.StatusFailed, Error: err.Error(), ErrorClass: string(fault.ClassUndecodable)}
	}
	secrets, execute, err := r.decode(plain)
	a := &attempt{job: job, store: e.store, key: fmt.Sprintf("%s-%d", e.installation(), job.ID), lease: func() error {
		if !e.lease.Valid() {
			return ErrLeaseLost
		}
		return nil
	}, redactor: sync.OnceValue(func() *secret.Redactor { return secret.NewRedactor(plain, job.Payload, secrets, r.maskKeys) })}
	if err != nil {
		return &jobstore.Outcome{Job: job, Status: tracker.StatusFailed, Error: a.redactor().Text(err.Error()), ErrorClass: string(fault.ClassUndecodable)}
	}
	timeout := r.timeout()
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, ErrTimeout)
	defer cancel()
	stuck := time.AfterFunc(timeout+stuckLogDelay, func() {
		e.logger.Warn("nawasync: a job ignores the end of its context; it keeps its slot and its lane until it returns", "job", job.ID, "kind", r.kind.String(),
			"timeout", timeout)
	})
	defer stuck.Stop()
	stack, err := executeSafely(ctx, a, execute)
	v := e.judge(ctx, r, a, err)
	if stack != "" {
		v.Stack = a.redactor().Text(stack)
	}
	v.Log = a.log.String()
	e.telemetry.recordOutcome(span, v)
	return v
}

func (e *Engine) installation() string {
	if e.bells == nil {
		return "nawasync"
	}
	return e.bells.QueueName("job")
}

func executeSafely(ctx context.Context, a *attempt, execute func(context.Context, *attempt) error) (stack string, err error) {
	defer func() {
		if r := recover(); r != nil {
			stack, err = string(debug.Stack()), &host.PanicError{Value: r}
		}
	}()
	return "", execute(ctx, a)
}

// redactorOf knows a job's secrets without its attempt.
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
	return secret.NewRedactor(plain, job.Payload, secrets, maskKeys)
}
