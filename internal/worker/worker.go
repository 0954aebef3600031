// Package worker claims due jobs, runs them and writes their outcomes.
package worker

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/nawasara/nawasync/internal/doorbell"
	"github.com/nawasara/nawasync/internal/groupcommit"
	"github.com/nawasara/nawasync/internal/jobstore"
)

// Worker is the worker of one process.
type Worker struct {
	Store    *jobstore.Store
	Doorbell *doorbell.Doorbell // nil without Redis
	Logger   *slog.Logger
	Slots    map[string]int // how many jobs of each queue run at once
	// Poll is the mean time between two looks at all streams of an idle queue.
	Poll time.Duration
	// Listen is how long one read of wake-ups from Redis waits. Dequeue is the pause of asynq's
	// server between two looks at an empty queue; with 0 there is no such server.
	Listen, Dequeue time.Duration

	// Worker returns the id under which the process claims jobs.
	Worker func() string
	// HoldsLease reports whether the process may claim jobs.
	HoldsLease func() bool
	// Serves lists the kinds that may be claimed.
	Serves func() []jobstore.Served
	// Reserve reserves what the remotes' budgets must have for up to limit jobs of each stream, and returns a
	// grant for each. Nil if no service has a budget.
	Reserve func(ctx context.Context, streams []jobstore.Stream, limit int) []Grant
	// Run executes a claimed job under ctx and returns its outcome.
	Run func(ctx context.Context, job *jobstore.Job) *jobstore.Outcome
	// OrphanOutcome returns the outcome of an orphan: a job that runs under this process's id
	// according to the database, but not in fact.
	OrphanOutcome func(job *jobstore.Job) *jobstore.Outcome
	// OnSuccessFailed returns the outcome that replaces out after out's OnSuccess function has
	// failed.
	OnSuccessFailed func(out *jobstore.Outcome, err error) *jobstore.Outcome
	// Settled is called with every outcome that this worker has written.
	Settled func(ctx context.Context, out *jobstore.Outcome, result jobstore.Settled)

	pullers     map[string]*puller
	pulling     sync.WaitGroup
	listeners   []*doorbell.Listener
	server      *doorbell.Server
	settlements *groupcommit.Batcher[*jobstore.Outcome, jobstore.Settled]

	// pending limits the number of unwritten outcomes. While the database is down, the worker stops
	// starting jobs instead of using more and more memory.
	pending chan struct{}
	through through
	// lockedOutcomes are those that wait for a locked row. waiting limits their number, and unlocked
	// looks whether their rows are free, at times that are counted from started.
	lockedOutcomes lockedOutcomes
	waiting        chan struct{}
	unlocked       *groupcommit.Batcher[*jobstore.LockedError, bool]
	started        time.Time

	draining  chan struct{} // closed by Drain
	drainOnce sync.Once

	mu        sync.Mutex
	stopCause error // the cause of the last Interrupt
	running   map[jobstore.Claim]context.CancelCauseFunc
	claims    claims
	orphans   map[jobstore.Claim]int // see CheckOrphans
	inFlight  sync.WaitGroup
	ctx       context.Context // ends when outcomes are no longer retried
	cancel    context.CancelFunc
}

const (
	maxClaim = 256 // how many jobs one statement claims
	batch    = 256 // how many outcomes one transaction writes
	// maxPending is how many outcomes may wait for their commit. The slots of their jobs are
	// already free for other jobs.
	maxPending   = 4 * batch
	claimTimeout = 10 * time.Second
)

// Prepare makes the worker ready for Start. Before Start, it can receive wake-ups and claims
// nothing.
func (w *Worker) Prepare() {
	w.running, w.draining = map[jobstore.Claim]context.CancelCauseFunc{}, make(chan struct{})
	w.ctx, w.cancel = context.WithCancel(context.Background())
	w.settlements = groupcommit.New(batch, func(outcomes []*jobstore.Outcome) ([]jobstore.Settled, []error) {
		defer w.through.begin()()
		results, errs := w.Store.Settle(w.ctx, outcomes)
		w.through.end(firstFailure(errs))
		return results, errs
	})
	w.pending, w.waiting, w.started = make(chan struct{}, maxPending), make(chan struct{}, maxLocked), time.Now()
	w.unlocked = groupcommit.New(maxLocked, w.findUnlocked)
	w.pullers = map[string]*puller{}
	for queue, slots := range w.Slots {
		w.pullers[queue] = &puller{
			worker: w, queue: queue, slots: make(chan struct{}, slots), signal: make(chan struct{}, 1), streams: newStreams(),
		}
	}
}

