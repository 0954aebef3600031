// Package reaper puts the jobs of dead processes back into the queue.
package reaper

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/internal/loop"
)

// Reaper considers a process dead when the process's heartbeat counter has not changed for
// DeadAfter. It measures this time with its own monotonic clock, so the clocks of other machines
// do not matter. During an outage of the database, no process can write its heartbeat, and none may
// be considered dead for that reason: after a failed read, each process has DeadAfter/3 to write one
// from the first read that succeeds again. The time of the outage itself counts, because a process
// that could not write its heartbeat meanwhile has lost its lease. A transaction that holds SQLite's
// only write lock counts as an outage.
type Reaper struct {
	Store     *jobstore.Store
	Logger    *slog.Logger
	Interval  time.Duration // between two ticks
	DeadAfter time.Duration
	// Self returns this process's id. A Reaper never considers its own process dead.
	Self func() string
	// OutcomeOf returns the outcome of a job of a dead process.
	OutcomeOf func(job *jobstore.Job) *jobstore.Outcome
	// Settle writes outcomes. It returns an error for each, nil for those that are written.
	Settle func(ctx context.Context, outcomes []*jobstore.Outcome) []error

	// now is the clock; nil means time.Now. Tests set it.
	now func() time.Time

	listing  loop.Share // of the processes with running jobs
	observed map[string]observation
	waiting  waiting
	reported map[string]time.Time // when the log last said something of a process
	failed   bool                 // the last read failed
	backAt   time.Time            // when a read first succeeded after failed ones
}

// observation is a heartbeat counter (or noHeartbeatRow) and the time at which the reaper first
// read this value.
type observation struct {
	beat  int64
	since time.Time
}

const (
	// noHeartbeatRow stands for the counter of a process that has running jobs and no
	// heartbeat row.
	noHeartbeatRow = -1
	batch          = 500
	// reportEvery is how often the log repeats what it says of a dead process.
	reportEvery = time.Minute
)

// Tick reads the heartbeats once and reaps the dead processes. more is always false.
func (r *Reaper) Tick(ctx context.Context) (more bool, err error) {
	start := time.Now()
	beats, listed, err := r.readProcesses(ctx)
	if err != nil {
		r.failed = true
		return false, err
	}
	now := r.clock()
	if r.failed || time.Since(start) > r.Interval {
		r.failed, r.backAt = false, now
	}
	observed := map[string]observation{}
	for worker, beat := range beats {
		if old, ok := r.observed[worker]; ok && old.beat == beat {
			observed[worker] = old
		} else {
			observed[worker] = observation{beat, now}
		}
	}
	for worker, old := range r.observed {
		if _, found := beats[worker]; !found && !listed && old.beat == noHeartbeatRow {
			observed[worker] = old
		}
	}
	r.observed = observed
	if now.Sub(r.backAt) < r.DeadAfter/3 {
		return false, nil
	}
	errs := []error{r.retry(ctx)}
	for _, worker := range r.dead(now) {
		errs = append(errs, r.reap(ctx, worker, observed[worker].beat))
	}
	r.reportLocked(now)
	return false, errors.Join(errs...)
}

// dead returns the processes that are dead. One without a heartbeat row is forgotten with that: the next list
// of the running jobs finds it again if it still has some.
func (r *Reaper) dead(now time.Time) (workers []string) {
	self := r.Self()
	for worker, seen := range r.observed {
		limit := r.DeadAfter
		if seen.beat == noHeartbeatRow {
			// A reaper deleted the row, and may be about to take back the jobs or have died.
			limit = 2 * r.Interval
		}
		if worker != self && now.Sub(seen.since) >= limit {
			workers = append(workers, worker)
		}
	}
	return workers
}

func (r *Reaper) clock() time.Time {
	if r.now != nil {
		return r.now()
	}
	return time.Now()
}

// readProcesses returns the heartbeat counter of each process. With listed, these are also the
// processes that have running jobs and no heartbeat row. To find them, the database reads all index
// entries of running jobs, which it keeps for each job that ran since the oldest transaction began, so
// this step has a limited share of the time. readProcesses fails after a quarter of DeadAfter, so that
// a hanging read counts as a failed one.
func (r *Reaper) readProcesses(ctx context.Context) (beats map[string]int64, listed bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, r.DeadAfter/4)
	defer cancel()
	if err := r.Store.AwaitWriter(ctx); err != nil {
		return nil, false, err
	}
	beats = map[string]int64{}
	// Read the jobs first: a process writes its heartbeat row before it claims a job, so the second
	// read finds the row of every live worker.
	listed, err = r.listing.Run(r.clock(), func() error {
		workers, err := r.Store.RunningWorkers(ctx)
		for _, worker := range workers {
			beats[worker] = noHeartbeatRow
		}
		return err
	})
	if err != nil {
		return nil, false, err
	}
	processes, err := r.Store.Processes(ctx)
	if err != nil {
		return nil, false, err
	}
	for _, p := range processes {
		beats[p.ID] = p.Beat
	}
	return beats, listed, nil
}

