// Package reaper takes jobs back from processes that died.
package reaper

import (
	"context"
	"log/slog"
	"time"

	"github.com/nawasara/nawasync/internal/jobstore"

	"github.com/nawasara/nawasync/internal/loop"
)

// Reaper calls a process dead when it has itself read the same counter for
// Patience, by its own monotonic clock and without one failed read. Clocks of
// other machines play no part, and an outage of the database restarts the count:
// nobody is called dead for not having been able to write.
type Reaper struct {
	Store    *jobstore.Store
	Logger   *slog.Logger
	Interval time.Duration
	Patience time.Duration
	// Self is this process's own id: it sees for itself whether it lives.
	Self func() string
	// Reaped makes the verdict on a job of a dead process.
	Reaped func(job *jobstore.Job) *jobstore.Outcome
	// Ring rings the next of a lane, and Ended is told of what was committed.
	Ring  func(ctx context.Context, bells []jobstore.Bell)
	Ended func(v *jobstore.Outcome, job *jobstore.Job)

	loop *loop.Loop
	seen map[string]sight
}

// sight is since when a counter has not changed; of a worker without a heartbeat
// row, since when it has been missing.
type sight struct {
	beat  int64
	since time.Time
}

const (
	missing = -1 // as a counter: jobs run there, and there is no heartbeat row
	batch   = 500
)

// Start begins the rounds.
func (r *Reaper) Start() {
	r.seen = map[string]sight{}
	r.loop = &loop.Loop{Name: "reaper", Interval: r.Interval, Tick: r.tick, Logger: r.Logger}
	r.loop.Start()
}

// Stop ends them.
func (r *Reaper) Stop() {
	if r.loop != nil {
		r.loop.Stop()
	}
}

func (r *Reaper) tick(ctx context.Context) (bool, error) {
	beats, err := r.read(ctx)
	if err != nil {
		r.seen = map[string]sight{}
		return false, err
	}
	now := time.Now()
	seen := map[string]sight{}
	for worker, beat := range beats {
		if old, ok := r.seen[worker]; ok && old.beat == beat {
			seen[worker] = old
		} else {
			seen[worker] = sight{beat, now}
		}
	}
	r.seen = seen
	self := r.Self()
	for worker, s := range seen {
		if worker == self {
			continue
		}
		patience := r.Patience
		if s.beat == missing {
			// Its row was deleted by a reaper that then died, or by hand.
			patience = 2 * r.Interval
		}
		if now.Sub(s.since) < patience {
			continue
		}
		if err := r.reap(ctx, worker); err != nil {
			return false, err
		}
	}
	return false, nil
}

// read takes one look, within a time: a look that hangs is a failed one.
func (r *Reaper) read(ctx context.Context) (map[string]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, r.Patience/4)
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
		beats[worker] = missing
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
			delete(r.seen, worker)
			return err
		}
		r.Logger.Warn("nawasync: a process died; its jobs go back to the queue", "worker", worker, "jobs", len(jobs))
		verdicts := make([]*jobstore.Outcome, len(jobs))
		for i, job := range jobs {
			verdicts[i] = r.Reaped(job)
		}
		results, errs := r.Store.Settle(ctx, verdicts)
		for i, result := range results {
			if errs[i] != nil {
				return errs[i]
			}
			if result.Won {
				r.Ring(ctx, result.Next)
				r.Ended(verdicts[i], result.Job)
			}
		}
	}
}
