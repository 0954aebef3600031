// Package worker receives doorbells from Redis through asynq. It claims their jobs, runs them and
// writes their outcomes.
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

// Queue configures how a process works one queue.
type Queue struct {
	Slots int           // how many jobs run at once
	Poll  time.Duration // pause of an idle loop between two polls of Redis
	Loops int           // number of asynq servers that dequeue
}

// Worker is the worker of one process.
type Worker struct {
	Store  *jobstore.Store
	Bells  *bell.Bells
	Redis  redis.UniversalClient
	Logger *slog.Logger
	Queues map[string]Queue
	// Worker returns the id under which the process claims jobs.
	Worker func() string
	// HoldsLease reports whether the process may claim jobs.
	HoldsLease func() bool
	// Serves returns the kinds that may be claimed.
	Serves func() []jobstore.Served
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

	servers     []*asynq.Server
	claims      *groupcommit.Batcher[jobstore.Claim, jobstore.ClaimResult]
	settlements *groupcommit.Batcher[*jobstore.Outcome, jobstore.Settled]

	// pending limits the number of unwritten outcomes. While the database is down, the worker stops
	// starting jobs instead of using more and more memory.
	pending chan struct{}

	mu               sync.Mutex
	draining         bool
	stopCause        error // the cause of the last Interrupt
	running          map[jobstore.Claim]context.CancelCauseFunc
	claiming         map[jobstore.Claim]int  // number of unanswered calls of claim
	ranDuringClaim   map[jobstore.Claim]bool // the claims in claiming whose job has already run here
	orphanCandidates map[jobstore.Claim]bool // orphans if the next CheckOrphans finds them too
	inFlight         sync.WaitGroup
	ctx              context.Context // ends when outcomes are no longer retried
	cancel           context.CancelFunc
}

const (
	batch = 256 // how many claims or outcomes one transaction writes
	// maxPending is how many outcomes may wait for their commit. The slots of their jobs are
	// already free for other jobs.
	maxPending = 4 * batch
)

// Start begins to receive doorbells. Redis need not be reachable yet.
func (w *Worker) Start() error {
	w.mu.Lock()
	w.running, w.claiming, w.ranDuringClaim = map[jobstore.Claim]context.CancelCauseFunc{}, map[jobstore.Claim]int{}, map[jobstore.Claim]bool{}
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
				// The database holds all times. No task is ever delayed or retried in Redis.
				DelayedTaskCheckInterval: time.Minute,
				HealthCheckInterval:      time.Hour,
			})
			handler := asynq.HandlerFunc(func(_ context.Context, task *asynq.Task) error {
				w.handle(slots, task)
				return nil // the database holds the result of the job
			})
			if err := server.Start(handler); err != nil {
				return err
			}
			w.servers = append(w.servers, server)
		}
	}
	return nil
}

// Drain stops receiving doorbells. Running jobs continue.
func (w *Worker) Drain() {
	w.mu.Lock()
	w.draining = true
	w.mu.Unlock()
	for _, server := range w.servers {
		server.Stop()
	}
}

// Wait waits until no job runs and all outcomes are written, or until ctx ends. It returns the
// number of jobs that still run or whose outcome is not written.
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

// claimBatch claims the jobs of a batch. An error applies to all of them.
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

// handle claims and runs the job of a task. It returns when the job has returned; the job's outcome
// may not be written yet.
func (w *Worker) handle(slots chan struct{}, task *asynq.Task) {
	claim, err := bell.Decode(task.Payload())
	if err != nil {
		w.Logger.Warn("an unknown task from Redis was dropped", "error", err)
		return
	}
	// The slots of asynq do not limit the running jobs: asynq frees a slot when the lease of its
	// task expires, even if the job still runs. This slot is freed when the job has returned.
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
	ctx, started := w.startRunning(claim, job)
	if !started {
		w.inFlight.Done()
		return
	}
	outcome := w.Run(ctx, job)
	// Free the slot now and write the outcome in the background. If the process dies before the
	// outcome is written, the row still has the status running, and a reaper requeues the job.
	w.pending <- struct{}{}
	go func() {
		defer w.inFlight.Done()
		defer func() { <-w.pending }()
		// The job counts as running until its outcome is written, so that a duplicate task does
		// not start it again.
		defer w.stopRunning(job)
		w.settle(outcome)
	}()
}

// admit registers a claim before it is made. It reports false when the worker drains or has lost
// its lease.
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

