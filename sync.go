package nawasync

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/nawasara/nawasync/internal/bell"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/internal/lease"
	"github.com/nawasara/nawasync/internal/loop"
	"github.com/nawasara/nawasync/internal/pruner"
	"github.com/nawasara/nawasync/internal/reaper"
	"github.com/nawasara/nawasync/internal/relay"
	"github.com/nawasara/nawasync/internal/rollup"
	"github.com/nawasara/nawasync/internal/scheduler"
	"github.com/nawasara/nawasync/internal/worker"
	"github.com/nawasara/nawasync/secret"
	"github.com/nawasara/nawasync/tracker"
)

// Engine dispatches jobs and, once started, works them. Create one per process
// with New. Its methods are safe for concurrent use.
type Engine struct {
	config    Config
	tuning    host.Tuning
	store     *jobstore.Store
	clock     *clock
	logger    *slog.Logger
	secrets   secret.Revealer
	backlog   backlog
	telemetry *telemetry
	bells     *bell.Bells // nil without Redis
	enqueuing chan struct{}

	handlers     map[Kind]*registration
	repositories []AttachedRepository
	schedules    []scheduler.Entry

	mu        sync.Mutex
	started   bool
	stopped   bool
	worker    *worker.Worker
	lease     *lease.Lease
	heartbeat *loop.Loop   // the lease's, which outlives the others
	loops     []*loop.Loop // of the other actors
	stopCh    chan struct{}
	stopErr   error
}

// New checks the configuration and the database, and returns an engine that can
// dispatch. It returns migrations.ErrOldSchema when the schema is missing or old.
func New(config Config) (*Engine, error) {
	t := config.tuning.Or(defaultTuning)
	if err := config.defaults(); err != nil {
		return nil, err
	}
	e := &Engine{
		config: config, tuning: t, logger: config.Logger, handlers: map[Kind]*registration{}, stopCh: make(chan struct{}),
		enqueuing: make(chan struct{}, maxEnqueuing),
	}
	e.clock = &clock{base: config.Now}
	store, err := jobstore.New(config.DB, jobstore.Options{Now: e.clock.Now, Recheck: t.Recheck, At: t.At})
	if err != nil {
		return nil, err
	}
	e.store = store
	e.backlog = backlog{store: store, limit: config.MaxQueued, counts: map[string]*openCount{}}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := checkDatabase(ctx, config.DB, config.Logger); err != nil {
		return nil, err
	}
	if e.telemetry, err = newTelemetry(config.TracerProvider, config.MeterProvider); err != nil {
		return nil, err
	}
	if config.Redis != nil {
		install, err := store.Setting(ctx, "installation", newInstallation())
		if err != nil {
			return nil, err
		}
		e.bells = bell.New(config.Redis, install)
		e.adoptRedis(ctx)
	}
	if err := e.measureClock(ctx); err != nil {
		return nil, err
	}
	return e, nil
}

// adoptRedis notes the marker that the rings of this process's dispatches belong
// to. When Redis is away, the relay does it later and rings again.
func (e *Engine) adoptRedis(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	marker, err := e.bells.Marker(ctx, rand.Text())
	if err == nil {
		err = e.store.AdoptMarker(ctx, marker)
	}
	if err != nil {
		e.logger.Warn("nawasync: Redis does not answer; jobs wait in the database until it does", "error", err)
	}
}

// Reader reads jobs: lists, attempts, statistics. Pages use it.
func (e *Engine) Reader() *tracker.Reader { return e.store.Reader }

// Start begins to work: it takes jobs of the registered kinds, and does its share of the
// upkeep beside the other processes. ctx bounds only the start. Redis need not be there
// yet. It returns an error for an engine without Redis, one that was started or stopped
// before, and where the database does not answer.
func (e *Engine) Start(ctx context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.bells == nil:
		return errors.New("an engine without Config.Redis dispatches only; there is nothing to start")
	case e.started || e.stopped:
		return errors.New("an engine is started once")
	}
	if policy := e.bells.EvictionPolicy(ctx); policy != "" && policy != "noeviction" {
		e.logger.Warn("nawasync: Redis may evict tasks: its maxmemory-policy should be noeviction; jobs are rung again, but late", "maxmemory-policy", policy)
	}
	e.buildRuntime()
	if err := e.lease.Join(ctx); err != nil {
		return err
	}
	e.started = true
	e.heartbeat.Start()
	for _, l := range e.loops {
		l.Start()
	}
	if len(e.handlers) == 0 {
		return nil
	}
	return e.worker.Start()
}

