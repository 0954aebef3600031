package nawasync

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nawasara/nawasync/internal/cached"
	"github.com/nawasara/nawasync/internal/doorbell"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/internal/lease"
	"github.com/nawasara/nawasync/internal/loop"
	"github.com/nawasara/nawasync/internal/pruner"
	"github.com/nawasara/nawasync/internal/reaper"
	"github.com/nawasara/nawasync/internal/remotecall"
	"github.com/nawasara/nawasync/internal/rollup"
	"github.com/nawasara/nawasync/internal/scheduler"
	"github.com/nawasara/nawasync/internal/sweeper"
	"github.com/nawasara/nawasync/internal/worker"
	"github.com/nawasara/nawasync/secret"
	"github.com/nawasara/nawasync/tracker"
)

// Engine dispatches jobs and, after Start, runs them. Create one per process with New. Its
// methods are safe for concurrent use.
type Engine struct {
	config       Config
	tuning       host.Tuning
	store        *jobstore.Store
	reader       *tracker.Reader // for pages, with limits that the reader of the store lacks
	clock        *clock
	logger       *slog.Logger
	secrets      secret.Revealer
	ownSecrets   []string         // the values of Config.Secrets
	redactor     *secret.Redactor // for texts that belong to no job
	backlog      backlog
	telemetry    *telemetry
	trackers     trackers
	doorbell     *doorbell.Doorbell // nil without Redis
	redisCheck   redisCheck
	poolWatch    poolWatch
	idleLimit    *cached.Value[time.Duration]  // see internals.IdleLimit
	installation string                        // names this database in Redis and in idempotency keys
	worker       atomic.Pointer[worker.Worker] // nil before Start

	remotes map[string]remotecall.Link // by service

	handlers     map[Kind]*registration
	repositories []AttachedRepository
	schedules    []scheduler.Entry

	digestMu  sync.Mutex
	digestKey []byte // nil until it is needed

	mu        sync.Mutex
	started   bool
	stopped   bool
	lease     *lease.Lease
	reaper    *reaper.Reaper // set before the heartbeat starts
	heartbeat *loop.Loop     // the loop of the lease; it stops after all other loops
	loops     []*loop.Loop   // the other background loops
	load      *loadGauges
	stopCh    chan struct{}
	stopErr   error
}

// New checks the configuration and the database and returns an engine that can dispatch. It
// returns migrations.ErrOldSchema if the schema is missing or too old.
func New(config Config) (*Engine, error) {
	t := config.tuning.Or(defaultTuning)
	if err := config.defaults(); err != nil {
		return nil, err
	}
	own, err := ownSecretsOf(config.Secrets)
	if err != nil {
		return nil, err
	}
	e := &Engine{
		remotes: linksOf(config.Remotes), ownSecrets: own, redactor: secret.NewRedactor(nil, nil, own, nil),
		config: config, tuning: t, handlers: map[Kind]*registration{}, stopCh: make(chan struct{}),
	}
	e.logger = e.redactingLogger(config.Logger)
	e.clock = &clock{base: config.Now}
	store, err := jobstore.New(config.DB, jobstore.Options{Now: e.clock.Now, At: t.At})
	if err != nil {
		return nil, err
	}
	e.store, e.reader = store, store.WithOptions(tracker.Options{})
	e.idleLimit = &cached.Value[time.Duration]{Read: store.IdleLimit, MaxAge: time.Minute, Timeout: idleLimitTimeout}
	e.backlog = backlog{store: store, limit: config.MaxQueued, counts: map[string]*openCount{}}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := checkDatabase(ctx, config.DB, e.logger); err != nil {
		return nil, err
	}
	if e.telemetry, err = newTelemetry(config.TracerProvider, config.MeterProvider, config.Propagator); err != nil {
		return nil, err
	}
	for _, r := range config.Remotes {
		ledgerOf(r).Observe(e.telemetry.recordCall)
		r.Trace(remotecall.NewKey(), config.TracerProvider, e.telemetry.propagator)
	}
	if err := store.Inspect(ctx); err != nil {
		return nil, err
	}
	if e.installation, err = store.Setting(ctx, "installation", newInstallation()); err != nil {
		return nil, err
	}
	if config.Redis != nil {
		e.doorbell = doorbell.New(config.Redis, e.installation, e.logger)
	}
	if err := e.measureClock(ctx); err != nil {
		return nil, err
	}
	return e, nil
}

// Reader returns a reader of jobs, attempts and statistics, for pages. The database stops its queries
// after 10 s; Reader.WithOptions returns one with other limits.
func (e *Engine) Reader() *tracker.Reader { return e.reader }

