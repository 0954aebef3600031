package nawasync

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/hibiken/asynq"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/tracker"
)

// ErrNotTracked is returned by Retry for a job of Engine.Track if this process cannot enqueue its task.
var ErrNotTracked = errors.New("this process cannot enqueue the job's task; call Engine.Track in it, with a Client and a Describe that describes the task as this kind")

// taskID returns the id in asynq of the task of a tracked row that Retry has added.
func (e *Engine) taskID(row int64) string {
	return fmt.Sprintf("nawasync-%s-job-%d", e.installation, row)
}

// retriedRow returns the row that Retry has added for a task, or 0.
func (e *Engine) retriedRow(task string) int64 {
	text, ok := strings.CutPrefix(task, "nawasync-"+e.installation+"-job-")
	row, err := strconv.ParseInt(text, 10, 64)
	if !ok || err != nil {
		return 0
	}
	return row
}

// argumentsGone returns the error of a retry whose arguments are missing.
func (e *Engine) argumentsGone(job *jobstore.Job) error {
	if job.Tracked() && e.config.Sealer == nil {
		return fmt.Errorf("retry job %d: %w: without Config.Sealer, the payload of a task is kept only if it is JSON without secrets", job.ID, ErrNoArguments)
	}
	return fmt.Errorf("retry job %d: %w", job.ID, ErrNoArguments)
}

// retryTracked adds the row of a retry, and enqueues its task in the host's asynq queue.
func (e *Engine) retryTracked(ctx context.Context, old, job *jobstore.Job, follows jobstore.FollowUp) (*jobstore.Job, error) {
	plain, err := e.openArguments(old)
	if err != nil {
		return nil, fmt.Errorf("retry job %d: %w", old.ID, err)
	}
	task, err := decodeTask(plain)
	if err != nil {
		return nil, fmt.Errorf("retry job %d: %w", old.ID, err)
	}
	client := e.clientFor(old, task)
	if client == nil {
		return nil, fmt.Errorf("retry job %d of kind %s: %w", old.ID, old.Kind(), ErrNotTracked)
	}
	job.UniqueKey = jobstore.UniqueKey(fmt.Sprintf("retry:%d", old.ID), false)
	if job, err = e.store.AddTracked(ctx, job, follows); err != nil {
		return nil, fmt.Errorf("retry job %d: %w", old.ID, e.lockHint(err))
	}
	if job.Coalesced && job.Attempt > 0 {
		return job, nil // asynq has the task
	}
	// If an earlier Retry has added the row and died, its task is missing; otherwise the id is taken.
	task, _ = decodeTask(plain, e.retryOptions(old, job)...)
	if _, err := client.EnqueueContext(ctx, task); err != nil && !errors.Is(err, asynq.ErrTaskIDConflict) {
		err = fmt.Errorf("retry job %d: enqueue the task in asynq: %w", old.ID, err)
		return nil, errors.Join(err, e.cancelUnqueued(ctx, job, err))
	}
	return job, nil
}

// clientFor returns the client that enqueues a task, or nil if no tracker of this process has one and
// describes the task as the job's kind.
func (e *Engine) clientFor(job *jobstore.Job, task *asynq.Task) *asynq.Client {
	for _, t := range e.trackers.all() {
		if t.options.Client != nil && t.describes(task, Kind{job.Service, job.Type, job.Action}) {
			return t.options.Client
		}
	}
	return nil
}

func (t *taskTracker) describes(task *asynq.Task, kind Kind) (same bool) {
	defer func() {
		if recover() != nil {
			same = false
		}
	}()
	described, _, tracked := t.options.Describe(task)
	return tracked && described == kind
}

// retryOptions returns the options of the retry of a task: those of the task that asynq tells its
// handler.
func (e *Engine) retryOptions(old, job *jobstore.Job) []asynq.Option {
	list := []asynq.Option{
		asynq.TaskID(e.taskID(job.ID)), asynq.Queue(strings.TrimPrefix(old.Queue, tracker.AsynqQueue)), asynq.MaxRetry(max(0, old.MaxAttempts-1)),
	}
	if old.DeadlineAt.IsZero() || old.StartedAt.IsZero() {
		return list
	}
	return append(list, asynq.Timeout(max(time.Second, old.DeadlineAt.Sub(old.StartedAt).Round(time.Second))))
}

// unqueuedTimeout bounds how long Retry waits to cancel a row whose task it could not enqueue.
const unqueuedTimeout = 5 * time.Second

// cancelUnqueued ends the row of a task that could not be enqueued. If asynq has the task after all,
// it is dropped when it is due.
func (e *Engine) cancelUnqueued(ctx context.Context, job *jobstore.Job, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), unqueuedTimeout)
	defer cancel()
	return e.settleTracked(ctx, &jobstore.Outcome{
		Job: job, Status: tracker.StatusCancelled, ErrorClass: string(fault.ClassCancelled), CancelBy: "nawasync",
		Error: e.redactor.Clip(cause.Error(), tracker.MaxError),
	})
}
