// Package pruner ends expired jobs and deletes rows that were kept long enough.
package pruner

import (
	"context"
	"time"

	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/tracker"
)

// Pruner is the pruner of one process. Only one process prunes at a time.
type Pruner struct {
	Store    *jobstore.Store
	Interval time.Duration // between two ticks
	Holder   func() string // returns this process's id

	Success   time.Duration // how long successful jobs are kept
	Other     time.Duration // how long other finished jobs and recorded changes are kept
	Audit     time.Duration // how long entries of the audit log are kept
	Arguments time.Duration // how long jobs that finished without success keep their arguments
	Expiry    time.Duration // how long a job may stay queued after it first came due
	// ExpiredOutcome returns the outcome of an expired job.
	ExpiredOutcome func(job *jobstore.Job) *jobstore.Outcome
	// Settle writes outcomes.
	Settle func(ctx context.Context, outcomes []*jobstore.Outcome) error

	keysAfter  string             // the unique key after which the next tick looks for keys without an open job
	feedsAfter jobstore.FeedScope // the feed after which the next tick looks for cursors that nobody uses
}

const batch = 1000

// How long minute and hour rows of the statistics are kept. Day rows are kept forever.
const (
	keepMinutes = 7 * 24 * time.Hour
	keepHours   = 90 * 24 * time.Hour
)

// keepForms is how long a form of the pages that was sent is kept, so that the form cannot be sent again.
const keepForms = 24 * time.Hour

// keepCursors is how long the cursor of a feed is kept that nobody reads. Each job that reads a feed stores the cursor
// again once a day.
const keepCursors = 30 * 24 * time.Hour

// KeepDeliveries is how long an accepted request of a webhook is kept. Its signature must not be valid for longer.
const KeepDeliveries = 15 * time.Minute

// How long minute, hour and day rows of the counts of errors are kept. Pages read one hour of minutes, seven days of
// hours and 30 days of days.
const (
	keepErrorMinutes = 24 * time.Hour
	keepErrorHours   = 30 * 24 * time.Hour
	keepErrorDays    = 365 * 24 * time.Hour
)

// How long minute and hour rows of the calls of external APIs are kept, and endpoints without calls. Pages read
// an hour of minutes and 30 days of hours.
const (
	keepCallMinutes = 3 * time.Hour
	keepCallHours   = 31 * 24 * time.Hour
)

// Tick prunes one batch of each type of row, unless another process is pruning. more reports
// whether there is more to prune.
func (p *Pruner) Tick(ctx context.Context) (more bool, err error) {
	locked, err := p.Store.TryLock(ctx, "pruner", p.Holder(), 2*p.Interval)
	if err != nil || !locked {
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
	entries, err := p.Store.PruneAudit(ctx, now.Add(-p.Audit), batch)
	if err != nil {
		return false, err
	}
	forms, err := p.Store.PruneForms(ctx, now.Add(-keepForms), batch)
	if err != nil {
		return false, err
	}
	deliveries, err := p.Store.PruneDeliveries(ctx, now.Add(-KeepDeliveries), batch)
	if err != nil {
		return false, err
	}
	calls, err := p.Store.PruneCalls(ctx, now.Add(-keepCallMinutes), now.Add(-keepCallHours), now.Add(-keepCallHours), batch)
	if err != nil {
		return false, err
	}
	if full || calls || n == batch || entries == batch || forms == batch || deliveries == batch {
		return true, nil
	}
	if err := p.Store.DropArguments(ctx, now.Add(-p.Arguments)); err != nil {
		return false, err
	}
	if err := p.Store.PruneStats(ctx, now.Add(-keepMinutes), now.Add(-keepHours)); err != nil {
		return false, err
	}
	texts := now.Add(-min(p.Other, keepErrorDays))
	if err := p.Store.PruneErrors(ctx, now.Add(-keepErrorMinutes), now.Add(-keepErrorHours), now.Add(-keepErrorDays), texts); err != nil {
		return false, err
	}
	if err := p.Store.PrunePauses(ctx, now.Add(-2*p.Expiry)); err != nil {
		return false, err
	}
	if p.feedsAfter, err = p.Store.PruneCursors(ctx, p.feedsAfter, now.Add(-keepCursors), batch); err != nil {
		return false, err
	}
	p.keysAfter, err = p.Store.PruneKeys(ctx, p.keysAfter, batch)
	return false, err
}

// expire settles one batch of expired jobs. full reports whether there may be more.
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
