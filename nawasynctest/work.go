package nawasynctest

import (
	"cmp"
	"context"
	"encoding/json"
	"testing"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/secret"
	"github.com/nawasara/nawasync/tracker"
)

// WorkResult is what came of one run of a handler.
type WorkResult struct {
	// Err is what Execute returned, and Class its class, "" for nil. Skip, Conflict and
	// RetryAfter have none of their own: look at Outcome.
	Err   error
	Class fault.Class
	// Outcome is how the attempt would end in an engine.
	Outcome tracker.Outcome
	// Log, Result and Progress are as the engine would keep them: with secrets redacted and
	// masked. The last two are nil when the handler set none.
	Log              string
	Result, Progress json.RawMessage
	// BeganWrite reports whether the handler called BeginWrite: a handler that writes to the
	// remote must.
	BeganWrite bool

	onSuccess func(tx *gorm.DB) error
}

// OnSuccess runs what the handler registered with Run.OnSuccess, in tx. It returns the
// first error, and nil where nothing was registered.
func (w WorkResult) OnSuccess(tx *gorm.DB) error { return w.onSuccess(tx) }

// Work runs a handler once, as the first attempt of a job with these arguments, without an
// engine and a database. The arguments travel as they do in a job: marshalled, with their
// secrets, and decoded again; what Dispatch would refuse fails the test. The context ends
// after the handler's Timeout, and with the test. A panic of the handler is not recovered;
// in an engine it is a failure of class fault.ClassPanic.
func Work[A nawasync.Args](t testing.TB, h nawasync.Handler[A], args A) WorkResult {
	t.Helper()
	var revealer secret.Revealer
	plain, secrets, err := revealer.Reveal(args)
	requireNoError(t, err)
	var received A
	if err := json.Unmarshal(plain, &received); err != nil {
		t.Fatalf("the arguments do not decode into %T: %v", received, err)
	}
	kind, target := args.Kind(), args.Target()
	for name, text := range map[string]string{"Kind.Service": kind.Service, "Kind.Type": kind.Type, "Kind.Action": kind.Action, "Target.ID": target.ID} {
		if text == "" {
			t.Fatalf("%s of %T is empty: no such job could be dispatched", name, args)
		}
	}
	options := optionsOf(args)
	job := tracker.Job{
		ID: 1, Service: kind.Service, Type: kind.Type, Action: kind.Action, Instance: target.Instance, TargetID: target.ID,
		Queue: cmp.Or(options.Queue, nawasync.DefaultQueue), Status: tracker.StatusRunning, Attempt: 1,
		MaxAttempts: cmp.Or(options.MaxAttempts, nawasync.DefaultAttempts), Payload: maskedJSON(t, args),
	}
	run, finish := nawasync.NewRun(host.NewKey(), received, host.RunOptions{
		Job: job, IdempotencyKey: "nawasynctest-1",
		Redactor: func() *secret.Redactor { return secret.NewRedactor(plain, job.Payload, secrets, options.MaskKeys) },
	})
	timeout := h.Timeout()
	if timeout <= 0 {
		timeout = nawasync.DefaultTimeout
	}
	ctx, cancel := context.WithTimeoutCause(t.Context(), timeout, nawasync.ErrTimeout)
	defer cancel()
	err = h.Execute(ctx, run)
	record := finish(err)
	return WorkResult{
		Err: err, Class: fault.ClassOf(err), Outcome: record.Outcome, Log: record.Log, Result: record.Result, Progress: record.Progress,
		BeganWrite: record.BeganWrite, onSuccess: record.OnSuccess,
	}
}
