// Package pruner ends what has expired and deletes what has been kept long enough.
package pruner

import (
	"context"
	"time"

	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/tracker"
)

// Pruner is one process's pruner; of many, one works at a time.
type Pruner struct {
	Store    *jobstore.Store
	Interval time.Duration
	Holder   func() string

	Success   time.Duration // how long successes are kept
	Other     time.Duration // how long other endings are kept
	Arguments time.Duration // how long arguments are kept after them
	Expiry    time.Duration // how long a job may stay queued after it first came due
	// ExpiredOutcome makes the outcome of an expired job.
	ExpiredOutcome func(job *jobstore.Job) *jobstore.Outcome
	// Settle writes outcomes.
	Settle func(ctx context.Context, outcomes []*jobstore.Outcome) error
	// PurgeArchived clears what dead workers left in Redis.
	PurgeArchived func() error
}

const batch = 1000

// How long the rows of statistics are kept; days are kept for ever.
const (
	keepMinutes = 7 * 24 * time.Hour
	keepHours   = 90 * 24 * time.Hour
)

// Tick is one round.
func (p *Pruner) Tick(ctx context.Context) (more bool, err error) {
	mine, err := p.Store.TryLock(ctx, "pruner", p.Holder(), 2*p.Interval)
	if err != nil || !mine {
		return false, err
	}
	full, err := p.expire(ctx)
	if err != nil {
		return false, err
	}
	now := p.Store.Now()
	for _, status := range tracker.Statuses() {
		if !status.Terminal() {
			continue
		}
		keep := p.Other
		if status == tracker.StatusSuccess {
			keep = p.Success
		}
		n, err := p.Store.Prune(ctx, status, now.Add(-keep), batch)
		if err != nil {
			return false, err
		}
		full = full || n == batch
	}
	n, err := p.Store.PruneChanges(ctx, now.Add(-p.Other), batch)
	if err != nil {
		return false, err
	}
	if full || n == batch {
		return true, nil
	}
	if err := p.Store.DropArguments(ctx, now.Add(-p.Arguments)); err != nil {
		return false, err
	}
	if err := p.Store.PruneStats(ctx, now.Add(-keepMinutes), now.Add(-keepHours)); err != nil {
		return false, err
	}
	return false, p.PurgeArchived()
}

func (p *Pruner) expire(ctx context.Context) (full bool, err error) {
	jobs, err := p.Store.Expired(ctx, p.Store.Now().Add(-p.Expiry), batch)
	if err != nil || len(jobs) == 0 {
		return false, err
	}
	outcomes := make([]*jobstore.Outcome, len(jobs))
	for i, job := range jobs {
		outcomes[i] = p.ExpiredOutcome(job)
	}
	if err := p.Settle(ctx, outcomes); err != nil {
		return false, err
	}
	return len(jobs) == batch, nil
}
