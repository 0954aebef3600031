package nawasync

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/jobrow"
	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/tracker"
)

// Options are the options of one dispatch. The zero value is ready to use.
type Options struct {
	// By names the user or program that requested the job, for example "user:7". At most 255
	// bytes.
	By string
	// Source is the kind of request that led to the job. Default SourceManual.
	Source Source
	// Delay is how long from now the job becomes due. 0 means now. A job that is not due yet
	// does not block the other jobs of its lane.
	Delay time.Duration
	// At is the time at which the job becomes due, as an alternative to Delay. Set at most
	// one of the two.
	At time.Time
	// Bulk marks one of many jobs: it waits in BulkQueue, so that it delays neither jobs of users nor syncs,
	// and its calls use the share that a budget has for bulk. An engine with Config.Remotes works BulkQueue;
	// any other needs BulkQueue in Config.Queues.
	Bulk bool
	// Action is the action of the job that a repository's Update dispatches: one of
	// mirror.Actions.Update, by default the first. Other dispatches ignore Action.
	Action string
	// MarkRow makes a repository's Dispatch mark the row: it is pending_update while the job is open, and failed, with
	// the job's error, if the job does not succeed. A later success, an update or Refresh ends that. A row that shows
	// a failure or a conflict of a change keeps showing it. Other dispatches ignore MarkRow.
	MarkRow bool
}

// Source is the kind of request that led to a job.
type Source string

// The sources of a job.
const (
	SourceManual    Source = "manual"
	SourceScheduled Source = "scheduled"
	SourceEvent     Source = "event"
	SourceAPI       Source = "api"
	SourceRetry     Source = "retry"
)

// The errors of Dispatch that a caller can act on.
var (
	// ErrInvalid is returned for arguments or options that cannot be stored or run. The text
	// of the error that wraps it names the value and the reason.
	ErrInvalid = errors.New("invalid argument")
	// ErrNoSealer is returned if the arguments hold secrets and the engine has no Sealer. A
	// secret is a value of type Secret, or the value of a key that Mask hides, even if the
	// value is empty.
	ErrNoSealer = errors.New("the arguments hold secrets and Config.Sealer is nil; set Config.Sealer, for example to a secret.NewKeyring")
	// ErrBacklogFull is returned when the service has Config.MaxQueued open jobs. Dispatch
	// again later.
	ErrBacklogFull = errors.New("the service has too many open jobs")
	// ErrKeyBusy is returned when another open transaction dispatches a job with the same
	// UniqueKey and does not end within 10 seconds.
	ErrKeyBusy = jobstore.ErrKeyBusy
	// ErrDatabaseBusy is returned when another transaction holds SQLite's only write lock.
	ErrDatabaseBusy = jobstore.ErrBusy
)

// Dispatch adds a job in its own transaction and wakes a worker. It returns the new row. If
// the arguments have a UniqueKey and a job with that key is already open, Dispatch returns the
// open job's row, with Coalesced set. If that job waits for a later time than the new one would,
// it is brought forward. Dispatch returns ErrInvalid, ErrNoSealer, ErrBacklogFull, ErrKeyBusy,
// ErrDatabaseBusy, or the database's error. Dispatch is safe for concurrent use and may be
// called before Start.
func (e *Engine) Dispatch(ctx context.Context, args Args, o Options) (*tracker.Job, error) {
	jobs, err := e.DispatchMany(ctx, []Args{args}, o)
	if err != nil {
		return nil, err
	}
	return jobs[0], nil
}

// DispatchTx adds a job in the caller's transaction. If the transaction rolls back, there is
// no job. In a transaction of Engine.Transaction, the engine wakes a worker right after the
// commit. In any other transaction, a worker usually gets the job within half a second of the
// commit.
// DispatchTx returns the same errors as Dispatch.
func (e *Engine) DispatchTx(ctx context.Context, tx *gorm.DB, args Args, o Options) (*tracker.Job, error) {
	jobs, err := e.DispatchManyTx(ctx, tx, []Args{args}, o)
	if err != nil {
		return nil, err
	}
	return jobs[0], nil
}

// DispatchMany adds several jobs in one transaction: either all of them or none. Without
// arguments it returns nil and no error. See Dispatch.
func (e *Engine) DispatchMany(ctx context.Context, args []Args, o Options) ([]*tracker.Job, error) {
	ctx, span := e.telemetry.startDispatch(ctx)
	defer span.End()
	jobs, err := e.buildJobs(ctx, nil, args, o)
	if err != nil || len(jobs) == 0 {
		return nil, err
	}
	if err := e.store.InsertOwn(ctx, jobs); err != nil {
		return nil, e.lockHint(err)
	}
	e.telemetry.recordDispatched(ctx, span, jobs)
	e.wake(jobstore.WakesOf(jobs))
	return publicJobs(jobs), nil
}

