package nawasync

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/jobrow"
	"github.com/nawasara/nawasync/tracker"
)

// The errors of Cancel, Retry and Forget that a caller can act on.
var (
	ErrNotFound    = tracker.ErrNotFound
	ErrStillOpen   = tracker.ErrStillOpen
	ErrEnded       = errors.New("nawasync: the job has ended")
	ErrNoArguments = errors.New("nawasync: the job's arguments are no longer kept; dispatch it anew")
	ErrSuperseded  = errors.New("nawasync: a later job of the same target succeeded; a retry would undo it, unless it is forced")
)

// Cancel calls a job off. A queued one is cancelled at once; of a running one the
// context ends (ErrCancelled) within 2 s, and when its handler returns an error
// the job is cancelled: if it returns nil all the same, it was a success. It
// returns the row as it stands, whose status tells which of the two it was, and
// ErrEnded or ErrNotFound.
func (e *Engine) Cancel(ctx context.Context, id int64, by string) (*tracker.Job, error) {
	if err := validateText("by", by, 0, 255); err != nil {
		return nil, err
	}
	// Between reading and writing a job may start or go back to the queue.
	for range 10 {
		job, err := e.store.Get(ctx, id)
		if err != nil {
			return nil, err
		}
		switch {
		case job.Status.Terminal():
			return job, fmt.Errorf("cancel job %d: %w as %s", id, ErrEnded, job.Status)
		case job.Status == tracker.Running:
			asked, err := e.store.RequestCancel(ctx, id, by)
			if err != nil {
				return nil, fmt.Errorf("nawasync: cancel job %d: %w", id, err)
			}
			if asked {
				return e.store.Get(ctx, id)
			}
		default:
			v := &tracker.Verdict{Job: job, Status: tracker.Cancelled, ErrorClass: string(fault.Cancelled), Error: "cancelled while it was queued", CancelBy: by}
			results, errs := e.store.Finish(ctx, []*tracker.Verdict{v})
			if errs[0] != nil {
				return nil, e.busyHint(errs[0])
			}
			if results[0].Won {
				e.ring(ctx, results[0].Next)
				e.ended(v, results[0].Job)
				return results[0].Job, nil
			}
		}
	}
	return nil, fmt.Errorf("nawasync: cancel job %d: it changed ten times over; try again", id)
}

// OperatorOptions say who asks for something, and why.
type OperatorOptions struct {
	By string // for instance "user:7"; up to 255 bytes
}

func (o OperatorOptions) validate() error { return validateText("OperatorOptions.By", o.By, 0, 255) }

// RetryOptions of one retry.
type RetryOptions struct {
	By string // who asked for it
	// Force retries although a later job of the same target succeeded.
	Force bool
}

// Retry dispatches an ended job again: a new row at the end of its lane, with the
// same sealed arguments. It returns ErrNotFound, an error for a job that has not
// ended, ErrNoArguments (a success keeps none, others for Config.KeepArguments),
// and ErrSuperseded.
func (e *Engine) Retry(ctx context.Context, id int64, o RetryOptions) (*tracker.Job, error) {
	if err := validateText("RetryOptions.By", o.By, 0, 255); err != nil {
		return nil, err
	}
	old, err := e.store.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	if !old.Status.Terminal() {
		return nil, fmt.Errorf("nawasync: job %d is %s; only an ended job is retried", id, old.Status)
	}
	if old.ArgumentsDropped() || len(old.Payload) == 0 {
		return nil, fmt.Errorf("retry job %d: %w", id, ErrNoArguments)
	}
	if !o.Force {
		newer, err := e.store.NewerSuccess(ctx, old)
		if err != nil {
			return nil, err
		}
		if newer != 0 {
			return nil, fmt.Errorf("retry job %d: %w (job %d)", id, ErrSuperseded, newer)
		}
	}
	ctx, span := e.telemetry.dispatch(ctx)
	defer span.End()
	job := &tracker.Job{
		TargetKey: old.TargetKey, Lane: old.Lane, Service: old.Service, Type: old.Type, Action: old.Action, Instance: old.Instance, TargetID: old.TargetID,
		Queue: old.Queue, MaxAttempts: old.MaxAttempts, TriggeredBy: o.By, TriggerSource: string(SourceRetry), RetryOf: old.ID,
		Payload: old.Payload, Sealed: old.Sealed, Trace: traceparent(ctx),
		SnapshotTable: old.SnapshotTable, SnapshotRow: old.SnapshotRow, SnapshotState: old.SnapshotState,
	}
	if err := e.insertFollowUp(ctx, job); err != nil {
		return nil, err
	}
	e.telemetry.dispatched(ctx, span, []*tracker.Job{job})
	return job, nil
}

// insertFollowUp adds a job that follows another, and marks its snapshot row.
func (e *Engine) insertFollowUp(ctx context.Context, job *tracker.Job) error {
	jobs := []*tracker.Job{job}
	if job.SnapshotState == "" {
		if err := e.store.InsertOwn(ctx, jobs, e.rings()); err != nil {
			return e.busyHint(err)
		}
		e.ringSoon(ctx, tracker.Bells(jobs))
		return nil
	}
	return e.transaction(ctx, e.store.Repeated, func(tx *gorm.DB) error {
		state, err := e.store.LockRow(ctx, tx, job.SnapshotTable, job.SnapshotRow)
		if err != nil {
			return err
		}
		if state == StatePendingDelete {
			return fmt.Errorf("row %d of %s: %w", job.SnapshotRow, job.SnapshotTable, ErrDeleting)
		}
		if err := e.insertTx(ctx, tx, jobs); err != nil {
			return err
		}
		return e.store.MarkPending(ctx, tx, job)
	})
}

// Forget blanks arguments, results and error texts of every ended job of one
// target, for privacy, and returns how many; the rows stay. It returns
// ErrStillOpen when jobs of the target have not ended.
func (e *Engine) Forget(ctx context.Context, service, typ string, target Target) (int, error) {
	if err := validateTarget(target); err != nil {
		return 0, err
	}
	return e.store.Forget(ctx, service, typ, target.Instance, target.ID, jobrow.TargetKey(service, typ, target.Instance, target.ID))
}

// Pause keeps the jobs of a service, or of one instance of it, from starting until
// a time, or until Resume when it is zero. Running ones go on.
func (e *Engine) Pause(ctx context.Context, service, instance, by, reason string, until time.Time) error {
	if err := errors.Join(validateText("service", service, 1, 50), validateText("instance", instance, 0, 64), validateText("by", by, 0, 255)); err != nil {
		return err
	}
	if until.IsZero() {
		until = tracker.Forever
	}
	return e.store.Pause(ctx, tracker.Scope{Service: service, Instance: instance, Until: until, By: by, Reason: reason})
}

// Resume ends a pause, or a park, and reports whether there was one.
func (e *Engine) Resume(ctx context.Context, service, instance string) (bool, error) {
	return e.store.Resume(ctx, service, instance)
}
