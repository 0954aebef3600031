// Package worker takes doorbells from Redis through asynq, claims their jobs, has
// them run, and writes their outcomes.
package worker

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/nawasara/nawasync/internal/bell"
	"github.com/nawasara/nawasync/internal/groupcommit"
	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/internal/pipeline"
)

// Queue is how one queue is worked.
type Queue struct {
	Slots int           // jobs at once
	Poll  time.Duration // between two looks of an idle loop
	Loops int           // asynq servers that dequeue
}

// Worker is one process's worker.
type Worker struct {
	Store  *jobstore.Store
	Bells  *bell.Bells
	Redis  redis.UniversalClient
	Logger *slog.Logger
	Queues map[string]Queue
	// Worker is the id to claim under, and Held whether to claim at all.
	Worker     func() string
	HoldsLease func() bool
	// Serves are the kinds that may be claimed.
	Serves func() []jobstore.Served
	// Run executes a claimed job under ctx and returns its outcome.
	Run func(ctx context.Context, job *jobstore.Job) *jobstore.Outcome
	// OrphanOutcome is the outcome of a job that runs under this process's id, but not here.
	OrphanOutcome func(job *jobstore.Job) *jobstore.Outcome
	// OnSuccessFailed makes another outcome of one whose OnSuccess failed.
	OnSuccessFailed func(v *jobstore.Outcome, err error) *jobstore.Outcome
	// Settled is told of every outcome that was written here.
	Settled func(ctx context.Context, o *jobstore.Outcome, result jobstore.Settled)

	servers     []*asynq.Server
	claims      *groupcommit.Batcher[jobstore.Claim, jobstore.ClaimResult]
	settlements *groupcommit.Batcher[*jobstore.Outcome, jobstore.Settled]

	// pending bounds the outcomes on their way, so that a database that is away
	// stops the work and not the memory.
	pending chan struct{}

	mu               sync.Mutex
	draining         bool
	stopCause        error // of the last Interrupt
	running          map[jobstore.Claim]context.CancelCauseFunc
	claiming         map[jobstore.Claim]int  // claims on their way
	ranMeanwhile     map[jobstore.Claim]bool // those of them whose job has run here meanwhile
	orphanCandidates map[jobstore.Claim]bool // orphans, if the next account has them too
	inFlight         sync.WaitGroup
	ctx              context.Context // ends when outcomes are no longer retried
	cancel           context.CancelFunc
}

const (
	batch = 256 // claims or outcomes in one transaction
	// outcomes may wait for their commit while their slots work on.
	maxPending = 4 * batch
)

// Start begins to take doorbells. Redis need not be there yet.
func (w *Worker) Start() error {
	w.mu.Lock()
	w.running, w.claiming, w.ranMeanwhile = map[jobstore.Claim]context.CancelCauseFunc{}, map[jobstore.Claim]int{}, map[jobstore.Claim]bool{}
	w.mu.Unlock()
	w.ctx, w.cancel = context.WithCancel(context.Background())
	w.claims = groupcommit.New(batch, w.claimBatch)
	w.settlements = groupcommit.New(batch, func(outcomes []*jobstore.Outcome) ([]jobstore.Settled, []error) {
		return w.Store.Settle(w.ctx, outcomes)
	})
	w.pending = make(chan struct{}, maxPending)
	w.claims.Start()
	w.settlements.Start()
	client := throttledClient{pipeline.New(w.Redis)}
	for name, queue := range w.Queues {
		slots := make(chan struct{}, queue.Slots)
		for range queue.Loops {
			server := asynq.NewServerFromRedisClient(client, asynq.Config{
				Concurrency:       (queue.Slots + queue.Loops - 1) / queue.Loops,
				Queues:            map[string]int{w.Bells.QueueName(name): 1},
				TaskCheckInterval: queue.Poll,
				ShutdownTimeout:   time.Second,
				Logger:            asynqLogger{w.Logger},
				LogLevel:          asynq.WarnLevel,
				// Rows hold the times: nothing is ever delayed or retried in Redis.
				DelayedTaskCheckInterval: time.Minute,
				HealthCheckInterval:      time.Hour,
			})
			handler := asynq.HandlerFunc(func(_ context.Context, task *asynq.Task) error {
				w.handle(slots, task)
				return nil // the row says what becomes of the job
			})
			if err := server.Start(handler); err != nil {
				return err
			}
			w.servers = append(w.servers, server)
		}
	}
	return nil
}