// release makes the relay wake the job of a claim again, so that another process can claim the job.
func (w *Worker) release(claim jobstore.Claim) {
	ctx, cancel := context.WithTimeout(w.ctx, time.Second)
	defer cancel()
	// If Release fails, the relay finds that the task is lost and sends it again.
	if err := w.Store.Release(ctx, claim); err != nil {
		w.Logger.Debug("a job could not be released; the relay will wake it again", "job_id", claim.ID, "error", err)
	}
}

// claim claims a job and returns it, or nil if the job must not run here. While the database is
// down, it keeps trying: otherwise the relay would have to send the doorbell again.
func (w *Worker) claim(claim jobstore.Claim) *jobstore.Job {
	for wait, again := 50*time.Millisecond, false; ; wait, again = min(2*wait, 2*time.Second), true {
		var job *jobstore.Job
		var err error
		if again {
			// The last try failed. Perhaps only its answer was lost and the claim succeeded.
			job, err = w.Store.ClaimedBy(w.ctx, w.Worker(), claim)
		}
		if err == nil && job == nil {
			var result jobstore.ClaimResult
			result, err = w.claims.Do(claim)
			job = result.Job
			if again && err == nil && job == nil {
				// The claim was refused. Perhaps the earlier try was applied late and holds the job.
				job, err = w.Store.ClaimedBy(w.ctx, w.Worker(), claim)
			}
		}
		if err == nil {
			return job
		}
		if errors.Is(err, groupcommit.ErrStopped) || !w.waitAfterError(wait, true) {
			return nil
		}
		w.Logger.Warn("a claim failed; trying again", "job_id", claim.ID, "error", err)
	}
}

// waitAfterError waits for d and reports whether the caller should try again. It reports false
// after Stop and, if claiming is set, while the worker drains.
func (w *Worker) waitAfterError(d time.Duration, claiming bool) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-w.ctx.Done():
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return !claiming || !w.draining
}

// startRunning ends a claim that admit has registered and registers its job as running. It reports
// false when there is no job, or when the job already runs or has run here. A job already runs or
// has run here if the answers to two claims of the same epoch were lost and both retries then found
// that this process has claimed the job.
func (w *Worker) startRunning(claim jobstore.Claim, job *jobstore.Job) (ctx context.Context, started bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	hasRun := w.ranDuringClaim[claim]
	if w.claiming[claim]--; w.claiming[claim] == 0 {
		delete(w.claiming, claim)
		delete(w.ranDuringClaim, claim)
	}
	if job == nil || hasRun || w.running[claim] != nil {
		return nil, false
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	w.running[claim] = cancel
	if w.stopCause != nil && (w.draining || !w.HoldsLease() || job.Worker != w.Worker()) {
		cancel(w.stopCause)
	}
	return ctx, true
}

// stopRunning registers that the job no longer runs here.
func (w *Worker) stopRunning(job *jobstore.Job) {
	key := jobstore.Claim{ID: job.ID, Epoch: job.Epoch}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running[key](nil)
	delete(w.running, key)
	if w.claiming[key] > 0 {
		w.ranDuringClaim[key] = true // a claim that has not returned may have read the row before the outcome was written
	}
}

// settle tries to write an outcome until it is written or refused, or until Stop ends the
// retries.
func (w *Worker) settle(out *jobstore.Outcome) {
	for wait := 50 * time.Millisecond; ; {
		result, err := w.settleOnce(out)
		var refused *jobstore.OnSuccessError
		switch {
		case err == nil && !result.Won:
			w.Logger.Warn("a late outcome was refused: another process has changed the job", "job_id", out.Job.ID, "epoch", out.Job.Epoch)
			return
		case err == nil:
			w.Settled(w.ctx, out, result)
			return
		case errors.As(err, &refused):
			out = w.OnSuccessFailed(out, refused)
			continue
		case errors.Is(err, groupcommit.ErrStopped) || !w.waitAfterError(wait, false):
			w.Logger.Error("the process stops before an outcome could be written; the job will run again", "job_id", out.Job.ID, "error", err)
			return
		}
		w.Logger.Warn("an outcome could not be written; trying again", "job_id", out.Job.ID, "error", err)
		out.Now = time.Time{}
		wait = min(2*wait, 2*time.Second)
	}
}

// settleOnce tries once to write an outcome. An outcome with an OnSuccess function or a snapshot
// row gets its own transaction: a slow function or a locked row must not delay other outcomes.
func (w *Worker) settleOnce(out *jobstore.Outcome) (jobstore.Settled, error) {
	if out.OnSuccess == nil && out.Job.SnapshotTable == "" {
		return w.settlements.Do(out)
	}
	results, errs := w.Store.Settle(w.ctx, []*jobstore.Outcome{out})
	return results[0], errs[0]
}
