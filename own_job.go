package nawasync

import (
	"context"
	"encoding/json"
	"fmt"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/jobrow"
	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/tracker"
)

// A host's own job on a row of a repository is a job of Register that RepositoryWriter.Dispatch has added. It waits in
// the lane of the row, and its row of nawasync_jobs says for which object the snapshot row stood.

// rowBinding is that column as JSON.
type rowBinding struct {
	Service string          `json:"service"` // of the repository
	Type    string          `json:"type"`
	Object  json.RawMessage `json:"object"`
}

// dispatchOwn adds a host's own job on a snapshot row, whose lock tx must hold.
func (i internals) dispatchOwn(ctx context.Context, tx *gorm.DB, args Args, o Options, row host.SnapshotRow) (*tracker.Job, error) {
	ctx, span := i.telemetry.startDispatch(ctx)
	defer span.End()
	job, err := i.buildOwn(args, o, row)
	if err != nil {
		return nil, err
	}
	job.Trace = i.telemetry.inject(ctx)
	if err := i.backlog.reserve(ctx, tx, job.Service, 1); err != nil {
		return nil, err
	}
	jobs := []*jobstore.Job{job}
	if err := i.insertTx(ctx, tx, jobs); err != nil {
		return nil, err
	}
	if job = jobs[0]; !job.Coalesced {
		if err := i.store.MarkPending(ctx, tx, job); err != nil {
			return nil, fmt.Errorf("mark row %d of %s: %w", row.ID, row.Table, err)
		}
	}
	i.telemetry.recordDispatched(ctx, span, jobs)
	return &job.Job, nil
}

// buildOwn makes the row of an own job. A job of the repository's service and type has the target of the row's jobs,
// so that it is one of the object's jobs; any other keeps that of its arguments.
func (i internals) buildOwn(args Args, o Options, row host.SnapshotRow) (*jobstore.Job, error) {
	if args == nil {
		return nil, fmt.Errorf("%w: the arguments are nil", ErrInvalid)
	}
	kind, target := args.Kind(), Target{Instance: row.Own.Instance, ID: row.Own.TargetID}
	if kind.Service != row.Own.Service || kind.Type != row.Own.Type {
		target = args.Target()
	}
	job, err := i.buildJobOf(args, target, o)
	if err != nil {
		return nil, err
	}
	bound, err := json.Marshal(rowBinding{row.Own.Service, row.Own.Type, row.Own.Object})
	if err != nil {
		return nil, fmt.Errorf("dispatch %s on row %d of %s: %w", kind, row.ID, row.Table, err)
	}
	job.Lane, job.SnapshotTable, job.SnapshotRow, job.SnapshotState = jobrow.RowLane(row.Table, row.ID), row.Table, row.ID, row.State
	job.Bound, job.OwnJob = string(bound), true
	job.UniqueKey = ownUniqueKey(job, jobOptionsOf(args))
	return job, nil
}

// ownUniqueKey returns the unique key of an own job, or "". It is unique among the jobs on the job's row.
func ownUniqueKey(job *jobstore.Job, options JobOptions) string {
	if options.UniqueKey != "" {
		options.UniqueKey = fmt.Sprintf("%s\x00%s\x00%d", options.UniqueKey, job.SnapshotTable, job.SnapshotRow)
	}
	return uniqueKey(Kind{job.Service, job.Type, job.Action}, Target{Instance: job.Instance, ID: job.TargetID}, options)
}

// onItsRow makes execute run only if the snapshot row of an own job still stands for the object on which the job was
// dispatched.
func (e *Engine) onItsRow(execute func(context.Context, *attempt) error) func(context.Context, *attempt) error {
	return func(ctx context.Context, a *attempt) error {
		ctx, err := e.bindRow(ctx, a.job)
		if err != nil {
			return err
		}
		return execute(ctx, a)
	}
}

func (e *Engine) bindRow(ctx context.Context, job *jobstore.Job) (context.Context, error) {
	var b rowBinding
	if err := json.Unmarshal([]byte(job.Bound), &b); err != nil {
		return ctx, Permanent(fmt.Errorf("decode for which object row %d of %s stood: %w", job.SnapshotRow, job.SnapshotTable, err))
	}
	repository, err := e.repository(b.Service, b.Type)
	if err != nil {
		return ctx, fault.WithClass(fault.ClassConfig, fmt.Errorf("run the job on row %d of %s: %w", job.SnapshotRow, job.SnapshotTable, err))
	}
	binder, ok := repository.(host.RowBinder)
	if !ok {
		return ctx, fault.WithClass(fault.ClassConfig, fmt.Errorf("run the job on row %d of %s: %w", job.SnapshotRow, job.SnapshotTable, ErrNoRepository))
	}
	return binder.BindRow(ctx, job.SnapshotRow, b.Object)
}