// Drain takes no more doorbells.
func (w *Worker) Drain() {
	w.mu.Lock()
	w.draining = true
	w.mu.Unlock()
	for _, server := range w.servers {
		server.Stop()
	}
}

// Wait waits until no job runs here, or ctx ends, and returns how many still run.
func (w *Worker) Wait(ctx context.Context) int {
	done := make(chan struct{})
	go func() {
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

// Interrupt ends the context of every running job, and of those whose claims are
// on their way, if they come while the worker drains or under a lease that was
// lost. It returns how many run.
func (w *Worker) Interrupt(cause error) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopCause = cause
	for _, cancel := range w.running {
		cancel(cause)
	}
	return len(w.running)
}

// Cancel ends the context of the given jobs.
func (w *Worker) Cancel(claims []jobstore.Claim, cause error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range claims {
		if cancel := w.running[c]; cancel != nil {
			cancel(cause)
		}
	}
}

// Stop gives up on what still runs, and ends.
func (w *Worker) Stop() {
	if w.cancel == nil {
		return
	}
	w.cancel()
	var wg sync.WaitGroup
	for _, server := range w.servers {
		wg.Go(server.Shutdown)
	}
	wg.Wait()
	w.claims.Stop()
	w.settlements.Stop()
}

func (w *Worker) claimBatch(claims []jobstore.Claim) ([]jobstore.ClaimResult, []error) {
	errs := make([]error, len(claims))
	results, err := w.Store.Claim(w.ctx, jobstore.Claimer{Worker: w.Worker(), Serves: w.Serves()}, claims)
	if err != nil {
		for i := range errs {
			errs[i] = err
		}
		results = make([]jobstore.ClaimResult, len(claims))
	}
	return results, errs
}

func (w *Worker) handle(slots chan struct{}, task *asynq.Task) {
	claim, err := bell.Decode(task.Payload())
	if err != nil {
		w.Logger.Warn("nawasync: a task in Redis is none of ours and is dropped", "error", err)
		return
	}
	// asynq frees its own slot when it believes a lease expired, though the job
	// still runs; ours is freed when the job has returned.
	select {
	case slots <- struct{}{}:
	case <-w.ctx.Done():
		return
	}
	defer func() { <-slots }()
	if !w.admit(claim) {
		w.release(claim)
		return
	}
	job := w.claim(claim)
	ctx, mine := w.startRunning(claim, job)
	if !mine {
		w.inFlight.Done()
		return
	}
	outcome := w.Run(ctx, job)
	// The slot is free when the job has returned. Its outcome is not yet written:
	// if the process dies now, the row still says running, and is taken over.
	w.pending <- struct{}{}
	go func() {
		defer w.inFlight.Done()
		defer func() { <-w.pending }()
		// Until its outcome stands the job is ours: a doubled task finds it taken.
		defer w.stopRunning(job)
		w.settle(outcome)
	}()
}

// admit counts a job in, unless the process stops or has lost its lease.
func (w *Worker) admit(claim jobstore.Claim) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.draining || !w.HoldsLease() {
		return false
	}
	w.inFlight.Add(1)
	w.claiming[claim]++
	return true
}

func (w *Worker) release(claim jobstore.Claim) {
	ctx, cancel := context.WithTimeout(w.ctx, time.Second)
	defer cancel()
	// If this fails the relay finds the lost ring.
	if err := w.Store.Release(ctx, claim); err != nil {
		w.Logger.Debug("nawasync: a job could not be given back and will be found by the relay", "job", claim.ID, "error", err)
	}
}

