package mirror

import (
	"context"
	"errors"
	"reflect"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

// Done is what Config.OnSuccess gets to know of a job.
type Done[T any] struct {
	// Tx is the transaction that ends the job, for Engine.DispatchTx and SyncedRepository.WithTx.
	Tx *gorm.DB
	// Job is the job as it was claimed. Job.Action is one of Config.Actions.
	Job tracker.Job
	// Row is the row as the job leaves it. After a deletion it is the deleted row, and after a sync it has the scope's
	// fields only.
	Row T
	// Sync is the result of a sync, and nil for a change.
	Sync *nawasync.SyncResult
}

// attempts says how often the jobs of a sort are tried, and with which waits.
type attempts struct {
	max     int // 0 is the default
	backoff func(attempt int) time.Duration
}

// endedJob is a Done without its type parameter.
type endedJob struct {
	tx   *gorm.DB
	job  tracker.Job
	row  reflect.Value
	sync *nawasync.SyncResult
}

// eraseDone returns Config.OnSuccess without its type parameter, or nil.
func eraseDone[T any](fn func(context.Context, Done[T]) error) func(context.Context, endedJob) error {
	if fn == nil {
		return nil
	}
	return func(ctx context.Context, e endedJob) error {
		return fn(ctx, Done[T]{Tx: e.tx, Job: e.job, Row: asType[T](e.row), Sync: e.sync})
	}
}

// withOnSuccess makes the jobs that run runs call Config.OnSuccess last of what their success does.
func withOnSuccess[A any](r *repo, run func(context.Context, host.Attempt, *A) error) func(context.Context, host.Attempt, *A) error {
	if r.onSuccess == nil {
		return run
	}
	return func(ctx context.Context, a host.Attempt, args *A) error {
		if err := run(ctx, a, args); err != nil {
			return err
		}
		a.OnSuccess(func(tx *gorm.DB) error {
			ctx := tx.Statement.Context
			e := endedJob{tx: tx, job: a.Job()}
			var err error
			switch args := any(args).(type) {
			case *mutation:
				e.row, err = r.changedRow(ctx, tx, e.job, args)
			case *syncArgs:
				e.sync, e.row = args.result, r.model.newRow()
				err = r.model.decode(e.row, args.Scope)
				r.model.respell(e.row)
			}
			if err != nil {
				return err
			}
			return r.onSuccess(ctx, e)
		})
		return nil
	}
}

// changedRow returns the row of a change that has succeeded, as the outcome of the job leaves it.
func (r *repo) changedRow(ctx context.Context, tx *gorm.DB, job tracker.Job, m *mutation) (reflect.Value, error) {
	row := r.model.newRow()
	err := r.findIn(sqlkit.Session(ctx, tx).Unscoped(), row.Addr(), "id = ?", job.SnapshotRow)
	if errors.Is(err, nawasync.ErrNotFound) { // the row of an object that was never created
		return r.keyOf(m)
	}
	if status := r.status(row); err == nil && status.State.Pending() && status.SyncJobID != nil && *status.SyncJobID == job.ID {
		status.State, status.SyncError = nawasync.StateSynced, ""
	}
	return row, err
}