// Start starts the engine. The engine then claims jobs of the registered kinds and takes part in
// the maintenance work that all processes share. ctx bounds Start itself and not the engine's work.
// Redis need not be reachable yet. Start returns an error if the engine was started or stopped
// before, or cannot write to the database.
func (e *Engine) Start(ctx context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.started || e.stopped {
		return errors.New("start the engine: it was started or stopped before; create another with New")
	}
	e.checkEviction(ctx)
	if err := e.checkPool(); err != nil {
		return err
	}
	e.warnOfIdleLimit(ctx)
	w, err := e.buildRuntime()
	if err != nil {
		return err
	}
	if err := e.lease.Join(ctx); err != nil {
		return err
	}
	e.load = e.registerLoad()
	e.started = true
	e.heartbeat.Start()
	for _, l := range e.loops {
		l.Start()
	}
	if len(e.handlers) == 0 {
		return nil
	}
	e.worker.Store(w)
	return w.Start()
}

// evictionTimeout is how long Start waits for Redis to tell its eviction policy.
const evictionTimeout = 500 * time.Millisecond

// checkEviction logs a warning if Redis may evict wake-ups. It does not wait for a Redis that does
// not respond.
func (e *Engine) checkEviction(ctx context.Context) {
	if e.doorbell == nil {
		return
	}
	policy := make(chan string, 1)
	go func() { policy <- e.doorbell.EvictionPolicy(ctx) }() // the client may ignore the end of ctx
	timer := time.NewTimer(evictionTimeout)
	defer timer.Stop()
	select {
	case p := <-policy:
		if p != "" && p != "noeviction" {
			e.logger.Warn("Redis may evict wake-ups, which delays jobs; set its maxmemory-policy to noeviction", "max_memory_policy", p)
		}
	case <-timer.C:
	}
}

// buildRuntime creates the lease, the worker and the background loops. It returns the worker.
func (e *Engine) buildRuntime() (*worker.Worker, error) {
	slots := map[string]int{}
	for name, q := range e.config.Queues {
		slots[name] = q.Slots
	}
	served, servedSlots := slices.Sorted(maps.Keys(slots)), slots
	if len(e.handlers) == 0 {
		served, servedSlots = nil, nil
	}
	w := &worker.Worker{
		Store: e.store, Doorbell: e.doorbell, Logger: e.logger, Slots: slots, Poll: e.tuning.Poll, Listen: e.tuning.Listen, Dequeue: e.tuning.Dequeue,
		Serves: e.servedKinds, Run: e.runJob, OrphanOutcome: e.orphanOutcome, OnSuccessFailed: e.onSuccessFailedOutcome, Settled: e.publishOutcome,
	}
	if len(e.remotes) > 0 {
		w.Reserve = e.reserveCalls
	}
	if e.config.HostAsynqServer {
		w.Dequeue = 0
	}
	heart, err := e.store.NewHeart(e.config.Heartbeat)
	if err != nil {
		return nil, fmt.Errorf("start the engine: %w", err)
	}
	e.lease = &lease.Lease{
		Store: e.store, Heart: heart, Logger: e.logger, TTL: e.tuning.LeaseTTL, Kinds: e.registeredKinds(), Queues: served, Slots: servedSlots,
		Blocked: func() time.Duration {
			if e.store.PoolUsedUp() {
				return 0 // the host's handlers hold the connections; the database is not the reason
			}
			return w.BlockedFor()
		},
		OnLost:          func(string) { w.Interrupt(ErrLeaseLost) },
		Troubles:        func() []tracker.Trouble { return e.troubles(w) },
		Running:         w.Running,
		ReportCancelled: func(cancelled []jobstore.Claim) { w.Cancel(cancelled, ErrCancelled) },
		ReportRunning:   w.CheckOrphans,
	}
	w.Worker, w.HoldsLease = e.lease.Worker, e.lease.Valid
	w.Prepare()
	e.heartbeat = e.loop("lease", e.tuning.Beat, e.lease.Tick)
	e.loops = e.maintenanceLoops()
	return w, nil
}