// Start begins to claim jobs. Redis need not be reachable.
func (w *Worker) Start() error {
	w.settlements.Start()
	w.unlocked.Start()
	kinds := make([]string, 0)
	for _, served := range w.Serves() {
		kinds = append(kinds, served.Kind)
	}
	var queues []string
	for queue, p := range w.pullers {
		queues = append(queues, queue)
		w.pulling.Go(p.run)
		if w.Doorbell != nil {
			w.listeners = append(w.listeners, w.Doorbell.Listen(queue, kinds, w.Listen, p.awaitSlot, p.wake))
		}
	}
	if w.Doorbell == nil || w.Dequeue <= 0 {
		return nil
	}
	var err error
	w.server, err = w.Doorbell.Serve(queues, w.Dequeue, w.Wake)
	return err
}

// Wake notes a wake-up. It does nothing for a queue that the worker does not serve.
func (w *Worker) Wake(wake jobstore.Wake) {
	if p := w.pullers[wake.Queue]; p != nil {
		p.wake(wake)
	}
}

// WakeHere is Wake for the jobs that this process has dispatched. It returns the wake-ups that other
// processes need, because this one does not serve the jobs or has too few free slots.
func (w *Worker) WakeHere(wakes []jobstore.Wake) (others []jobstore.Wake) {
	served := map[string]bool{}
	for _, s := range w.Serves() {
		served[s.Kind] = true
	}
	now := w.Store.Now().UnixMicro()
	for _, wake := range wakes {
		p := w.pullers[wake.Queue]
		here := p != nil && served[wake.Kind()] && !w.drains()
		if here {
			p.wake(wake)
		}
		if wake.At <= now && (!here || p.free() < wake.Jobs) {
			others = append(others, wake)
		}
	}
	return others
}

// LookAtAll makes the worker look at all streams now, for example after a pause has ended.
func (w *Worker) LookAtAll() {
	for _, p := range w.pullers {
		p.lookAtAll()
	}
}

// Drain stops claiming. Running jobs continue.
func (w *Worker) Drain() {
	w.drainOnce.Do(func() { close(w.draining) })
}

func (w *Worker) drains() bool {
	select {
	case <-w.draining:
		return true
	default:
		return false
	}
}

// Wait waits until no job runs and all outcomes are written, or until ctx ends. It returns the
// number of jobs that still run or whose outcome is not written.
func (w *Worker) Wait(ctx context.Context) int {
	done := make(chan struct{})
	go func() {
		w.pulling.Wait() // a claim that is under way may still start jobs
		w.inFlight.Wait()
		close(done)
	}()
	select {
	case <-done:
		return 0
	case <-ctx.Done():
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.running)
}

// Interrupt cancels the context of every running job and returns their number. It also affects jobs
// that are being claimed: their contexts are cancelled when they start, if the worker drains or has
// lost the lease under which it claimed the job.
func (w *Worker) Interrupt(cause error) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopCause = cause
	for _, cancel := range w.running {
		cancel(cause)
	}
	return len(w.running)
}

// Running lists the jobs that run here.
func (w *Worker) Running() []jobstore.Claim {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := make([]jobstore.Claim, 0, len(w.running))
	for c := range w.running {
		list = append(list, c)
	}
	return list
}

// Cancel cancels the contexts of the given jobs, if they run here.
func (w *Worker) Cancel(claims []jobstore.Claim, cause error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range claims {
		if cancel := w.running[c]; cancel != nil {
			cancel(cause)
		}
	}
}

// Stop ends the worker. It does not wait for running jobs and no longer retries to write their
// outcomes.
func (w *Worker) Stop() {
	w.Drain()
	w.cancel()
	var wg sync.WaitGroup
	for _, l := range w.listeners {
		wg.Go(l.Stop)
	}
	if w.server != nil {
		wg.Go(w.server.Stop)
	}
	wg.Wait()
	w.pulling.Wait()
	w.settlements.Stop()
	w.unlocked.Stop()
}

// sleep waits for d, or until the worker drains.
func (w *Worker) sleep(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-w.draining:
	}
}