// buildRuntime makes the actors, each with the little it needs of the engine.
func (e *Engine) buildRuntime() {
	queues := map[string]worker.Queue{}
	for name, q := range e.config.Queues {
		queues[name] = worker.Queue(q)
	}
	served := slices.Sorted(maps.Keys(queues))
	if len(e.handlers) == 0 {
		served = nil
	}
	e.lease = &lease.Lease{
		Store: e.store, Logger: e.logger, TTL: e.tuning.LeaseTTL, Kinds: e.registeredKinds(), Queues: served,
		OnLost: func(string) { e.worker.Interrupt(ErrLeaseLost) },
		ReportRunning: func(running, cancelled []jobstore.Claim) {
			e.worker.Cancel(cancelled, ErrCancelled)
			e.worker.CheckOrphans(running)
		},
	}
	e.worker = &worker.Worker{
		Store: e.store, Bells: e.bells, Redis: e.config.Redis, Logger: e.logger, Queues: queues,
		Worker: e.lease.Worker, HoldsLease: e.lease.Valid, Serves: e.serves, Run: e.runJob, OrphanOutcome: e.orphanOutcome, OnSuccessFailed: e.onSuccessFailedOutcome,
		Settled: e.publishOutcome,
	}
	settle := func(ctx context.Context, outcomes []*jobstore.Outcome) error {
		_, err := e.settle(ctx, outcomes)
		return err
	}
	r := &relay.Relay{Store: e.store, Bells: e.bells, Logger: e.logger, Cap: e.tuning.RungCap, Sweep: e.tuning.Sweep}
	dead := &reaper.Reaper{
		Store: e.store, Logger: e.logger, Interval: e.tuning.Beat, DeadAfter: e.tuning.DeadAfter, Self: e.lease.Worker, OutcomeOf: e.workerDiedOutcome,
		Settle: settle,
	}
	ticks := &scheduler.Scheduler{Store: e.store, Entries: e.schedules, Transaction: e.Transaction}
	sums := &rollup.Rollup{Store: e.store, Interval: e.tuning.Rollup, Holder: e.lease.Worker}
	old := &pruner.Pruner{
		Store: e.store, Interval: e.tuning.Prune, Holder: e.lease.Worker,
		Success: e.config.KeepSuccess, Other: e.config.KeepOther, Arguments: e.config.KeepArguments, Expiry: e.config.Expiry,
		ExpiredOutcome: e.expiredOutcome, Settle: settle, PurgeArchived: func() error { return e.bells.Tidy(served) },
	}
	measure := func(ctx context.Context) (bool, error) { return false, e.measureClock(ctx) }
	e.heartbeat = e.loop("lease", e.tuning.Beat, e.lease.Tick)
	e.loops = []*loop.Loop{
		e.loop("relay", e.tuning.Relay, r.Tick),
		e.loop("reaper", e.tuning.Beat, dead.Tick),
		e.loop("scheduler", e.tuning.Schedule, ticks.Tick),
		e.loop("rollup", e.tuning.Rollup, sums.Tick),
		e.loop("pruner", e.tuning.Prune, old.Tick),
		e.loop("clock", 10*e.tuning.Beat, measure),
	}
}

func (e *Engine) loop(name string, interval time.Duration, tick func(context.Context) (bool, error)) *loop.Loop {
	return &loop.Loop{Name: name, Interval: interval, Tick: tick, Logger: e.logger}
}

// Stop ends the work. It takes no more jobs, lets running ones go on for
// Config.StopGrace, then ends their contexts (ErrStopping), and waits until they
// have returned or ctx ends. What heeds its context goes back to the queue with
// nothing consumed. It returns an error when jobs still ran at the end of ctx: then
// the process goes on beating, so that nobody else runs them, until they have
// returned or it ends; leave the database open. A
// second Stop waits for the first; Stop before Start is fine.
func (e *Engine) Stop(ctx context.Context) error {
	e.mu.Lock()
	if e.stopped {
		e.mu.Unlock()
		select {
		case <-e.stopCh:
			return e.stopErr
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	e.stopped = true
	started := e.started
	e.mu.Unlock()
	defer close(e.stopCh)
	e.drainEnqueues(ctx)
	if started {
		e.stopErr = e.stopWorking(ctx)
	}
	return e.stopErr
}

func (e *Engine) stopWorking(ctx context.Context) error {
	working := len(e.handlers) > 0
	left := 0
	if working {
		e.worker.Drain()
		left = e.drain(ctx)
	}
	for _, l := range e.loops {
		l.Stop()
	}
	if working {
		e.worker.Stop()
	}
	if left > 0 {
		// While they run nobody else may run them: the process beats on.
		go func() {
			e.worker.Wait(context.WithoutCancel(ctx))
			e.deregister(ctx)
		}()
		return fmt.Errorf("%d jobs ignored the end of their context and still run; they are taken over when they have returned or this process has ended",
			left)
	}
	e.deregister(ctx)
	return nil
}

// deregister ends the heartbeat and says that nothing runs here any more.
func (e *Engine) deregister(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	// If the row cannot be deleted now, the others find that it no longer beats.
	e.heartbeat.Stop()
	if err := e.lease.Leave(ctx); err != nil {
		e.logger.Warn("nawasync: the heartbeat row could not be deleted", "error", err)
	}
}

func (e *Engine) drain(ctx context.Context) (left int) {
	if e.config.StopGrace > 0 {
		grace, cancel := context.WithTimeout(ctx, e.config.StopGrace)
		left = e.worker.Wait(grace)
		cancel()
		if left == 0 {
			return 0
		}
	}
	e.logger.Info("nawasync: the process stops; the contexts of running jobs end", "jobs", e.worker.Interrupt(ErrStopping))
	return e.worker.Wait(ctx)
}
