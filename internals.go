package nawasync

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/jobrow"
	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/tracker"
)

// Internals is for package mirror. Without the key, which only this module has, it returns
// what cannot be used.
func (e *Engine) Internals(key host.Key) internals {
	if !key.Valid() {
		return internals{}
	}
	return internals{e}
}

// internals are the engine's parts that repositories work with.
type internals struct{ *Engine }

// DB is the engine's database.
func (i internals) DB() *gorm.DB { return i.config.DB }

// Store reads and writes jobs.
func (i internals) Store() *jobstore.Store { return i.store }

// InTx runs fn in a transaction of the engine's own, which may run again after a
// deadlock, and rings for the jobs that fn added after the commit.
func (i internals) InTx(ctx context.Context, fn func(tx *gorm.DB) error) error {
	return i.transaction(ctx, i.store.RetryTx, fn)
}

// Arguments are a job's arguments in the clear.
func (i internals) Arguments(job *jobstore.Job) ([]byte, error) { return i.openArguments(job) }

// CheckKind returns ErrInvalid for what cannot be a job's kind.
func (i internals) CheckKind(kind Kind) error { return validateKind(kind) }

// CheckTarget returns ErrInvalid for what cannot be a job's target.
func (i internals) CheckTarget(target Target) error { return validateTarget(target) }

// AppendAudit adds an entry to the audit log: what an operator was not permitted to do,
// or what is no call of the engine.
func (i internals) AppendAudit(ctx context.Context, entry tracker.AuditEntry) error {
	return i.store.AppendAudit(ctx, entry)
}

// Operate does something for an operator and adds it to the audit log. do fills in what
// the entry is about.
func (i internals) Operate(ctx context.Context, action string, o OperatorOptions, do func(entry *tracker.AuditEntry) error) error {
	return i.operate(ctx, action, o, do)
}

// OperateOn is Operate on one job, which it reads with all that it holds. It returns
// ErrNotFound.
func (i internals) OperateOn(ctx context.Context, action string, id int64, o OperatorOptions,
	do func(job *jobstore.Job, entry *tracker.AuditEntry) error,
) error {
	return i.operateOn(ctx, action, id, o, do)
}

// Register registers all handlers or, with an error, none.
func (i internals) Register(handlers []host.Handler) error {
	regs := make([]*registration, len(handlers))
	for n, h := range handlers {
		timeout := h.Timeout
		if timeout == 0 {
			timeout = DefaultTimeout
		}
		queue := h.Queue
		if queue == "" {
			queue = DefaultQueue
		}
		regs[n] = &registration{
			kind: Kind{h.Service, h.Type, h.Action}, queue: queue, containsSecret: h.ContainsSecret,
			timeout: func() time.Duration { return timeout }, backoff: AbstractJob[Args]{}.Backoff,
			decode: func(plain []byte) ([]string, func(context.Context, *attempt) error, error) {
				secrets, run, err := h.Decode(plain)
				return secrets, func(ctx context.Context, a *attempt) error { return run(ctx, hostAttempt{a}) }, err
			},
		}
	}
	return i.register(regs)
}

// hostAttempt is an attempt that can take BeginWrite back, which a Run cannot.
type hostAttempt struct{ *attempt }

func (a hostAttempt) RetractWrite(ctx context.Context) { a.retractWrite(ctx) }

// Attach makes a repository known to the engine's overviews. It returns ErrRegistered
// where there is one of its service and type.
func (i internals) Attach(r AttachedRepository) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	own := r.Describe()
	for _, other := range i.repositories {
		if d := other.Describe(); d.Service == own.Service && d.Type == own.Type {
			return fmt.Errorf("repository %s/%s: %w", own.Service, own.Type, ErrRegistered)
		}
	}
	i.repositories = append(i.repositories, r)
	return nil
}

// DispatchOnRow adds a job that changes a snapshot row, and puts the row into its
// pending state, in tx.
func (i internals) DispatchOnRow(ctx context.Context, tx *gorm.DB, args Args, o Options, row host.SnapshotRow) (*tracker.Job, error) {
	ctx, span := i.telemetry.startDispatch(ctx)
	defer span.End()
	jobs, err := i.buildJobs(ctx, tx, []Args{args}, o)
	if err != nil {
		return nil, err
	}
	job := jobs[0]
	job.Lane, job.SnapshotTable, job.SnapshotRow, job.SnapshotState = jobrow.RowLane(row.Table, row.ID), row.Table, row.ID, row.State
	if err := i.insertTx(ctx, tx, jobs); err != nil {
		return nil, err
	}
	if err := i.store.MarkPending(ctx, tx, job); err != nil {
		return nil, fmt.Errorf("mark row %d of %s: %w", row.ID, row.Table, err)
	}
	i.telemetry.recordDispatched(ctx, span, jobs)
	return &job.Job, nil
}

// FollowUp adds a job that answers an ended one, on the same snapshot row, which it puts
// into the given pending state; "" leaves the row. It returns ErrSuperseded where a
// later job of the target has succeeded and the answer would write.
func (i internals) FollowUp(ctx context.Context, old *jobstore.Job, args Args, o Options, state SyncState) (*tracker.Job, error) {
	newer, err := i.store.NewerSuccess(ctx, &old.Job)
	if err != nil {
		return nil, err
	}
	if newer != 0 && state != "" {
		return nil, fmt.Errorf("answer job %d: %w (job %d)", old.ID, ErrSuperseded, newer)
	}
	ctx, span := i.telemetry.startDispatch(ctx)
	defer span.End()
	job, err := i.buildJob(args, o)
	if err != nil {
		return nil, err
	}
	job.Trace, job.RetryOf, job.Lane = traceparent(ctx), old.ID, old.Lane
	job.SnapshotTable, job.SnapshotRow, job.SnapshotState = old.SnapshotTable, old.SnapshotRow, state
	if err := i.insertFollowUp(ctx, job); err != nil {
		return nil, err
	}
	i.telemetry.recordDispatched(ctx, span, []*jobstore.Job{job})
	return &job.Job, nil
}

// ErrNoQueue says that a kind's queue is not in Config.Queues of this process.
var ErrNoQueue = errors.New("the queue is not in Config.Queues; add it, or choose one of those")
