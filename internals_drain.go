package nawasync

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/tracker"
)

// Started reports whether the engine was started or stopped.
func (i internals) Started() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.started || i.stopped
}

// FirstDue returns the job that this engine could claim first, now or later. It reports whether
// there is one that does not wait for an operator.
func (i internals) FirstDue(ctx context.Context) (due jobstore.Due, found bool, err error) {
	var kinds []jobstore.Stream
	for kind := range i.handlers {
		kinds = append(kinds, jobstore.Stream{Service: kind.Service, Type: kind.Type, Action: kind.Action})
	}
	due, found, err = i.store.FirstDue(ctx, slices.Collect(maps.Keys(i.config.Queues)), kinds)
	return due, found && due.At.Before(tracker.Forever), err
}

// BudgetWait returns how long the job waits for the budget of its remote, or 0 if it can run now.
func (i internals) BudgetWait(ctx context.Context, due jobstore.Due) time.Duration {
	grant := i.reserveCalls(ctx, []jobstore.Stream{due.Stream}, 1)[0]
	if grant.Jobs == 0 {
		return max(grant.Wait, drainPause)
	}
	if grant.Return != nil {
		grant.Return(grant.Jobs)
	}
	return 0
}

// drainPause is the pause before another try to claim or settle a job whose row is locked.
const drainPause = time.Millisecond

// RunDue claims a due job, runs it in the caller's goroutine and writes its outcome. It is for tests:
// the engine is not started, so the job has no heartbeat, and the reaper of a started engine with the
// same database would take it over. RunDue runs nothing if the job waits behind another job of its
// lane or if its row is locked. When ctx ends, the job's context ends with ErrStopping. A job whose remote has no
// budget left runs all the same; BudgetWait tells.
func (i internals) RunDue(ctx context.Context, due jobstore.Due) error {
	r := i.handlers[Kind{due.Service, due.Type, due.Action}]
	look := due.Look(r.timeout())
	claim := func(worker string) (*jobstore.Claimed, error) {
		return i.store.ClaimDue(ctx, worker, []jobstore.Look{look}, 1)
	}
	if due.Probe {
		claim = func(worker string) (*jobstore.Claimed, error) { return i.store.ClaimProbe(ctx, worker, look) }
	}
	claimed, err := claim("drain-" + rand.Text())
	if err != nil {
		return err
	}
	if len(claimed.Blocked) > 0 {
		return i.store.Demote(ctx, claimed.Blocked)
	}
	if len(claimed.Jobs) == 0 {
		return sleep(ctx, drainPause)
	}
	if grant := i.reserveCalls(ctx, []jobstore.Stream{due.Stream}, 1)[0]; grant.Jobs > 0 && grant.Attach != nil {
		grant.Attach(claimed.Jobs[0])
	}
	jobCtx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	defer context.AfterFunc(ctx, func() { cancel(ErrStopping) })()
	return i.settleDrained(ctx, i.runJob(jobCtx, claimed.Jobs[0]))
}

// settleDrained writes an outcome, also after ctx has ended. It tries again while a row is locked,
// until ctx ends.
func (i internals) settleDrained(ctx context.Context, out *jobstore.Outcome) error {
	for {
		_, err := i.settle(context.WithoutCancel(ctx), []*jobstore.Outcome{out})
		var refused *jobstore.OnSuccessError
		var locked *jobstore.LockedError
		switch {
		case errors.As(err, &refused):
			out = i.onSuccessFailedOutcome(out, refused)
		case errors.As(err, &locked) && sleep(ctx, drainPause) == nil:
			out.Now = time.Time{}
		case err != nil:
			return fmt.Errorf("write the outcome of job %d: %w", out.Job.ID, err)
		default:
			return nil
		}
	}
}

// WhyOpen says why this engine has not ended an open job. scopes are the paused ones.
func (i internals) WhyOpen(job *tracker.Job, scopes []tracker.Scope) string {
	if job.Status == tracker.StatusRunning {
		return fmt.Sprintf("it runs in process %s", job.Worker)
	}
	if i.handlers[Kind{job.Service, job.Type, job.Action}] == nil {
		return "no handler is registered for its kind"
	}
	if _, ok := i.config.Queues[job.Queue]; !ok {
		return fmt.Sprintf("its queue %q is not in Config.Queues", job.Queue)
	}
	for _, s := range scopes {
		if s.Covers(job.Service, job.Instance) {
			return fmt.Sprintf("%s has paused %s/%s until %s", s.By, s.Service, s.Instance, untilText(s.Until))
		}
	}
	if job.NotBefore.After(i.store.Now()) {
		return "it is due at " + job.NotBefore.Format(time.RFC3339)
	}
	return "it is due, or waits for another job of its lane"
}

func untilText(until time.Time) string {
	if until.Before(tracker.Forever) {
		return until.Format(time.RFC3339)
	}
	return "Engine.Resume"
}