// maintenanceLoops creates the background loops except that of the lease.
func (e *Engine) maintenanceLoops() []*loop.Loop {
	settle := func(ctx context.Context, outcomes []*jobstore.Outcome) error {
		_, err := e.settle(ctx, outcomes)
		return err
	}
	laneSweeper := &sweeper.Sweeper{Store: e.store, Interval: e.tuning.Sweep, Holder: e.lease.Worker}
	jobReaper := &reaper.Reaper{
		Store: e.store, Logger: e.logger, Interval: e.tuning.Beat, DeadAfter: e.tuning.DeadAfter, Self: e.lease.Worker,
		OutcomeOf: e.workerDiedOutcome, Settle: func(ctx context.Context, outcomes []*jobstore.Outcome) []error {
			_, errs := e.settleEach(ctx, outcomes)
			return errs
		},
	}
	e.reaper = jobReaper
	jobScheduler := &scheduler.Scheduler{Store: e.store, Entries: e.schedules, Transaction: e.Transaction, CommonClock: e.clock.base == nil}
	statsRollup := &rollup.Rollup{Store: e.store, Interval: e.tuning.Rollup, Holder: e.lease.Worker}
	jobPruner := &pruner.Pruner{
		Store: e.store, Interval: e.tuning.Prune, Holder: e.lease.Worker,
		Success: e.config.KeepSuccess, Other: e.config.KeepOther, Audit: e.config.KeepAudit, Arguments: e.config.KeepArguments, Expiry: e.config.Expiry,
		ExpiredOutcome: e.expiredOutcome, Settle: settle,
	}
	measureClock := func(ctx context.Context) (bool, error) {
		e.RedisStatus(ctx) // the heartbeat reports the result
		return false, e.measureClock(ctx)
	}
	loops := []*loop.Loop{
		e.loop("sweeper", e.tuning.Sweep, laneSweeper.Tick),
		e.loop("reaper", e.tuning.Beat, jobReaper.Tick),
		e.loop("scheduler", e.tuning.Schedule, jobScheduler.Tick),
		e.loop("rollup", e.tuning.Rollup, statsRollup.Tick),
		e.loop("pruner", e.tuning.Prune, jobPruner.Tick),
		e.loop("clock", 10*e.tuning.Beat, measureClock),
	}
	if e.config.Sealer != nil {
		loops = append(loops, e.loop("seals", resealLoop, e.newReseal()))
	}
	if len(e.config.Remotes) > 0 {
		loops = append(loops, e.loop("calls", e.tuning.Calls, e.flushCalls))
		loops = append(loops, e.loop("budgets", remoteTick, e.tickRemotes))
	}
	return loops
}

func (e *Engine) loop(name string, interval time.Duration, tick func(context.Context) (bool, error)) *loop.Loop {
	return &loop.Loop{Name: name, Interval: interval, Tick: tick, Logger: e.logger}
}

// Stop stops the engine. It claims no more jobs and lets running jobs continue for
// Config.StopGrace. Then it ends their contexts with ErrStopping and waits until their handlers
// have returned or ctx ends. A job whose handler returns because its context has ended goes back to
// the queue without consuming an attempt.
//
// Stop returns an error if handlers still run when ctx ends. The process then keeps its heartbeat
// until they return, so that no other process runs their jobs. Keep the database open until then.
//
// A second Stop waits for the first. Stop may be called before Start.
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
	go func() {
		defer close(e.stopCh)
		if started {
			e.stopErr = e.stopWorking(ctx)
		}
		if e.doorbell != nil {
			e.doorbell.Flush(ctx)
		}
	}()
	select {
	case <-e.stopCh:
		return e.stopErr
	case <-ctx.Done():
	}
	// Usually the rest takes a moment. It takes longer if Redis or the database hangs.
	rest := time.NewTimer(stopOverrun)
	defer rest.Stop()
	select {
	case <-e.stopCh:
		return e.stopErr
	case <-rest.C:
		return fmt.Errorf("stop the engine: %w; the rest stops in the background, as soon as Redis and the database respond", context.Cause(ctx))
	}
}

// stopOverrun is how much longer than its context Stop may take, so that it usually can say what remains.
const stopOverrun = 500 * time.Millisecond

func (e *Engine) stopWorking(ctx context.Context) error {
	defer e.load.close(ctx)
	w := e.worker.Load()
	left := 0
	if w != nil {
		w.Drain()
		left = e.drain(ctx, w)
	}
	for _, l := range e.loops {
		l.Stop()
	}
	if w != nil {
		w.Stop()
	}
	e.flushLastCalls(ctx)
	if left > 0 {
		// No other process may run these jobs yet, so keep the heartbeat until they return.
		go func() {
			w.Wait(context.WithoutCancel(ctx))
			e.deregister(ctx)
		}()
		return fmt.Errorf("stop the engine: %d jobs ignored the end of their context and still run; they stay with this process until they return or it exits",
			left)
	}
	e.deregister(ctx)
	return nil
}

// deregister stops the heartbeat and deletes its row, which tells the other processes that this
// process runs no jobs.
func (e *Engine) deregister(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	e.leaveRemotes(ctx)
	e.heartbeat.Stop()
	// If the row cannot be deleted, the other processes notice that the heartbeat has stopped.
	if err := e.lease.Leave(ctx); err != nil {
		e.logger.Warn("could not delete the heartbeat row", "error", err)
	}
}

// drain waits until the running jobs have returned: first for Config.StopGrace, then with their
// contexts ended. It returns the number of jobs that still run when ctx ends.
func (e *Engine) drain(ctx context.Context, w *worker.Worker) (left int) {
	if e.config.StopGrace > 0 {
		grace, cancel := context.WithTimeout(ctx, e.config.StopGrace)
		left = w.Wait(grace)
		cancel()
		if left == 0 {
			return 0
		}
	}
	e.logger.Info("the process stops; the contexts of running jobs end", "jobs", w.Interrupt(ErrStopping))
	return w.Wait(ctx)
}
