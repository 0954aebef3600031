package nawasync

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/tracker"
)

// The errors of the operators' actions that a caller can act on.
var (
	// ErrNotFound is returned for a job, hold or row that does not exist.
	ErrNotFound = tracker.ErrNotFound
	// ErrStillOpen is returned when a target has jobs that have not ended.
	ErrStillOpen = jobstore.ErrStillOpen
	// ErrEnded is returned for a job that has ended.
	ErrEnded = errors.New("the job has ended")
	// ErrNotEnded is returned for a job that has not ended.
	ErrNotEnded = errors.New("the job has not ended; cancel it first, or wait")
	// ErrNoArguments is returned when a job's arguments are no longer kept.
	ErrNoArguments = errors.New("the job's arguments are no longer kept; dispatch a new job from the application")
	// ErrRowGone is returned for a retry of a creation, or of a host's own job, whose snapshot row was deleted, for example
	// because the creation was cancelled. Another creation may have been dispatched since.
	ErrRowGone = errors.New("the snapshot row no longer exists: its creation was cancelled, or it was deleted; create the object again instead of retrying")
	// ErrSuperseded is returned when a later job of the same target succeeded, because a retry
	// would undo the later job's change. It is also returned for a job that was already retried: the
	// text then names the last retry, which is the job to retry.
	ErrSuperseded = jobstore.ErrSuperseded
)

// OperatorOptions identify the operator who takes an action. Every action is recorded in the
// audit log with its options and its outcome. The zero value is valid.
type OperatorOptions struct {
	By      string // the operator, for example "user:7"; at most 255 bytes
	Reason  string // the operator's reason; cut after 8 KiB
	Address string // the address the request came from; cut after 64 bytes
}

func (o OperatorOptions) validate() error { return validateText("OperatorOptions.By", o.By, 0, 255) }

// RetryOptions are the OperatorOptions of a retry.
type RetryOptions struct {
	By, Reason, Address string // see OperatorOptions
	// Force retries the job even if a later job of the same target succeeded. It does not retry a job
	// whose last retry failed: that retry is the job to retry.
	Force bool
}

// PauseOptions are the OperatorOptions of a pause.
type PauseOptions struct {
	By, Reason, Address string    // see OperatorOptions
	Until               time.Time // when the pause ends by itself; zero means that only Resume ends the pause
}

// Cancel ends a job. It cancels a queued job at once. For a running job it requests
// cancellation: within 2 s the job's context ends with ErrCancelled. If the handler then
// returns an error, the job is cancelled; if it returns nil, the job is a success. Cancel
// returns the job's row. Its status tells whether the job is cancelled or still running. Cancel
// returns ErrEnded or ErrNotFound.
func (e *Engine) Cancel(ctx context.Context, id int64, o OperatorOptions) (*tracker.Job, error) {
	var job *tracker.Job
	err := e.operateOn(ctx, "cancel", id, o, func(_ *jobstore.Job, entry *tracker.AuditEntry) (err error) {
		if job, err = e.cancel(ctx, id, o.By); err == nil && job.Status == tracker.StatusRunning {
			entry.Detail = "cancellation requested"
		}
		return err
	})
	return job, err
}

func (e *Engine) cancel(ctx context.Context, id int64, by string) (*tracker.Job, error) {
	// The job may start or return to the queue between the read and the write. Then try again.
	for try := 1; try <= maxCancelTries; try++ {
		job, err := e.store.Load(ctx, id)
		if err != nil {
			return nil, err
		}
		switch {
		case job.Status.Terminal():
			return &job.Job, fmt.Errorf("cancel job %d: %w as %s", id, ErrEnded, job.Status)
		case job.Status == tracker.StatusRunning && (!job.Tracked() || !job.Stuck(e.store.Now())):
			requested, err := e.store.RequestCancel(ctx, id, by)
			if err != nil {
				return nil, fmt.Errorf("cancel job %d: %w", id, err)
			}
			if requested {
				return e.store.Get(ctx, id)
			}
		default:
			out := &jobstore.Outcome{
				Job:        job,
				Status:     tracker.StatusCancelled,
				ErrorClass: string(fault.ClassCancelled),
				Error:      "cancelled while it was " + string(job.Status),
				CancelBy:   by,
			}
			settled, err := e.settle(ctx, []*jobstore.Outcome{out})
			var locked *jobstore.LockedError
			if errors.As(err, &locked) && try < maxCancelTries {
				if err := sleep(ctx, lockedPause); err != nil {
					return nil, err
				}
				continue // a worker claims the job, or a transaction of the host holds it
			}
			if err != nil {
				return nil, e.lockHint(err)
			}
			if settled[0] != nil {
				return &settled[0].Job, nil
			}
		}
	}
	return nil, fmt.Errorf("cancel job %d: its status changed during each of %d tries; try again", id, maxCancelTries)
}

const (
	maxCancelTries = 20
	// lockedPause is the pause before another try to cancel a job whose row is locked.
	lockedPause = 100 * time.Millisecond
)