// DispatchManyTx adds several jobs in the caller's transaction. See DispatchTx.
func (e *Engine) DispatchManyTx(ctx context.Context, tx *gorm.DB, args []Args, o Options) ([]*tracker.Job, error) {
	ctx, span := e.telemetry.startDispatch(ctx)
	defer span.End()
	jobs, err := e.buildJobs(ctx, tx, args, o)
	if err != nil || len(jobs) == 0 {
		return nil, err
	}
	if err := e.insertTx(ctx, tx, jobs); err != nil {
		return nil, err
	}
	e.telemetry.recordDispatched(ctx, span, jobs)
	return publicJobs(jobs), nil
}

func publicJobs(jobs []*jobstore.Job) []*tracker.Job {
	list := make([]*tracker.Job, len(jobs))
	for i, job := range jobs {
		list[i] = &job.Job
	}
	return list
}

// insertTx adds jobs in tx. If tx is a transaction of Engine.Transaction, the engine wakes
// workers for them after its commit.
func (e *Engine) insertTx(ctx context.Context, tx *gorm.DB, jobs []*jobstore.Job) error {
	if err := e.store.Insert(ctx, tx, jobs); err != nil {
		return e.lockHint(err)
	}
	if after := afterCommitOf(tx); after != nil {
		after.add(jobstore.WakesOf(jobs))
	}
	return nil
}

// buildJobs makes a row for each of the arguments and adds the jobs to their services'
// backlogs. It does not insert the rows.
func (e *Engine) buildJobs(ctx context.Context, tx *gorm.DB, args []Args, o Options) ([]*jobstore.Job, error) {
	jobs := make([]*jobstore.Job, len(args))
	services := map[string]int{}
	trace := e.telemetry.inject(ctx)
	for i, a := range args {
		job, err := e.buildJob(a, o)
		if err != nil {
			return nil, err
		}
		job.Trace = trace
		jobs[i] = job
		services[job.Service]++
	}
	for service, n := range services {
		if err := e.backlog.reserve(ctx, tx, service, n); err != nil {
			return nil, err
		}
	}
	return jobs, nil
}

// uniqueKey returns the key of a job that coalesces with others, or "".
func uniqueKey(kind Kind, target Target, options JobOptions) string {
	if options.UniqueKey == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(strings.Join([]string{kind.String(), target.Instance, options.UniqueKey}, "\x00")))
	return jobstore.UniqueKey(hex.EncodeToString(sum[:16]), options.UniqueUntilRunning)
}

// buildJob makes a row for the arguments, or returns an error if they are not valid.
func (e *Engine) buildJob(args Args, o Options) (*jobstore.Job, error) {
	if args == nil {
		return nil, fmt.Errorf("%w: the arguments are nil", ErrInvalid)
	}
	return e.buildJobOf(args, args.Target(), o)
}

// buildJobOf is buildJob with another target than that of the arguments.
func (e *Engine) buildJobOf(args Args, target Target, o Options) (*jobstore.Job, error) {
	kind := args.Kind()
	if err := errors.Join(validateKind(kind), validateTarget(target), o.validate()); err != nil {
		return nil, fmt.Errorf("dispatch %s: %w", kind, err)
	}
	options := jobOptionsOf(args)
	if err := validateQueue(options.Queue); err != nil {
		return nil, fmt.Errorf("dispatch %s: %w", kind, err)
	}
	if o.Bulk {
		options.Queue = BulkQueue
	}
	job := &jobstore.Job{Job: tracker.Job{
		Service: kind.Service, Type: kind.Type, Action: kind.Action, Instance: target.Instance, TargetID: target.ID,
		Queue: options.Queue, MaxAttempts: options.MaxAttempts, TriggeredBy: o.By, TriggerSource: string(o.Source),
	}}
	job.CreatedAt = e.store.Now() // the arguments are bound to it
	job.TargetKey = jobrow.TargetKey(kind.Service, kind.Type, target.Instance, target.ID)
	if job.TriggerSource == "" {
		job.TriggerSource = string(SourceManual)
	}
	job.Lane = job.TargetKey
	if options.Lane != "" {
		job.Lane = jobrow.NamedLane(kind.Service, options.Lane)
	}
	job.UniqueKey = uniqueKey(kind, target, options)
	switch {
	case !o.At.IsZero():
		job.NotBefore = o.At
	case o.Delay > 0:
		job.NotBefore = e.store.Now().Add(o.Delay)
	}
	if err := e.packArguments(job, args, options.MaskKeys); err != nil {
		return nil, fmt.Errorf("dispatch %s: %w", kind, err)
	}
	return job, nil
}
