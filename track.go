package nawasync

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/hibiken/asynq"

	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/jobrow"
	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/tracker"
)

// TrackOptions are the options of Engine.Track. Only Describe is required.
type TrackOptions struct {
	// Describe returns the kind and the target that a task's job has, or false to leave the task
	// untracked. It must depend only on the task, and be safe for concurrent use. If it panics or
	// returns an invalid kind or target, the task runs untracked and the engine logs a warning.
	Describe func(task *asynq.Task) (kind Kind, target Target, tracked bool)
	// MaskKeys are keys of JSON payloads to mask in addition to the keys that Mask always masks.
	MaskKeys []string
	// By names the program that enqueues the tasks, for the jobs' TriggeredBy. At most 255 bytes.
	By string
	// Client enqueues the tasks of Engine.Retry. Nil means that this process cannot retry tracked
	// jobs. The caller closes the client.
	Client *asynq.Client
	// RetryDelay is the RetryDelayFunc of the host's asynq.Config. The pages show by it when asynq
	// is about to deliver a task again. Default asynq.DefaultRetryDelayFunc.
	RetryDelay asynq.RetryDelayFunc
}

// Track returns a middleware for the handlers that a host already has in an asynq server of its own.
// Each task that Describe describes gets a row among the jobs, on the operators' pages, in searches
// and in the statistics: its kind and target, its payload with secrets masked, its attempts as asynq
// makes them, its outcome and its duration. Use it as the outermost middleware, since asynq's own
// context tells whether asynq accepted the handler's result:
//
//	mux := asynq.NewServeMux()
//	mux.Use(engine.Track(nawasync.TrackOptions{Describe: describe, Client: client}))
//
// asynq still delivers the tasks and decides about their attempts; the row only follows. Lanes,
// pauses, leases and Config.Queues do not concern tracked tasks. The handler's error means what it
// means to asynq: an error that wraps asynq.SkipRetry, or one of the last attempt, ends the job as
// failed, and one that wraps asynq.RevokeTask as skipped. When a process dies, the job stays running
// until asynq delivers the task again, which ends the lost attempt as reaped. A job whose task does
// not return is Stuck after the task's deadline.
//
// Tracking never fails a task. Before and after the handler, Track waits up to 2 s for the database;
// then it logs a warning and the task goes on. An outcome that could not be written is tried again in
// the background for some minutes.
//
// Engine.Retry enqueues the payload of a tracked job again, in the same asynq queue and with the same
// number of retries and timeout, in every process that has called Track with such a Describe and a
// Client, whether it uses the middleware or not. With Config.Sealer the payload is sealed in the row.
// Without it, the row keeps the payload only if there is nothing to mask; otherwise Retry returns
// ErrNoArguments. A payload that is not JSON is not shown and needs a Sealer.
//
// Engine.Cancel ends a tracked job that waits for its next attempt, or is Stuck; asynq then drops the
// task when it is due. A running attempt is not interrupted, but none follows it.
//
// Track is safe for concurrent use and may be called at any time and several times, for example with
// one Describe for each asynq server. The engine need not be started. If Describe is nil, nothing is
// tracked.
func (e *Engine) Track(o TrackOptions) asynq.MiddlewareFunc {
	if o.Describe == nil {
		e.logger.Warn("TrackOptions.Describe is nil; no task is tracked")
		return func(next asynq.Handler) asynq.Handler { return next }
	}
	if o.RetryDelay == nil {
		o.RetryDelay = asynq.DefaultRetryDelayFunc
	}
	name, _ := os.Hostname()
	t := &taskTracker{engine: e, options: o, worker: fmt.Sprintf("asynq:%.40s:%d", name, os.Getpid())}
	e.trackers.add(t)
	return func(next asynq.Handler) asynq.Handler {
		return asynq.HandlerFunc(func(ctx context.Context, task *asynq.Task) error { return t.process(ctx, task, next) })
	}
}

// trackers are the trackers of an engine.
type trackers struct {
	mu   sync.Mutex
	list []*taskTracker
	late lateOutcomes
}

