package nawasynctest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/tracker"
)

// maxTries is how often Drain tries to run one job.
const maxTries = 300

// Drain runs the jobs of an engine one by one in the caller's goroutine until none is open, including
// the jobs that other jobs dispatch. The next job is always the one that is due first; of several,
// the one that was dispatched first. When no job is due, Drain moves the clock to the time of the next
// one: it never waits for a delay, a backoff, RetryAfter, a parked scope, the budget of a remote or Redis. It leaves
// the clock where the last job was due. A remote with a budget needs the same clock, in remote.Config.Now. Only the timeout of an attempt is in real time.
//
// The engine must not be started, and its Config.Now must be clock.Now. It must be the only engine that
// runs jobs of its database. Drain runs no schedules and no retention.
//
// Drain returns an error that names up to ten jobs that it cannot end: no handler is registered for the
// kind, the queue is not in Config.Queues, or an operator has paused the scope without an end. It runs
// all other jobs first. It also returns an error if a job has not ended after 300 tries, or if ctx ends.
// The attempt that then runs gets the cause nawasync.ErrStopping and is not consumed.
func Drain(ctx context.Context, e *nawasync.Engine, clock *Clock) error {
	internals := e.Internals(host.NewKey())
	if internals.Started() {
		return errors.New("drain: the engine was started or stopped; drain an engine before Start, or use WaitEnded")
	}
	tries := map[int64]int{}
	for ctx.Err() == nil {
		due, found, err := internals.FirstDue(ctx)
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("drain: %w", err)
		}
		if !found {
			break
		}
		if clock != nil {
			clock.reach(due.At)
		}
		if clock == nil || internals.Store().Now().Before(due.At) {
			return fmt.Errorf("drain: job %d is not due yet, and the engine does not use the clock; set Config.Now to clock.Now", due.ID)
		}
		awaitBudget(ctx, clock, func() time.Duration { return internals.BudgetWait(ctx, due) })
		if tries[due.ID]++; tries[due.ID] > maxTries {
			return fmt.Errorf("drain: gave up on job %d after %d tries: %w", due.ID, maxTries, openJobs(ctx, e))
		}
		if err := internals.RunDue(ctx, due); err != nil && ctx.Err() == nil {
			return fmt.Errorf("drain: %w", err)
		}
	}
	open := openJobs(ctx, e)
	switch {
	case ctx.Err() != nil && open != nil:
		return fmt.Errorf("drain: %w: %w", context.Cause(ctx), open)
	case open != nil:
		return fmt.Errorf("drain: %w", open)
	}
	return nil
}

// maxBudgetWait is how long a job waits for the budget of its remote. It is longer than the windows of most APIs: with
// another clock than the engine's, the budget never ends a wait.
const maxBudgetWait = 2 * time.Hour

// awaitBudget moves the clock until a job has the budget that it needs, as a worker leaves the job alone until then.
func awaitBudget(ctx context.Context, clock *Clock, left func() time.Duration) {
	if clock == nil {
		return
	}
	for end := clock.Now().Add(maxBudgetWait); ctx.Err() == nil && clock.Now().Before(end); {
		wait := left()
		if wait <= 0 {
			return
		}
		clock.Advance(wait)
	}
}

const (
	maxOpen     = 10              // how many jobs an error of Drain names
	openTimeout = 5 * time.Second // how long Drain may take to list them
)

// openJobs returns an error that names the open jobs and why they are open, or nil if there are none.
func openJobs(ctx context.Context, e *nawasync.Engine) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), openTimeout)
	defer cancel()
	open := tracker.Term{Field: tracker.FieldStatus, Values: []string{string(tracker.StatusQueued), string(tracker.StatusRunning)}}
	found, err := e.Reader().Search(ctx, tracker.Search{Terms: []tracker.Term{open}, Oldest: true, Limit: maxOpen + 1})
	if err != nil || len(found.Jobs) == 0 {
		return err
	}
	scopes, err := e.Reader().Scopes(ctx)
	if err != nil {
		return err
	}
	var lines []string
	for _, job := range slices.Backward(found.Jobs) { // a page lists newer jobs first
		if len(lines) == maxOpen {
			lines = append(lines, "and others")
			break
		}
		line := fmt.Sprintf("job %d, %s/%s/%s of %q: %s", job.ID, job.Service, job.Type, job.Action, job.TargetID, e.Internals(host.NewKey()).WhyOpen(job, scopes))
		if job.Error != "" {
			line += "; its last error: " + job.Error
		}
		lines = append(lines, line)
	}
	return errors.New("these jobs have not ended: " + strings.Join(lines, "; "))
}