// reap settles the jobs of a dead process. It deletes the heartbeat row first, unless the counter has
// changed after all: if the process is still alive, its next heartbeat fails, and the process cancels
// its jobs.
func (r *Reaper) reap(ctx context.Context, worker string, beat int64) error {
	alive, err := r.Store.RemoveDeadProcess(ctx, worker, beat)
	if err != nil || alive {
		return err
	}
	delete(r.observed, worker)
	var errs []error
	found := 0
	for after := int64(0); ; {
		jobs, err := r.Store.RunningOn(ctx, worker, after, batch)
		if err != nil { // without the row, only this process knows of the dead one
			r.observed[worker] = observation{noHeartbeatRow, r.clock()}
			errs = append(errs, err)
		}
		if len(jobs) == 0 {
			break
		}
		after = jobs[len(jobs)-1].ID
		jobs = r.waiting.without(jobs) // retry looks after these
		found += len(jobs)
		errs = append(errs, r.settle(ctx, jobs))
	}
	if found > 0 && r.mayReport(worker, r.clock()) {
		r.Logger.Warn("a process died; its jobs go back to the queue", "worker", worker, "jobs", found)
	}
	return errors.Join(errs...)
}

// settle writes the outcomes of jobs of dead processes. It remembers those that cannot be written, usually
// because a transaction has locked a row: to find their jobs again, all running jobs would have to be read.
func (r *Reaper) settle(ctx context.Context, jobs []*jobstore.Job) (failure error) {
	if len(jobs) == 0 {
		return nil
	}
	outcomes := make([]*jobstore.Outcome, len(jobs))
	for i, job := range jobs {
		outcomes[i] = r.OutcomeOf(job)
	}
	for i, err := range r.Settle(ctx, outcomes) {
		var locked *jobstore.LockedError
		switch {
		case err == nil:
			r.waiting.remove(claimOf(jobs[i]))
		case errors.As(err, &locked):
			r.waiting.add(jobs[i], locked.Row, r.clock())
		default:
			r.waiting.add(jobs[i], "", r.clock())
			failure = err
		}
	}
	return failure
}

// retry tries again to write the outcomes that could not be written.
func (r *Reaper) retry(ctx context.Context) error {
	claims := r.waiting.some(batch)
	if len(claims) == 0 {
		return nil
	}
	jobs, err := r.Store.StillRunning(ctx, claims)
	if err != nil {
		return err
	}
	running := map[jobstore.Claim]bool{}
	for _, job := range jobs {
		running[claimOf(job)] = true
	}
	r.waiting.remove(slices.DeleteFunc(claims, func(c jobstore.Claim) bool { return running[c] })...)
	return r.settle(ctx, jobs)
}

// reportLocked logs for each dead process that a row keeps its jobs from going back to the queue.
func (r *Reaper) reportLocked(now time.Time) {
	jobs, oldest := map[string]int{}, map[string]Waiting{}
	for _, w := range r.waiting.locked() {
		if jobs[w.Worker]++; jobs[w.Worker] == 1 {
			oldest[w.Worker] = w
		}
	}
	for worker, w := range oldest {
		if r.mayReport("locked "+worker, now) {
			r.Logger.Warn(
				"jobs of a dead process cannot go back to the queue, because another transaction has locked a row; they do when it ends, or when the database closes its connection",
				"worker", worker, "jobs", jobs[worker], "job_id", w.Job, "row", w.Row, "since", w.Since,
			)
		}
	}
}

// mayReport reports whether the log may say something again.
func (r *Reaper) mayReport(what string, now time.Time) bool {
	maps.DeleteFunc(r.reported, func(_ string, at time.Time) bool { return now.Sub(at) >= reportEvery })
	if _, recent := r.reported[what]; recent {
		return false
	}
	if r.reported == nil {
		r.reported = map[string]time.Time{}
	}
	r.reported[what] = now
	return true
}
