package nawasync

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/jobrow"
	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/tracker"
)

// Internals gives package mirror access to the engine's internals. Only this module can make
// a valid key. Without one, the returned value must not be used.
func (e *Engine) Internals(key host.Key) internals {
	if !key.Valid() {
		return internals{}
	}
	return internals{e}
}

// internals are the parts of the engine that repositories need.
type internals struct{ *Engine }

// DB returns the engine's database.
func (i internals) DB() *gorm.DB { return i.config.DB }

// HasOwnClock reports whether Config.Now replaces the system's clock. A timer then does not follow it.
func (i internals) HasOwnClock() bool { return i.config.Now != nil }

// Store returns the store, which reads and writes jobs.
func (i internals) Store() *jobstore.Store { return i.store }

// InTx runs fn in a transaction of the engine and, after the commit, wakes workers for the
// jobs that fn added. After a deadlock it runs fn again.
func (i internals) InTx(ctx context.Context, fn func(tx *gorm.DB) error) error {
	return i.transaction(ctx, i.store.RetryTx, fn)
}

// Arguments returns a job's arguments, unsealed.
func (i internals) Arguments(job *jobstore.Job) ([]byte, error) { return i.openArguments(job) }

// Payload returns the arguments as a job of Dispatch would show them, with secrets masked.
func (i internals) Payload(args Args) ([]byte, error) {
	job, err := i.buildJob(args, Options{})
	if err != nil {
		return nil, err
	}
	return job.Payload, nil
}

// CheckKind returns ErrInvalid if no job can have the kind.
func (i internals) CheckKind(kind Kind) error { return validateKind(kind) }

// CheckTarget returns ErrInvalid if no job can have the target.
func (i internals) CheckTarget(target Target) error { return validateTarget(target) }

// AppendAudit adds an entry to the audit log. It is for actions that do not go through the
// engine, and for actions that an operator was not permitted to take.
func (i internals) AppendAudit(ctx context.Context, entry tracker.AuditEntry) error {
	return i.writeAudit(ctx, entry)
}

// Redacting returns a logger that removes the values of Config.Secrets, and what looks like a secret by its
// form, from what it writes to l.
func (i internals) Redacting(l *slog.Logger) *slog.Logger { return i.redactingLogger(l) }

// Redact removes the values of Config.Secrets from a text.
func (i internals) Redact(text string) string { return i.redactor.Text(text) }

// Operate runs do for an operator and records the action and its outcome in the audit log. do
// sets the entry's target.
func (i internals) Operate(ctx context.Context, action string, o OperatorOptions, do func(entry *tracker.AuditEntry) error) error {
	return i.operate(ctx, action, o, do)
}

// OperateOn is Operate for an action on one job. It loads the job with all its columns, or
// returns ErrNotFound.
func (i internals) OperateOn(ctx context.Context, action string, id int64, o OperatorOptions,
	do func(job *jobstore.Job, entry *tracker.AuditEntry) error,
) error {
	return i.operateOn(ctx, action, id, o, do)
}

// Register registers all of the handlers. If it returns an error, it has registered none.
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
			kind: Kind{h.Service, h.Type, h.Action}, queue: queue, calls: h.Calls, syncs: h.Syncs, containsSecret: h.ContainsSecret, maskKeys: h.MaskKeys,
			timeout: func() time.Duration { return timeout }, backoff: safeBackoff(h.Backoff),
			decode: func(plain []byte) ([]string, func(context.Context, *attempt) error, error) {
				secrets, run, err := h.Decode(plain)
				return secrets, func(ctx context.Context, a *attempt) error { return run(ctx, hostAttempt{a, i.Engine}) }, err
			},
		}
	}
	return i.register(regs)
}

// Attach adds a repository to the engine's overviews. It returns ErrRegistered if the engine
// already has a repository with the same service and type.
func (i internals) Attach(r AttachedRepository) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	added := r.Describe()
	for _, other := range i.repositories {
		if info := other.Describe(); info.Service == added.Service && info.Type == added.Type {
			return fmt.Errorf("attach repository %s/%s: %w", added.Service, added.Type, ErrRegistered)
		}
	}
	i.repositories = append(i.repositories, r)
	return nil
}

// Attached returns the attached repository of a service and type, or ErrNoRepository.
func (i internals) Attached(service, typ string) (AttachedRepository, error) {
	return i.repository(service, typ)
}

// DispatchOnRow adds a job that changes a snapshot row, and sets the row's pending state. It
// does both in tx.
func (i internals) DispatchOnRow(ctx context.Context, tx *gorm.DB, args Args, o Options, row host.SnapshotRow) (*tracker.Job, error) {
	if row.Own != nil {
		return i.dispatchOwn(ctx, tx, args, o, row)
	}
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

// RetryFor is Engine.Retry on behalf of a bulk run. What the run has added is found by it.
func (i internals) RetryFor(ctx context.Context, run, id int64, o RetryOptions) (*tracker.Job, error) {
	return i.retryFor(ctx, run, id, o)
}

// FollowUp adds a job that answers the conflict of an ended job, on the same snapshot row. It
// sets the row's pending state; state "" leaves the row unchanged. With a state, it returns
// ErrSuperseded if a later job of the target succeeded, because the new job would undo the
// later one's change.
func (i internals) FollowUp(ctx context.Context, old *jobstore.Job, args Args, o Options, state SyncState) (*tracker.Job, error) {
	if err := i.supports(args.Kind()); err != nil {
		return nil, fmt.Errorf("answer the conflict of job %d: %w", old.ID, err)
	}
	newer, err := i.store.NewerSuccess(ctx, &old.Job)
	if err != nil {
		return nil, err
	}
	if newer != 0 && state != "" {
		return nil, fmt.Errorf("answer the conflict of job %d: %w (job %d)", old.ID, ErrSuperseded, newer)
	}
	ctx, span := i.telemetry.startDispatch(ctx)
	defer span.End()
	job, err := i.buildJob(args, o)
	if err != nil {
		return nil, err
	}
	job.Trace, job.RetryOf, job.Original, job.Lane = i.telemetry.inject(ctx), old.ID, old.OriginalID(), old.Lane
	job.SnapshotTable, job.SnapshotRow, job.SnapshotState = old.SnapshotTable, old.SnapshotRow, state
	if job, err = i.insertFollowUp(ctx, job, jobstore.FollowUp{Of: old.ID, Answer: true}); err != nil {
		return nil, fmt.Errorf("answer the conflict of job %d: %w", old.ID, err)
	}
	i.telemetry.recordDispatched(ctx, span, []*jobstore.Job{job})
	return &job.Job, nil
}

// ErrNoQueue is returned when the queue of a registered kind is not in Config.Queues.
var ErrNoQueue = errors.New("the queue is not in Config.Queues; add it, or use a queue that is in Config.Queues")
