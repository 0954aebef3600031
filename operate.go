package nawasync

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/tracker"
)

// The errors of operators' calls that a caller can act on.
var (
	// ErrNotFound says that there is no such job, hold or row.
	ErrNotFound = tracker.ErrNotFound
	// ErrStillOpen says that a target has jobs that have not ended.
	ErrStillOpen = jobstore.ErrStillOpen
	// ErrEnded says that a job has ended, ErrNotEnded that it has not.
	ErrEnded    = errors.New("the job has ended")
	ErrNotEnded = errors.New("the job has not ended; cancel it first, or wait")
	// ErrNoArguments says that a job's arguments are no longer kept.
	ErrNoArguments = errors.New("the job's arguments are no longer kept; dispatch a new job from the application")
	// ErrSuperseded says that a later job of the target succeeded, which this one would undo.
	ErrSuperseded = errors.New("a later job of the same target succeeded; a retry would undo it, unless it is forced")
)

// OperatorOptions say who asks for something, and why. Every operator's call adds them
// to the audit log, with what came of it. The zero value is fine.
type OperatorOptions struct {
	By      string // who, for instance "user:7"; up to 255 bytes
	Reason  string // why; what is longer than 8 KiB is cut
	Address string // where the request came from; up to 64 bytes are kept
}

func (o OperatorOptions) validate() error { return validateText("OperatorOptions.By", o.By, 0, 255) }

// RetryOptions are the OperatorOptions of a retry.
type RetryOptions struct {
	By, Reason, Address string // as in OperatorOptions
	// Force retries although a later job of the same target succeeded.
	Force bool
}

// PauseOptions are the OperatorOptions of a pause.
type PauseOptions struct {
	By, Reason, Address string    // as in OperatorOptions
	Until               time.Time // when the pause ends by itself; zero is when somebody resumes
}

// Cancel ends a job. A queued one is cancelled at once; of a running one the context
// ends (ErrCancelled) within 2 s, and when its handler returns an error the job is
// cancelled: if it returns nil all the same, it was a success. It returns the row as it
// stands, whose status tells which of the two it was, and ErrEnded or ErrNotFound.
func (e *Engine) Cancel(ctx context.Context, id int64, o OperatorOptions) (*tracker.Job, error) {
	var job *tracker.Job
	err := e.operateOn(ctx, "cancel", id, o, func(_ *jobstore.Job, entry *tracker.AuditEntry) (err error) {
		if job, err = e.cancel(ctx, id, o.By); err == nil && job.Status == tracker.StatusRunning {
			entry.Detail = "requested"
		}
		return err
	})
	return job, err
}

func (e *Engine) cancel(ctx context.Context, id int64, by string) (*tracker.Job, error) {
	// Between reading and writing a job may start or go back to the queue.
	for range 10 {
		job, err := e.store.Load(ctx, id)
		if err != nil {
			return nil, err
		}
		switch {
		case job.Status.Terminal():
			return &job.Job, fmt.Errorf("cancel job %d: %w as %s", id, ErrEnded, job.Status)
		case job.Status == tracker.StatusRunning:
			requested, err := e.store.RequestCancel(ctx, id, by)
			if err != nil {
				return nil, fmt.Errorf("cancel job %d: %w", id, err)
			}
			if requested {
				return e.store.Get(ctx, id)
			}
		default:
			o := &jobstore.Outcome{
				Job:        job,
				Status:     tracker.StatusCancelled,
				ErrorClass: string(fault.ClassCancelled),
				Error:      "cancelled while it was queued",
				CancelBy:   by,
			}
			won, err := e.settle(ctx, []*jobstore.Outcome{o})
			if err != nil {
				return nil, e.lockHint(err)
			}
			if won[0] != nil {
				return &won[0].Job, nil
			}
		}
	}
	return nil, fmt.Errorf("cancel job %d: it changed ten times over; try again", id)
}

// Retry dispatches an ended job again: a new row at the end of its lane, with the same
// sealed arguments. It returns ErrNotFound, ErrNotEnded, ErrNoArguments (a success keeps
// none, others keep them for Config.KeepArguments), and ErrSuperseded.
func (e *Engine) Retry(ctx context.Context, id int64, o RetryOptions) (*tracker.Job, error) {
	var job *tracker.Job
	err := e.operateOn(ctx, "retry", id, OperatorOptions{o.By, o.Reason, o.Address}, func(old *jobstore.Job, entry *tracker.AuditEntry) (err error) {
		if job, err = e.retry(ctx, old, o); err == nil {
			entry.Detail = fmt.Sprintf("job %d", job.ID)
		}
		return err
	})
	return job, err
}

