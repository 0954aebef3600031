// Package nawasync is the foundation of the DB-cache and queue pattern for
// products that sit on slow, rate-limited, unreliable external APIs: pages read a
// local snapshot, and every change is a tracked job that updates the remote.
//
// A job is a row in the database, born in the caller's transaction. The row is
// the truth; asynq is the doorbell: a task in Redis carries the row's id and
// epoch, and Redis may lose everything at any time. Every write of an attempt is
// fenced, so a job has one verdict, and its arguments rest sealed.
//
// Declare arguments and a handler, register it, dispatch:
//
//	engine, err := nawasync.New(nawasync.Config{DB: db, Redis: client, Sealer: keyring})
//	err = nawasync.Register(engine, &resetPassword{})
//	err = engine.Start(ctx)
//	job, err := engine.Dispatch(ctx, ResetPassword{Email: "a@example.org"}, nawasync.Options{By: "user:7"})
//
// See docs/architecture.md for the path of a job.
package nawasync

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/internal/loop"
	"github.com/nawasara/nawasync/internal/rollup"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/bell"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/lease"
	"github.com/nawasara/nawasync/internal/pruner"
	"github.com/nawasara/nawasync/internal/reaper"
	"github.com/nawasara/nawasync/internal/relay"
	"github.com/nawasara/nawasync/internal/scheduler"
	"github.com/nawasara/nawasync/internal/worker"
	"github.com/nawasara/nawasync/secret"
	"github.com/nawasara/nawasync/tracker"
)

// Queue is how a process works one queue. The zero value takes the defaults.
type Queue struct {
	// Slots is how many jobs run at once. Default 10.
	Slots int
	// Poll is how long an idle loop waits between two looks into Redis. Default
	// 10 ms, for queues on which users wait; 100 ms is kinder for the others.
	Poll time.Duration
	// Loops is how many asynq servers dequeue; one moves some 5,000 jobs a second.
	// Default 1.
	Loops int
}

// Config of an Engine. Only DB is required.
type Config struct {
	// DB is an open gorm database with the schema of package migrations.
	DB *gorm.DB
	// Redis (6.2 or newer) carries the doorbells; the caller closes it after Stop.
	// An engine without it dispatches only: another process works its jobs.
	Redis redis.UniversalClient
	// Sealer encrypts arguments at rest. Required for kinds with a Secret.
	Sealer secret.Sealer
	// Queues are the queues this process works. Default {DefaultQueue: {}}.
	Queues map[string]Queue
	// Logger gets what operators should know. Default slog.Default().
	Logger *slog.Logger
	// Now tells the time. Default is the system's clock, corrected by the database's.
	Now func() time.Time
	// OnEvent is told of endings and of scopes that are parked, after the commit, at
	// most once: a process that dies in between tells nobody. For what must happen,
	// use Run.OnSuccess with DispatchTx. It should return soon; nil is fine.
	OnEvent func(ctx context.Context, event Event)
	// MaxQueued is how many open jobs a service may have before Dispatch returns
	// ErrBacklogFull. 0 is no limit.
	MaxQueued int

	// KeepSuccess is how long successes are kept. Default 14 days.
	KeepSuccess time.Duration
	// KeepOther is how long jobs that ended otherwise are kept. Default 90 days.
	KeepOther time.Duration
	// KeepArguments is how long these can be retried. Default 7 days.
	KeepArguments time.Duration
	// Expiry is how long after it first came due a job may wait or retry. Default 7 days.
	Expiry time.Duration
	// StopGrace is how long Stop lets jobs run on before it ends their contexts.
	// Default 5 s; negative is at once.
	StopGrace time.Duration

	// TracerProvider and MeterProvider default to OpenTelemetry's globals.
	TracerProvider trace.TracerProvider
	MeterProvider  metric.MeterProvider

	tuning host.Tuning
}

var defaultTuning = host.Tuning{
	Relay: 100 * time.Millisecond, Sweep: 5 * time.Second, Beat: time.Second, LeaseTTL: 13 * time.Second, DeadAfter: 15 * time.Second,
	Rollup: 2 * time.Second, Prune: time.Minute, Schedule: time.Second, Recheck: 5 * time.Second, RungCap: 10_000,
}

// WithTuning is for the tests of this module: elsewhere the type cannot be named. Zero
// fields keep their defaults.
func (c Config) WithTuning(t host.Tuning) Config {
	c.tuning = t
	return c
}

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
	ringing   chan struct{}

	handlers     map[Kind]*registration
	repositories []AttachedRepository
	schedules    []scheduler.Entry

	mu      sync.Mutex
	started bool
	stopped bool
	worker  *worker.Worker
	lease   *lease.Lease
	beats   *loop.Loop   // the lease's, which outlives the others
	loops   []*loop.Loop // of the other actors
	stopCh  chan struct{}
	stopErr error
}

