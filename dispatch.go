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

// Options of one dispatch. The zero value is ready to use.
type Options struct {
	// By is who asked for it, for instance "user:7"; up to 255 bytes.
	By string
	// Source is what asked for it. Default SourceManual.
	Source Source
	// Delay is after what time the job is due; 0 is now. It blocks nobody's lane
	// until then. At is the same as a time; give one of them.
	Delay time.Duration
	At    time.Time
	// Action names what a repository's Update does, one of Actions.Update. Default
	// the first of them; other dispatches do not use it.
	Action string
}

// Source is what asked for a job.
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
	// ErrInvalid says that arguments or options cannot be stored or run; its text says which
	// and why.
	ErrInvalid = errors.New("not a valid job")
	// ErrNoSealer says that arguments hold secrets, a Secret or a key that Mask knows, even
	// an empty one, and the engine has no Sealer.
	ErrNoSealer = errors.New("the arguments hold secrets and Config.Sealer is nil; set one, for instance secret.NewKeyring")
	// ErrBacklogFull says that the service has Config.MaxQueued open jobs: try again later.
	ErrBacklogFull = errors.New("the service has too many open jobs")
	// ErrDatabaseBusy says that SQLite's one writer is taken.
	ErrDatabaseBusy = jobstore.ErrBusy
)

// Dispatch adds a job in a transaction of its own and rings for it. It returns the
// row, or, for arguments that are unique, the open row that was there already
// (Coalesced). It returns ErrInvalid, ErrNoSealer, ErrBacklogFull, ErrDatabaseBusy, or the
// database's error. It is safe for concurrent use, and before Start.
func (e *Engine) Dispatch(ctx context.Context, args Args, o Options) (*tracker.Job, error) {
	jobs, err := e.DispatchMany(ctx, []Args{args}, o)
	if err != nil {
		return nil, err
	}
	return jobs[0], nil
}

// DispatchTx adds a job in the caller's transaction: if that rolls back, the job
// never was. In a transaction of Engine.Transaction it is rung right after the
// commit, in any other the relay finds it, as a rule within 100 ms. It returns errors as
// Dispatch.
func (e *Engine) DispatchTx(ctx context.Context, tx *gorm.DB, args Args, o Options) (*tracker.Job, error) {
	jobs, err := e.DispatchManyTx(ctx, tx, []Args{args}, o)
	if err != nil {
		return nil, err
	}
	return jobs[0], nil
}

// DispatchMany is Dispatch of many jobs in one transaction: all are added or none. None are
// nil, and no error.
func (e *Engine) DispatchMany(ctx context.Context, args []Args, o Options) ([]*tracker.Job, error) {
	ctx, span := e.telemetry.startDispatch(ctx)
	defer span.End()
	jobs, err := e.buildJobs(ctx, nil, args, o)
	if err != nil || len(jobs) == 0 {
		return nil, err
	}
	if err := e.store.InsertOwn(ctx, jobs, e.enqueueBudget()); err != nil {
		return nil, e.lockHint(err)
	}
	e.telemetry.recordDispatched(ctx, span, jobs)
	e.enqueueAsync(ctx, jobstore.Bells(jobs))
	return publicJobs(jobs), nil
}

// DispatchManyTx is DispatchTx of many jobs.
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

// insertTx adds jobs in tx, and has them rung after the commit of a transaction of
// ours.
func (e *Engine) insertTx(ctx context.Context, tx *gorm.DB, jobs []*jobstore.Job) error {
	after := afterCommitOf(tx)
	rings := 0
	if after != nil {
		rings = e.enqueueBudget()
	}
	if err := e.store.Insert(ctx, tx, jobs, rings); err != nil {
		return e.lockHint(err)
	}
	if after != nil {
		after.add(jobstore.Bells(jobs))
	}
	return nil
}

func (e *Engine) buildJobs(ctx context.Context, tx *gorm.DB, args []Args, o Options) ([]*jobstore.Job, error) {
	jobs := make([]*jobstore.Job, len(args))
	services := map[string]int{}
	trace := traceparent(ctx)
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

// buildJob makes a row of arguments, or says what is wrong with them.
func (e *Engine) buildJob(args Args, o Options) (*jobstore.Job, error) {
	if args == nil {
		return nil, fmt.Errorf("%w: no arguments", ErrInvalid)
	}
	kind, target := args.Kind(), args.Target()
	if err := errors.Join(validateKind(kind), validateTarget(target), o.validate()); err != nil {
		return nil, err
	}
	p := jobOptionsOf(args)
	if err := validateText("queue", p.Queue, 1, 50); err != nil {
		return nil, err
	}
	if strings.ContainsAny(p.Queue, "{}") {
		return nil, fmt.Errorf("%w: a queue's name may not contain braces: %q", ErrInvalid, p.Queue)
	}
	job := &jobstore.Job{Job: tracker.Job{
		Service: kind.Service, Type: kind.Type, Action: kind.Action, Instance: target.Instance, TargetID: target.ID,
		Queue: p.Queue, MaxAttempts: p.MaxAttempts, TriggeredBy: o.By, TriggerSource: string(o.Source),
	}}
	job.TargetKey = jobrow.TargetKey(kind.Service, kind.Type, target.Instance, target.ID)
	if job.TriggerSource == "" {
		job.TriggerSource = string(SourceManual)
	}
	job.Lane = job.TargetKey
	if p.Lane != "" {
		job.Lane = jobrow.NamedLane(kind.Service, p.Lane)
	}
	if p.UniqueKey != "" {
		sum := sha256.Sum256([]byte(strings.Join([]string{kind.String(), target.Instance, p.UniqueKey}, "\x00")))
		job.ActiveKey = jobstore.UniqueKey(hex.EncodeToString(sum[:16]), p.UniqueUntilRunning)
	}
	switch {
	case !o.At.IsZero():
		job.NotBefore = o.At
	case o.Delay > 0:
		job.NotBefore = e.store.Now().Add(o.Delay)
	}
	return job, e.packArguments(job, args, p.MaskKeys)
}