func (e *Engine) retry(ctx context.Context, old *jobstore.Job, o RetryOptions) (*tracker.Job, error) {
	if !old.Status.Terminal() {
		return nil, fmt.Errorf("retry job %d: %w: it is %s", old.ID, ErrNotEnded, old.Status)
	}
	if old.ArgumentsDropped() || len(old.Payload) == 0 {
		return nil, fmt.Errorf("retry job %d: %w", old.ID, ErrNoArguments)
	}
	if !o.Force {
		newer, err := e.store.NewerSuccess(ctx, &old.Job)
		if err != nil {
			return nil, err
		}
		if newer != 0 {
			return nil, fmt.Errorf("retry job %d: %w (job %d)", old.ID, ErrSuperseded, newer)
		}
	}
	ctx, span := e.telemetry.startDispatch(ctx)
	defer span.End()
	job := &jobstore.Job{Job: tracker.Job{
		Service: old.Service, Type: old.Type, Action: old.Action, Instance: old.Instance, TargetID: old.TargetID,
		Queue: old.Queue, MaxAttempts: old.MaxAttempts, TriggeredBy: o.By, TriggerSource: string(SourceRetry), RetryOf: old.ID,
		Payload: old.Payload, Trace: traceparent(ctx),
		SnapshotTable: old.SnapshotTable, SnapshotRow: old.SnapshotRow, SnapshotState: old.SnapshotState,
	}}
	job.TargetKey, job.Lane, job.Sealed = old.TargetKey, old.Lane, old.Sealed
	if err := e.insertFollowUp(ctx, job); err != nil {
		return nil, err
	}
	e.telemetry.recordDispatched(ctx, span, []*jobstore.Job{job})
	return &job.Job, nil
}

// insertFollowUp adds a job that follows another, and marks its snapshot row.
func (e *Engine) insertFollowUp(ctx context.Context, job *jobstore.Job) error {
	jobs := []*jobstore.Job{job}
	if job.SnapshotState == "" {
		if err := e.store.InsertOwn(ctx, jobs, e.enqueueBudget()); err != nil {
			return e.lockHint(err)
		}
		e.enqueueAsync(ctx, jobstore.Bells(jobs))
		return nil
	}
	return e.transaction(ctx, e.store.RetryTx, func(tx *gorm.DB) error {
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

// Delete takes an ended job off the lists, from where Restore brings it back until it is
// pruned. It returns ErrNotFound and ErrNotEnded; a job that is deleted already stays so.
func (e *Engine) Delete(ctx context.Context, id int64, o OperatorOptions) error {
	return e.operateOn(ctx, "delete", id, o, func(job *jobstore.Job, entry *tracker.AuditEntry) error {
		if !job.Status.Terminal() {
			return fmt.Errorf("delete job %d: %w: it is %s", id, ErrNotEnded, job.Status)
		}
		changed, err := e.store.Delete(ctx, id)
		if !changed {
			entry.Detail = "it was deleted already"
		}
		return err
	})
}

// Restore puts a deleted job back on the lists. It returns ErrNotFound; a job that is not
// deleted stays as it is.
func (e *Engine) Restore(ctx context.Context, id int64, o OperatorOptions) error {
	return e.operateOn(ctx, "restore", id, o, func(_ *jobstore.Job, entry *tracker.AuditEntry) error {
		changed, err := e.store.Restore(ctx, id)
		if !changed {
			entry.Detail = "it was not deleted"
		}
		return err
	})
}

// Forget blanks arguments, results and error texts of every ended job of one target,
// for privacy, and returns how many; the rows stay. It returns ErrStillOpen when jobs of
// the target have not ended.
func (e *Engine) Forget(ctx context.Context, target tracker.Target, o OperatorOptions) (n int, err error) {
	err = errors.Join(
		validateText("Target.Service", target.Service, 1, 50), validateText("Target.Type", target.Type, 1, 50),
		validateTarget(Target{Instance: target.Instance, ID: target.ID}),
	)
	if err != nil {
		return 0, err
	}
	err = e.operate(ctx, "forget", o, func(entry *tracker.AuditEntry) (err error) {
		entry.Service, entry.Type, entry.Instance, entry.TargetID = target.Service, target.Type, target.Instance, target.ID
		n, err = e.store.Forget(ctx, target)
		return err
	})
	return n, err
}

// errNotPaused is what the audit log says of a resume without a pause.
var errNotPaused = errors.New("it was not paused")

// Pause keeps the jobs of a service, or of one instance of it where instance is not "",
// from starting until PauseOptions.Until, or until Resume. Running ones go on. It returns
// ErrInvalid for names that cannot be, and for an end in the past.
func (e *Engine) Pause(ctx context.Context, service, instance string, o PauseOptions) error {
	if err := validateScope(service, instance); err != nil {
		return err
	}
	until := o.Until
	switch {
	case until.IsZero():
		until = tracker.Forever
	case !until.After(e.clock.Now()):
		return fmt.Errorf("%w: PauseOptions.Until is past (%s)", ErrInvalid, until)
	}
	return e.operate(ctx, "pause", OperatorOptions{o.By, o.Reason, o.Address}, func(entry *tracker.AuditEntry) error {
		entry.Service, entry.Instance = service, instance
		return e.store.Pause(ctx, tracker.Scope{Service: service, Instance: instance, Until: until, By: o.By, Reason: o.Reason})
	})
}

// Resume ends a pause, or a park, and reports whether there was one. It returns ErrInvalid
// for names that cannot be.
func (e *Engine) Resume(ctx context.Context, service, instance string, o OperatorOptions) (found bool, err error) {
	if err := validateScope(service, instance); err != nil {
		return false, err
	}
	err = e.operate(ctx, "resume", o, func(entry *tracker.AuditEntry) (err error) {
		entry.Service, entry.Instance = service, instance
		if found, err = e.store.Resume(ctx, service, instance); err == nil && !found {
			err = errNotPaused
		}
		return err
	})
	if errors.Is(err, errNotPaused) {
		err = nil
	}
	return found, err
}

func validateScope(service, instance string) error {
	return errors.Join(validateText("service", service, 1, 50), validateText("instance", instance, 0, 64))
}