// sleep waits for d or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Delete removes an ended job from the lists. Restore undoes the deletion until the job is pruned.
// A job that is already deleted stays unchanged. Delete returns ErrNotFound or ErrNotEnded.
func (e *Engine) Delete(ctx context.Context, id int64, o OperatorOptions) error {
	return e.operateOn(ctx, "delete", id, o, func(job *jobstore.Job, entry *tracker.AuditEntry) error {
		if !job.Status.Terminal() {
			return fmt.Errorf("delete job %d: %w: it is %s", id, ErrNotEnded, job.Status)
		}
		changed, err := e.store.Delete(ctx, id)
		if !changed {
			entry.Detail = "the job was already deleted"
		}
		return err
	})
}

// Restore returns a deleted job to the lists. A job that is not deleted stays unchanged.
// Restore returns ErrNotFound.
func (e *Engine) Restore(ctx context.Context, id int64, o OperatorOptions) error {
	return e.operateOn(ctx, "restore", id, o, func(_ *jobstore.Job, entry *tracker.AuditEntry) error {
		changed, err := e.store.Restore(ctx, id)
		if !changed {
			entry.Detail = "the job was not deleted"
		}
		return err
	})
}

// Forget erases the arguments, results and error texts of every ended job of one target, for
// privacy. It returns the number of these jobs. The rows themselves stay. Forget also removes the
// target's ID, the reasons and the details from the target's entries in the audit log; who did
// what, and when, stays. Saved views of the job list that name the target's ID are deleted. The entry of
// Forget itself does not name the target: do not name it in
// OperatorOptions.Reason either. If the target also has jobs that have not ended, Forget leaves
// those unchanged and returns ErrStillOpen.
func (e *Engine) Forget(ctx context.Context, target tracker.Target, o OperatorOptions) (n int, err error) {
	err = errors.Join(
		validateText("Target.Service", target.Service, 1, 50), validateText("Target.Type", target.Type, 1, 50),
		validateTarget(Target{Instance: target.Instance, ID: target.ID}),
	)
	if err != nil {
		return 0, fmt.Errorf("forget: %w", err)
	}
	err = e.operate(ctx, "forget", o, func(entry *tracker.AuditEntry) (err error) {
		entry.Service, entry.Type, entry.Instance = target.Service, target.Type, target.Instance
		n, err = e.store.Forget(ctx, target)
		return err
	})
	return n, err
}

// errNotPaused is the error that the audit log records for a Resume of a scope that was not paused.
var errNotPaused = errors.New("the scope was not paused")

// Pause suspends the jobs of a scope until PauseOptions.Until or until Resume. The scope is a
// service, or a part of it: an instance, or its first components, which slashes separate. A pause of "a"
// stops the jobs of "a" and "a/b", and not those of "ab"; instance "" means the whole service. Jobs that
// already run continue. Pause returns ErrInvalid for invalid names and for an Until in the past.
func (e *Engine) Pause(ctx context.Context, service, instance string, o PauseOptions) error {
	if err := validateScope(service, instance); err != nil {
		return fmt.Errorf("pause: %w", err)
	}
	until := o.Until
	switch {
	case until.IsZero():
		until = tracker.Forever
	case !until.After(e.clock.Now()):
		return fmt.Errorf("pause %s/%s: %w: PauseOptions.Until is in the past (%s)", service, instance, ErrInvalid, until)
	}
	return e.operate(ctx, "pause", OperatorOptions{o.By, o.Reason, o.Address}, func(entry *tracker.AuditEntry) error {
		entry.Service, entry.Instance = service, instance
		return e.store.Pause(ctx, tracker.Scope{Service: service, Instance: instance, Until: until, By: o.By, Reason: e.redactor.Text(o.Reason)})
	})
}

// Resume ends the pause or park of a scope, and the parks of the scopes within it, and reports whether
// there was one. What was parked can start again at once, with two exceptions. A wait which the remote has asked
// for goes on: tracker.Scope.RetryAfter. Of a scope whose remote cannot be reached, one job starts, and the others
// once it has shown that the remote works again. Resume does not end the pause of a larger or a smaller scope. It
// returns ErrInvalid for invalid names.
func (e *Engine) Resume(ctx context.Context, service, instance string, o OperatorOptions) (found bool, err error) {
	if err := validateScope(service, instance); err != nil {
		return false, fmt.Errorf("resume: %w", err)
	}
	err = e.operate(ctx, "resume", o, func(entry *tracker.AuditEntry) (err error) {
		entry.Service, entry.Instance = service, instance
		resumed, err := e.store.Resume(ctx, service, instance)
		if found = resumed.Found; err == nil && !found {
			err = errNotPaused
		}
		if resumed.Probed > 0 {
			entry.Detail = "the remote could not be reached; one job tries again"
		}
		if !resumed.LimitedUntil.IsZero() {
			entry.Detail = "the remote has asked to wait until " + resumed.LimitedUntil.UTC().Format(time.RFC3339)
		}
		if w := e.worker.Load(); w != nil {
			w.LookAtAll()
		}
		return err
	})
	if errors.Is(err, errNotPaused) {
		err = nil
	}
	return found, err
}

func validateScope(service, instance string) error {
	return errors.Join(validateText("service", service, 1, 50), validateText("instance", instance, 0, tracker.MaxInstance))
}
