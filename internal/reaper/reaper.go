// Package reaper takes jobs back from processes that died.
package reaper

import (
	"context"
	"log/slog"
	"time"

	"github.com/nawasara/nawasync/internal/jobstore"
)

// Reaper calls a process dead when it has itself read the same counter for
// DeadAfter, by its own monotonic clock and without one failed read. Clocks of
// other machines play no part, and an outage of the database restarts the count:
// nobody is called dead for not having been able to write.
type Reaper struct {
	Store     *jobstore.Store
	Logger    *slog.Logger
	Interval  time.Duration // between two rounds
	DeadAfter time.Duration
	// Self is this process's own id: it sees for itself whether it lives.
	Self func() string
	// OutcomeOf makes the outcome of a job of a dead process.
	OutcomeOf func(job *jobstore.Job) *jobstore.Outcome
	// Settle writes outcomes.
	Settle func(ctx context.Context, outcomes []*jobstore.Outcome) error

	observed map[string]observation
}

// observation is since when a counter has not changed; of a worker without a heartbeat
// row, since when it has been missing.
type observation struct {
	beat  int64
	since time.Time
}

const (
	missingFor = -1 // as a counter: jobs run there, and there is no heartbeat row
	batch      = 500
)

// Tick is one round.
func (r *Reaper) Tick(ctx context.Context) (bool, error) {
	beats, err := r.readProcesses(ctx)
	if err != nil {
		r.observed = map[string]observation{}
		return false, err
	}
	now := time.Now()
	seen := map[string]observation{}
	for worker, beat := range beats {
		if old, ok := r.observed[worker]; ok && old.beat == beat {
			seen[worker] = old
		} else {
			seen[worker] = observation{beat, now}
		}
	}
	r.observed = seen
	self := r.Self()
	for worker, s := range seen {
		if worker == self {
			continue
		}
		limit := r.DeadAfter
		if s.beat == missingFor {
			// Its row was deleted by a reaper that then died, or by hand.
			limit = 2 * r.Interval
		}
		if now.Sub(s.since) < limit {
			continue
		}
		if err := r.reap(ctx, worker); err != nil {
			return false, err
		}
	}
	return false, nil
}

// readProcesses takes one look, within a time: a look that hangs is a failed one.
func (r *Reaper) readProcesses(ctx context.Context) (map[string]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, r.DeadAfter/4)
	defer cancel()
	// The jobs first: a process writes its row before it claims.
	workers, err := r.Store.RunningWorkers(ctx)
	if err != nil {
		return nil, err
	}
	processes, err := r.Store.Processes(ctx)
	if err != nil {
		return nil, err
	}
	beats := map[string]int64{}
	for _, worker := range workers {
		beats[worker] = missingFor
	}
	for _, p := range processes {
		beats[p.ID] = p.Beat
	}
	return beats, nil
}

// reap first deletes the heartbeat row, so that a process that is alive after all
// learns of it with its next beat, and then takes the jobs.
func (r *Reaper) reap(ctx context.Context, worker string) error {
	if err := r.Store.RemoveProcess(ctx, worker); err != nil {
		return err
	}
	for {
		jobs, err := r.Store.RunningOn(ctx, worker, batch)
		if err != nil || len(jobs) == 0 {
			delete(r.observed, worker)
			return err
		}
		r.Logger.Warn("nawasync: a process died; its jobs go back to the queue", "worker", worker, "jobs", len(jobs))
		outcomes := make([]*jobstore.Outcome, len(jobs))
		for i, job := range jobs {
			outcomes[i] = r.OutcomeOf(job)
		}
		if err := r.Settle(ctx, outcomes); err != nil {
			return err
		}
	}
}
