package nawasync

import (
	"context"
	"fmt"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/internal/remotecall"
	"github.com/nawasara/nawasync/tracker"
)

// Retry dispatches an ended job again. It adds a new row with the same sealed arguments at the end
// of the job's lane and returns it. If an earlier retry of the job is still open, or another job with
// its UniqueKey, Retry adds no row and returns that job, with Coalesced set. The ended job names its
// retry in RetriedAs until the retry is cancelled. Of a job that was retried, only the last retry can be
// retried again. Retry returns ErrNotFound, ErrNotEnded, ErrNoArguments, ErrSuperseded, ErrRowGone or
// ErrDeleting, or an error that wraps errors.ErrUnsupported for the job of a repository whose remote cannot do that
// any more. A job that succeeded keeps no arguments; other jobs keep theirs for Config.KeepArguments.
func (e *Engine) Retry(ctx context.Context, id int64, o RetryOptions) (*tracker.Job, error) {
	return e.retryFor(ctx, 0, id, o)
}

// retryFor is Retry on behalf of a bulk run; 0 is none.
func (e *Engine) retryFor(ctx context.Context, run, id int64, o RetryOptions) (*tracker.Job, error) {
	var job *tracker.Job
	err := e.operateOn(ctx, "retry", id, OperatorOptions{o.By, o.Reason, o.Address}, func(old *jobstore.Job, entry *tracker.AuditEntry) (err error) {
		if job, err = e.retry(ctx, old, o, run); err == nil {
			entry.Detail = fmt.Sprintf("job %d", job.ID)
		}
		return err
	})
	return job, err
}

func (e *Engine) retry(ctx context.Context, old *jobstore.Job, o RetryOptions, run int64) (*tracker.Job, error) {
	if !old.Status.Terminal() {
		return nil, fmt.Errorf("retry job %d: %w: it is %s", old.ID, ErrNotEnded, old.Status)
	}
	if old.ArgumentsDropped() || len(old.Payload) == 0 {
		return nil, e.argumentsGone(old)
	}
	if err := e.supports(Kind{old.Service, old.Type, old.Action}); err != nil {
		return nil, fmt.Errorf("retry job %d: %w", old.ID, err)
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
	job, err := e.buildRetry(ctx, old, o.By)
	if err != nil {
		return nil, err
	}
	if _, ok := e.config.Queues[BulkQueue]; ok && run != 0 && e.spenderOf(job) == remotecall.People {
		job.Queue = BulkQueue
	}
	follows := jobstore.FollowUp{Of: old.ID, Force: o.Force, Run: run}
	if old.Tracked() {
		job, err = e.retryTracked(ctx, old, job, follows)
	} else if job, err = e.insertFollowUp(ctx, job, follows); err != nil {
		err = fmt.Errorf("retry job %d: %w", old.ID, err)
	}
	if err != nil {
		return nil, err
	}
	e.telemetry.recordDispatched(ctx, span, []*jobstore.Job{job})
	return &job.Job, nil
}

// buildRetry makes the row of a retry. It does not insert it.
func (e *Engine) buildRetry(ctx context.Context, old *jobstore.Job, by string) (*jobstore.Job, error) {
	job := &jobstore.Job{Job: tracker.Job{
		Service: old.Service, Type: old.Type, Action: old.Action, Instance: old.Instance, TargetID: old.TargetID,
		Queue: old.Queue, MaxAttempts: old.MaxAttempts, TriggeredBy: by, TriggerSource: string(SourceRetry), RetryOf: old.ID,
		Payload: old.Payload, Trace: e.telemetry.inject(ctx),
		SnapshotTable: old.SnapshotTable, SnapshotRow: old.SnapshotRow, SnapshotState: old.SnapshotState,
	}}
	job.Original, job.TargetKey, job.Lane, job.CreatedAt = old.OriginalID(), old.TargetKey, old.Lane, e.store.Now()
	job.Bound, job.OwnJob = old.Bound, old.OwnJob
	if err := e.sealAgain(old, job); err != nil {
		return nil, fmt.Errorf("retry job %d: %w", old.ID, err)
	}
	// A process of an earlier release does not see what follows a job. It sees the key.
	if job.UniqueKey = old.UniqueKey; job.UniqueKey == "" {
		job.UniqueKey = jobstore.UniqueKey(fmt.Sprintf("retry:%d", old.ID), false)
	}
	return job, nil
}

// insertFollowUp inserts a job that follows an ended one and marks its snapshot row as pending. It
// returns the job, or the open job that already follows the ended one or holds the same unique key.
func (e *Engine) insertFollowUp(ctx context.Context, job *jobstore.Job, follows jobstore.FollowUp) (*jobstore.Job, error) {
	var added *jobstore.Job
	err := e.transaction(ctx, e.store.RetryTx, func(tx *gorm.DB) (err error) {
		var state tracker.SyncState
		if job.SnapshotState != "" || job.OwnJob { // outcomes lock in this order too: the row, then a job
			if state, err = e.store.LockRow(ctx, tx, job.SnapshotTable, job.SnapshotRow); err != nil {
				return err
			}
		}
		if added, err = e.store.CheckFollowUp(ctx, tx, follows); err != nil || added != nil {
			return err
		}
		if err := checkRow(job, state); err != nil {
			return err
		}
		jobs := []*jobstore.Job{job}
		if err := e.insertTx(ctx, tx, jobs); err != nil {
			return err
		}
		added = jobs[0]
		if job.SnapshotState != "" && !added.Coalesced {
			if err := e.store.MarkPending(ctx, tx, job); err != nil {
				return err
			}
		}
		return e.store.LinkFollowUp(ctx, tx, follows, added)
	})
	return added, err
}

// checkRow returns an error if the snapshot row of a job does not allow it. state is that of the row, or
// "" if there is none.
func checkRow(job *jobstore.Job, state tracker.SyncState) error {
	if (state == "" || state == tracker.StateDeleted) && (job.SnapshotState == StatePendingCreate || job.OwnJob) {
		return fmt.Errorf("row %d of %s: %w", job.SnapshotRow, job.SnapshotTable, ErrRowGone)
	}
	if state == StatePendingDelete {
		return fmt.Errorf("row %d of %s: %w", job.SnapshotRow, job.SnapshotTable, ErrDeleting)
	}
	return nil
}