// New checks the configuration and the database, and returns an engine that can
// dispatch. It returns migrations.ErrOldSchema when the schema is missing or old.
func New(config Config) (*Engine, error) {
	t := config.tuning.Or(defaultTuning)
	if err := config.defaults(); err != nil {
		return nil, err
	}
	e := &Engine{config: config, tuning: t, logger: config.Logger, handlers: map[Kind]*registration{}, stopCh: make(chan struct{}), ringing: make(chan struct{}, maxRinging)}
	e.clock = &clock{base: config.Now}
	store, err := jobstore.New(config.DB, jobstore.Options{Now: e.clock.Now, Recheck: t.Recheck})
	if err != nil {
		return nil, err
	}
	e.store = store
	e.backlog = backlog{store: store, limit: config.MaxQueued, known: map[string]*openCount{}}
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

func (c *Config) defaults() error {
	if c.DB == nil {
		return errors.New("nawasync: Config.DB is nil: pass an open *gorm.DB")
	}
	c.Logger = cmp.Or(c.Logger, slog.Default())
	c.KeepSuccess = cmp.Or(c.KeepSuccess, 14*24*time.Hour)
	c.KeepOther = cmp.Or(c.KeepOther, 90*24*time.Hour)
	c.KeepArguments = cmp.Or(c.KeepArguments, 7*24*time.Hour)
	c.Expiry = cmp.Or(c.Expiry, 7*24*time.Hour)
	c.StopGrace = cmp.Or(c.StopGrace, 5*time.Second)
	for name, d := range map[string]time.Duration{"KeepSuccess": c.KeepSuccess, "KeepOther": c.KeepOther, "KeepArguments": c.KeepArguments, "Expiry": c.Expiry} {
		if d < 0 {
			return fmt.Errorf("nawasync: Config.%s is negative (%s)", name, d)
		}
	}
	if c.MaxQueued < 0 {
		return fmt.Errorf("nawasync: Config.MaxQueued is negative (%d)", c.MaxQueued)
	}
	if len(c.Queues) == 0 {
		c.Queues = map[string]Queue{DefaultQueue: {}}
	}
	c.Queues = maps.Clone(c.Queues)
	for name, q := range c.Queues {
		if err := validateText("queue", name, 1, 50); err != nil {
			return err
		}
		if q.Slots < 0 || q.Loops < 0 || q.Poll < 0 {
			return fmt.Errorf("nawasync: Config.Queues[%q] has a negative value", name)
		}
		c.Queues[name] = Queue{Slots: cmp.Or(q.Slots, 10), Loops: cmp.Or(q.Loops, 1), Poll: cmp.Or(q.Poll, 10*time.Millisecond)}
	}
	return nil
}

// Reader reads jobs: lists, attempts, statistics. Pages use it.
func (e *Engine) Reader() *tracker.Reader { return e.store.Reader }

// Start begins to work: it takes jobs of the registered kinds, and rings, reaps,
// schedules, folds and prunes beside the other processes. ctx bounds only the
// start. Redis need not be there yet. An engine without Redis cannot be started,
// nor one that was stopped.
func (e *Engine) Start(ctx context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.bells == nil:
		return errors.New("nawasync: an engine without Config.Redis dispatches only; there is nothing to start")
	case e.started || e.stopped:
		return errors.New("nawasync: an engine is started once")
	}
	if policy := e.bells.EvictionPolicy(ctx); policy != "" && policy != "noeviction" {
		e.logger.Warn("nawasync: Redis may evict tasks: its maxmemory-policy should be noeviction; jobs are rung again, but late", "maxmemory-policy", policy)
	}
	e.build()
	if err := e.lease.Join(ctx); err != nil {
		return err
	}
	e.started = true
	e.beats.Start()
	for _, l := range e.loops {
		l.Start()
	}
	if len(e.handlers) == 0 {
		return nil
	}
	return e.worker.Start()
}

