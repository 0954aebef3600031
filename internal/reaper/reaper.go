// Package reaper puts the jobs of dead processes back into the queue.
package reaper

import (
	"context"
	"errors"
	"log/slog"
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
	// Settle writes outcomes.
	Settle func(ctx context.Context, outcomes []*jobstore.Outcome) error

	// now is the clock; nil means time.Now. Tests set it.
	now func() time.Time

	listing  loop.Share // of the processes with running jobs
	observed map[string]observation
	failed   bool      // the last read failed
	backAt   time.Time // when a read first succeeded after failed ones
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
	self := r.Self()
	var errs []error
	for worker, seen := range observed {
		if worker == self {
			continue
		}
		limit := r.DeadAfter
		if seen.beat == noHeartbeatRow {
			// A reaper deleted the row and then died, or the row was deleted by hand.
			limit = 2 * r.Interval
			if !listed {
				continue // its jobs may have ended
			}
		}
		if now.Sub(seen.since) < limit {
			continue
		}
		if err := r.reap(ctx, worker, seen.beat); err != nil {
			errs = append(errs, err)
		}
	}
	return false, errors.Join(errs...)
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
	var errs []error
	for after := int64(0); ; {
		jobs, err := r.Store.RunningOn(ctx, worker, after, batch)
		if err != nil || len(jobs) == 0 {
			return errors.Join(append(errs, err)...)
		}
		after = jobs[len(jobs)-1].ID
		r.Logger.Warn("a process died; its jobs go back to the queue", "worker", worker, "jobs", len(jobs))
		outcomes := make([]*jobstore.Outcome, len(jobs))
		for i, job := range jobs {
			outcomes[i] = r.OutcomeOf(job)
		}
		if err := r.Settle(ctx, outcomes); err != nil {
			// Usually a host's transaction has locked a row. The other jobs are settled; the next
			// round finds this one again.
			errs = append(errs, err)
		}
	}
}