func (t *trackers) add(one *taskTracker) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.list = append(t.list, one)
}

func (t *trackers) all() []*taskTracker {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.list)
}

// taskTracker is what one call of Track returned.
type taskTracker struct {
	engine  *Engine
	options TrackOptions
	worker  string // the Worker of the attempts; no reaper knows it
}

// process runs the handler of a task and records the attempt.
func (t *taskTracker) process(ctx context.Context, task *asynq.Task, next asynq.Handler) (err error) {
	a := t.attempt(ctx, task)
	if a == nil {
		return next.ProcessTask(ctx, task)
	}
	if cancelled := a.begin(ctx); cancelled != nil {
		return fmt.Errorf("job %d was cancelled by %s: %w", cancelled.ID, cmp.Or(cancelled.CancelBy, "an operator"), asynq.RevokeTask)
	}
	defer func() {
		if value := recover(); value != nil {
			a.end(ctx, &host.PanicError{Value: value}, string(debug.Stack()))
			panic(value) // asynq recovers it
		}
	}()
	err = next.ProcessTask(ctx, task)
	a.end(ctx, err, "")
	return err
}

// attempt returns the attempt that asynq makes of a task, or nil if the task is not tracked.
func (t *taskTracker) attempt(ctx context.Context, task *asynq.Task) (a *trackedAttempt) {
	id, ok := asynq.GetTaskID(ctx)
	if !ok {
		return nil // asynq did not call this handler
	}
	defer func() {
		if value := recover(); value != nil {
			t.engine.logger.Warn("a task is not tracked: TrackOptions.Describe panicked", "task_id", id, "panic", value)
			a = nil
		}
	}()
	kind, target, tracked := t.options.Describe(task)
	if !tracked {
		return nil
	}
	queue, _ := asynq.GetQueueName(ctx)
	retried, _ := asynq.GetRetryCount(ctx)
	retries, _ := asynq.GetMaxRetry(ctx)
	job, payload, err := t.newJob(task, kind, target, queue)
	if err != nil {
		t.engine.logger.Warn("a task is not tracked", "task_id", id, "error", err)
		return nil
	}
	now := t.engine.store.Now()
	a = &trackedAttempt{taskTracker: t, task: task, fresh: job, payload: payload, delivery: jobstore.Delivery{
		Key: jobstore.TrackedKey(queue, id), Row: t.engine.retriedRow(id), Again: retried > 0, Attempt: retried + 1, MaxAttempts: retries + 1,
		Worker: t.worker, StartedAt: now,
	}}
	if deadline, ok := ctx.Deadline(); ok {
		a.delivery.DeadlineAt = now.Add(time.Until(deadline)).UTC().Truncate(time.Microsecond)
	}
	return a
}

// newJob returns the row of a task that has none yet.
func (t *taskTracker) newJob(task *asynq.Task, kind Kind, target Target, queue string) (*jobstore.Job, taskPayload, error) {
	job := &jobstore.Job{Job: tracker.Job{
		Service: kind.Service, Type: kind.Type, Action: kind.Action, Instance: target.Instance, TargetID: target.ID,
		Queue: tracker.AsynqQueue + queue, TriggeredBy: t.options.By, TriggerSource: string(SourceAPI), Trace: task.Headers()["traceparent"],
	}}
	err := errors.Join(
		validateKind(kind), validateTarget(target), validateText("TrackOptions.By", t.options.By, 0, 255),
		validateText("asynq queue", job.Queue, len(tracker.AsynqQueue)+1, maxQueueName),
	)
	if err != nil {
		return nil, taskPayload{}, fmt.Errorf("%s: %w", kind, err)
	}
	if validateText("traceparent", job.Trace, 0, maxTraceparent) != nil {
		job.Trace = ""
	}
	job.TargetKey = jobrow.TargetKey(kind.Service, kind.Type, target.Instance, target.ID)
	return job, t.engine.packTask(job, task, t.options.MaskKeys), nil
}

const (
	maxQueueName   = 50
	maxTraceparent = 55 // the length of a W3C traceparent
)
