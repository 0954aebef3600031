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

// WorkResult is the result of one run of a handler.
type WorkResult struct {
	// Err is the error that Execute returned, and Class is its class; "" for nil. Skip, Conflict
	// and RetryAfter do not set a class; check Outcome instead.
	Err   error
	Class fault.Class
	// Outcome is the outcome that an engine would write for the attempt.
	Outcome tracker.Outcome
	// Log, Result and Progress are as an engine would store them, with secrets redacted and
	// masked. Result and Progress are nil if the handler did not set them.
	Log              string
	Result, Progress json.RawMessage
	// BeganWrite reports whether the handler called BeginWrite, which it must do before it
	// writes to the remote.
	BeganWrite bool

	onSuccess func(tx *gorm.DB) error
}

// OnSuccess runs the functions that the handler registered with Run.OnSuccess in tx, in order. It
// returns the first error. Without registered functions it returns nil.
func (w WorkResult) OnSuccess(tx *gorm.DB) error { return w.onSuccess(tx) }

// Work runs a handler once without an engine or a database, as the first attempt of a job with the
// given arguments. As for a real job, Work marshals the arguments, including their secrets, and
// decodes them again. Arguments that cannot be marshalled, or that lack a part of their kind or
// their target ID, fail the test. The context ends after the handler's Timeout or with the test.
// Work does not recover a panic of the handler; in an engine a panic is a failure of class
// fault.ClassPanic.
func Work[A nawasync.Args](t testing.TB, h nawasync.Handler[A], args A) WorkResult {
	t.Helper()
	var revealer secret.Revealer
	plain, secrets, err := revealer.Reveal(args)
	requireNoError(t, err)
	var received A
	if err := json.Unmarshal(plain, &received); err != nil {
		t.Fatalf("decode the arguments into %T: %v", received, err)
	}
	kind, target := args.Kind(), args.Target()
	for name, text := range map[string]string{"Kind.Service": kind.Service, "Kind.Type": kind.Type, "Kind.Action": kind.Action, "Target.ID": target.ID} {
		if text == "" {
			t.Fatalf("%s of %T is empty; Dispatch would return an error", name, args)
		}
	}
	options := optionsOf(args)
	masked, err := json.Marshal(args) // MarshalJSON of Secret masks its value
	requireNoError(t, err)
	masked = secret.Mask(masked, options.MaskKeys...)
	redactor := secret.NewRedactor(plain, masked, secrets, options.MaskKeys)
	job := tracker.Job{
		ID: 1, Service: kind.Service, Type: kind.Type, Action: kind.Action, Instance: target.Instance, TargetID: target.ID,
		Queue: cmp.Or(options.Queue, nawasync.DefaultQueue), Status: tracker.StatusRunning, Attempt: 1,
		MaxAttempts: cmp.Or(options.MaxAttempts, nawasync.DefaultAttempts), Payload: redactor.JSON(masked),
	}
	run, finish := nawasync.NewRun(host.NewKey(), received, host.RunOptions{
		Job: job, IdempotencyKey: "nawasynctest-1",
		Redactor: func() *secret.Redactor { return redactor },
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