// build makes the actors, each with the little it needs of the engine.
func (e *Engine) build() {
	queues := map[string]worker.Queue{}
	for name, q := range e.config.Queues {
		queues[name] = worker.Queue(q)
	}
	served := slices.Sorted(maps.Keys(queues))
	if len(e.handlers) == 0 {
		served = nil
	}
	e.lease = &lease.Lease{
		Store: e.store, Logger: e.logger, TTL: e.tuning.LeaseTTL, Kinds: e.kinds(), Queues: served,
		Lost: func(string) { e.worker.Interrupt(ErrLeaseLost) },
		Running: func(running, cancelled []jobstore.Claim) {
			e.worker.Cancel(cancelled, ErrCancelled)
			e.worker.Audit(running)
		},
	}
	e.worker = &worker.Worker{
		Store: e.store, Bells: e.bells, Redis: e.config.Redis, Logger: e.logger, Queues: queues,
		Worker: e.lease.Worker, Held: e.lease.Held, Serves: e.serves, Run: e.run, Orphaned: e.orphaned, Refused: e.refused, Settled: e.settled,
	}
	settle := func(ctx context.Context, outcomes []*jobstore.Outcome) error {
		_, err := e.settle(ctx, outcomes)
		return err
	}
	r := &relay.Relay{Store: e.store, Bells: e.bells, Logger: e.logger, Cap: e.tuning.RungCap, Sweep: e.tuning.Sweep}
	dead := &reaper.Reaper{
		Store: e.store, Logger: e.logger, Interval: e.tuning.Beat, DeadAfter: e.tuning.DeadAfter, Self: e.lease.Worker, Reaped: e.reaped, Settle: settle,
	}
	ticks := &scheduler.Scheduler{Store: e.store, Entries: e.schedules, Transaction: e.Transaction}
	sums := &rollup.Rollup{Store: e.store, Interval: e.tuning.Rollup, Holder: e.lease.Worker}
	old := &pruner.Pruner{
		Store: e.store, Interval: e.tuning.Prune, Holder: e.lease.Worker,
		Success: e.config.KeepSuccess, Other: e.config.KeepOther, Arguments: e.config.KeepArguments, Expiry: e.config.Expiry,
		Expired: e.expired, Settle: settle, Tidy: func() error { return e.bells.Tidy(served) },
	}
	measure := func(ctx context.Context) (bool, error) { return false, e.measureClock(ctx) }
	e.beats = e.loop("lease", e.tuning.Beat, e.lease.Tick)
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
// nothing burned. It returns an error when jobs still ran at the end of ctx: then
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
	e.quiet(ctx)
	if started {
		e.stopErr = e.stop(ctx)
	}
	return e.stopErr
}

func (e *Engine) stop(ctx context.Context) error {
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
			e.leave(ctx)
		}()
		return fmt.Errorf("nawasync: %d jobs ignored the end of their context and still run; they are taken over when they have returned or this process has ended", left)
	}
	e.leave(ctx)
	return nil
}

// leave ends the heartbeat and says that nothing runs here any more.
func (e *Engine) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	// If the row cannot be deleted now, the others find that it no longer beats.
	e.beats.Stop()
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

// Transaction runs fn in a READ COMMITTED transaction of the engine's database and
// rings for the jobs that fn dispatched with DispatchTx right after the commit.
func (e *Engine) Transaction(ctx context.Context, fn func(tx *gorm.DB) error) error {
	return e.transaction(ctx, e.store.Transaction, fn)
}

func (e *Engine) transaction(ctx context.Context, run func(context.Context, func(*gorm.DB) error) error, fn func(tx *gorm.DB) error) error {
	after := &afterCommit{}
	ctx = context.WithValue(ctx, afterCommitKey{}, after)
	err := run(ctx, func(tx *gorm.DB) error {
		after.bells = nil
		return fn(e.hostSession(ctx, tx))
	})
	if err != nil {
		return e.busyHint(err)
	}
	e.ringSoon(ctx, after.bells)
	return nil
}

// hostSession is tx for the host's own code: with its hooks and its log, which our
// statements do without.
func (e *Engine) hostSession(ctx context.Context, tx *gorm.DB) *gorm.DB {
	tx = tx.Session(&gorm.Session{NewDB: true, Context: ctx, Logger: e.config.DB.Logger})
	tx.Statement.SkipHooks = e.config.DB.Statement.SkipHooks
	return tx
}

// afterCommit gathers the bells of a transaction of ours.
type afterCommit struct {
	mu    sync.Mutex
	bells []jobstore.Bell
}

type afterCommitKey struct{}

func (a *afterCommit) add(bells []jobstore.Bell) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.bells = append(a.bells, bells...)
}

func afterCommitOf(tx *gorm.DB) *afterCommit {
	after, _ := tx.Statement.Context.Value(afterCommitKey{}).(*afterCommit)
	return after
}