// claim tries while the database is away: dropping the doorbell would only make
// work for the relay.
func (w *Worker) claim(claim jobstore.Claim) *jobstore.Job {
	for wait, again := 50*time.Millisecond, false; ; wait, again = min(2*wait, 2*time.Second), true {
		var job *jobstore.Job
		var err error
		if again {
			// The answer to the last try was lost, and it may have been a yes.
			job, err = w.Store.ClaimedBy(w.ctx, w.Worker(), claim)
		}
		if err == nil && job == nil {
			var result jobstore.ClaimResult
			result, err = w.claims.Do(claim)
			job = result.Job
			if again && err == nil && job == nil {
				// It was refused, perhaps by the claim that seemed lost: that came through late.
				job, err = w.Store.ClaimedBy(w.ctx, w.Worker(), claim)
			}
		}
		if err == nil {
			return job
		}
		if errors.Is(err, groupcommit.ErrStopped) || !w.waitAfterError(wait, true) {
			return nil
		}
		w.Logger.Warn("nawasync: a claim failed; trying again", "job", claim.ID, "error", err)
	}
}

// waitAfterError waits; false says that the caller should give up.
func (w *Worker) waitAfterError(d time.Duration, whileTaking bool) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-w.ctx.Done():
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return !whileTaking || !w.draining
}

// startRunning ends a claim, and notes that its job runs here. False says that there is no
// job, or that it runs or has run already: the answers to two claims of one epoch
// were lost, and both have found it claimed.
func (w *Worker) startRunning(claim jobstore.Claim, job *jobstore.Job) (ctx context.Context, mine bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	spent := w.ranMeanwhile[claim]
	if w.claiming[claim]--; w.claiming[claim] == 0 {
		delete(w.claiming, claim)
		delete(w.ranMeanwhile, claim)
	}
	if job == nil || spent || w.running[claim] != nil {
		return nil, false
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	w.running[claim] = cancel
	if w.stopCause != nil && (w.draining || !w.HoldsLease() || job.Worker != w.Worker()) {
		cancel(w.stopCause)
	}
	return ctx, true
}

func (w *Worker) stopRunning(job *jobstore.Job) {
	key := jobstore.Claim{ID: job.ID, Epoch: job.Epoch}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running[key](nil)
	delete(w.running, key)
	if w.claiming[key] > 0 {
		w.ranMeanwhile[key] = true // what the other claim has read may be older than our outcome
	}
}

// settle writes an outcome until it stands or its fence fails. Only the end of
// Stop's patience ends it before.
func (w *Worker) settle(v *jobstore.Outcome) {
	for wait := 50 * time.Millisecond; ; {
		result, err := w.settleOnce(v)
		var refused *jobstore.OnSuccessError
		switch {
		case err == nil && !result.Won:
			w.Logger.Warn("nawasync: a late outcome was refused: the job is in another's hands", "job", v.Job.ID, "epoch", v.Job.Epoch)
			return
		case err == nil:
			w.Settled(w.ctx, v, result)
			return
		case errors.As(err, &refused):
			v = w.OnSuccessFailed(v, refused)
			continue
		case errors.Is(err, groupcommit.ErrStopped) || !w.waitAfterError(wait, false):
			w.Logger.Error("nawasync: the process stops before an outcome could be written; the job will run again", "job", v.Job.ID, "error", err)
			return
		}
		w.Logger.Warn("nawasync: an outcome could not be written; trying again", "job", v.Job.ID, "error", err)
		v.Now = time.Time{}
		wait = min(2*wait, 2*time.Second)
	}
}

// settleOnce is one try. an outcome with the job's own code, or with a snapshot row, has
// a transaction of its own: slow code, and a row that somebody holds, keep nobody
// else waiting.
func (w *Worker) settleOnce(v *jobstore.Outcome) (jobstore.Settled, error) {
	if v.OnSuccess == nil && v.Job.SnapshotTable == "" {
		return w.settlements.Do(v)
	}
	results, errs := w.Store.Settle(w.ctx, []*jobstore.Outcome{v})
	return results[0], errs[0]
}
