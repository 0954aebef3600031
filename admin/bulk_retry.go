package admin

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/tracker"
)

// A bulk retry asks again for what was asked for last: of one object and action it retries only the newest
// failure, so that an older password is not written over a newer one. The retries of one object are dispatched in
// the order of their originals.

// objectAction names an object and an action on it.
type objectAction struct {
	target tracker.Target
	action string
}

// retryChoice chooses the jobs that a bulk retry retries. Every choice looks at all later jobs of an object, also
// those that the query does not select.
type retryChoice struct {
	store     *tracker.Reader
	search    tracker.Search
	lastJobID int64
}

// retryDecision is why a job is left out, or "", and what else was dispatched for its object.
type retryDecision struct {
	reason skipReason
	later  tracker.LaterJobs
}

// decide returns the decision for each of the jobs, which the search selects, in their order.
func (c retryChoice) decide(ctx context.Context, jobs []*tracker.Job) ([]retryDecision, error) {
	decided := make([]retryDecision, len(jobs))
	newest := newestFailures(jobs)
	for i, job := range jobs {
		decided[i].reason = skipReasonFor("retry", job)
		if decided[i].reason == "" && newest[objectAction{job.Target(), job.Action}] != job {
			decided[i].reason = reasonOlder
		}
	}
	if len(newest) < len(jobs) { // some objects have many failures
		if err := c.leaveOutOlder(ctx, jobs, decided); err != nil {
			return nil, err
		}
	}
	later, err := c.store.LaterJobs(ctx, undecided(jobs, decided))
	if err != nil {
		return nil, err
	}
	selected, err := c.selectedOf(ctx, later)
	if err != nil {
		return nil, err
	}
	for i, job := range jobs {
		if decided[i].reason != "" {
			continue
		}
		l := later[job.ID]
		reason := reasonOfLater(l)
		if reason == "" && l.SameDropped != 0 {
			older := selected[l.SameDropped]
			if !older {
				if older, err = c.selectsLater(ctx, job); err != nil {
					return nil, err
				}
			}
			if older {
				reason = reasonOlder
			}
		}
		decided[i] = retryDecision{reason, l}
	}
	return decided, nil
}

// undecided returns the jobs that nothing stands in the way of yet.
func undecided(jobs []*tracker.Job, decided []retryDecision) (list []*tracker.Job) {
	for i, job := range jobs {
		if decided[i].reason == "" {
			list = append(list, job)
		}
	}
	return list
}

// leaveOutOlder decides about jobs that a later failure stands in the way of. Looking for all later jobs of an
// object with very many would take long.
func (c retryChoice) leaveOutOlder(ctx context.Context, jobs []*tracker.Job, decided []retryDecision) error {
	failed, err := c.store.SameFailed(ctx, undecided(jobs, decided))
	for i, job := range jobs {
		if decided[i].reason == "" && failed[job.ID] != 0 {
			decided[i].reason = reasonOlder
		}
	}
	return err
}

// newestFailures returns the job of each object and action that asked for the latest change, of those that ended
// without success.
func newestFailures(jobs []*tracker.Job) map[objectAction]*tracker.Job {
	newest := map[objectAction]*tracker.Job{}
	for _, job := range jobs {
		key := objectAction{job.Target(), job.Action}
		other := newest[key]
		ended := job.Status.Terminal() && job.Status != tracker.StatusSuccess
		if ended && (other == nil || compareWishes(job, other) > 0) {
			newest[key] = job
		}
	}
	return newest
}

// A cancelled or skipped job that the search does not select was dropped, and does not stand in the way of an
// earlier failure.

// selectsDropped reports whether the search can select cancelled or skipped jobs.
func (c retryChoice) selectsDropped() bool {
	return slices.ContainsFunc([]tracker.Status{tracker.StatusCancelled, tracker.StatusSkipped}, func(status tracker.Status) bool {
		return !slices.ContainsFunc(c.search.Terms, func(t tracker.Term) bool {
			return t.Field == tracker.FieldStatus && slices.Contains(t.Values, string(status)) == t.Not
		})
	})
}

// selectedOf returns which of the newest cancelled or skipped later jobs the search selects.
func (c retryChoice) selectedOf(ctx context.Context, later map[int64]tracker.LaterJobs) (map[int64]bool, error) {
	var ids []string
	for _, l := range later {
		if l.SameDropped != 0 && l.SameDropped <= c.lastJobID && c.selectsDropped() {
			ids = append(ids, strconv.FormatInt(l.SameDropped, 10))
		}
	}
	selected := map[int64]bool{}
	if len(ids) == 0 {
		return selected, nil
	}
	search := c.search
	search.Terms = append([]tracker.Term{{Field: tracker.FieldID, Values: ids}}, search.Terms...)
	results, err := c.store.Search(ctx, withLimit(search, 0, 500))
	for _, job := range results.Jobs {
		selected[job.ID] = true
	}
	return selected, err
}

// selectsLater reports whether the search selects any later cancelled or skipped job of the object and action.
func (c retryChoice) selectsLater(ctx context.Context, job *tracker.Job) (bool, error) {
	if !c.selectsDropped() {
		return false, nil
	}
	search := withLimit(c.search, c.lastJobID+1, 500)
	search.Targets = []tracker.Target{job.Target()}
	search.Terms = append([]tracker.Term{
		{Field: tracker.FieldAction, Values: []string{job.Action}},
		{Field: tracker.FieldStatus, Values: []string{string(tracker.StatusCancelled), string(tracker.StatusSkipped)}},
	}, search.Terms...)
	results, err := c.store.Search(ctx, search)
	return slices.ContainsFunc(results.Jobs, func(other *tracker.Job) bool {
		return other.Target() == job.Target() && compareWishes(other, job) > 0
	}), err
}

// compareWishes compares two jobs of one object by when their change was asked for.
func compareWishes(a, b *tracker.Job) int {
	return cmp.Or(cmp.Compare(a.OriginalID(), b.OriginalID()), cmp.Compare(a.ID, b.ID))
}

// reasonOfLater returns why the later jobs of an object forbid a retry, or "".
func reasonOfLater(l tracker.LaterJobs) skipReason {
	switch {
	case l.Succeeded != 0:
		return reasonSuperseded
	case l.SameOpen != 0:
		return reasonLaterOpen
	case l.SameFailed != 0:
		return reasonOlder
	}
	return ""
}

// retryJob retries one job of a run, unless something is in the way by now.
func (w *bulkWork) retryJob(ctx context.Context, job *tracker.Job) (skipReason, error) {
	decided, err := w.choice.decide(ctx, []*tracker.Job{job})
	if err != nil {
		return "", err
	}
	if decided[0].reason != "" {
		return decided[0].reason, nil
	}
	if decided[0].later.Overtaken != 0 {
		if err := w.retryOvertaken(ctx, job); err != nil {
			return "", err
		}
	}
	return w.retryNow(ctx, job)
}

// retryOvertaken first retries the jobs of the run that ask for an earlier change of the same object, but have a
// higher id because they are retries themselves. The run counts them when it gets to them.
func (w *bulkWork) retryOvertaken(ctx context.Context, job *tracker.Job) error {
	search := w.choice.search
	search.Targets, search.After, search.Before, search.Limit = []tracker.Target{job.Target()}, job.ID, w.choice.lastJobID+1, 500
	results, err := w.choice.store.Search(ctx, search)
	if err != nil {
		return err
	}
	earlier := slices.DeleteFunc(results.Jobs, func(other *tracker.Job) bool {
		return other.OriginalID() >= job.OriginalID() || other.Target() != job.Target()
	})
	slices.SortFunc(earlier, compareWishes)
	decided, err := w.choice.decide(ctx, earlier)
	if err != nil {
		return err
	}
	for i, other := range earlier {
		if decided[i].reason != "" || !w.mayReachMore() {
			continue
		}
		reason, err := w.retryNow(ctx, other)
		if err != nil && ctx.Err() != nil {
			return err
		}
		if err == nil && reason == "" { // another error is counted when the run gets to the job
			w.ahead[other.ID] = true
		}
	}
	return nil
}

// retryNow retries one job. A job that this run has already retried counts as retried now.
func (w *bulkWork) retryNow(ctx context.Context, job *tracker.Job) (skipReason, error) {
	o := w.operator()
	next, err := w.engine.Internals(host.NewKey()).
		RetryFor(w.actionContext(ctx, job), w.run.Job().ID, job.ID, nawasync.RetryOptions{By: o.By, Reason: o.Reason, Address: o.Address})
	var retried *jobstore.RetriedError
	switch {
	case errors.As(err, &retried):
		return w.reasonOfRetry(ctx, retried.As)
	case err != nil:
		return "", err
	case next.Coalesced && next.OriginalID() != job.OriginalID():
		return reasonLaterOpen, nil // it holds the unique key
	case next.Coalesced:
		return w.reasonOfRetry(ctx, next.ID)
	}
	return "", nil
}

// reasonOfRetry returns "" if this run has made the retry with the id, and else reasonRetried.
func (w *bulkWork) reasonOfRetry(ctx context.Context, id int64) (skipReason, error) {
	results, err := w.engine.Reader().Search(ctx, tracker.Search{Terms: []tracker.Term{
		{Field: tracker.FieldID, Values: []string{strconv.FormatInt(id, 10)}},
		{Field: tracker.FieldRun, Values: []string{strconv.FormatInt(w.run.Job().ID, 10)}},
	}, Limit: 1})
	if err != nil || len(results.Jobs) > 0 {
		return "", err
	}
	return reasonRetried, nil
}

// decide returns why the action leaves out each of the jobs, or "".
func (v *bulkView) decide(ctx context.Context, jobs []*tracker.Job) ([]retryDecision, error) {
	if v.action == "retry" {
		return retryChoice{limited(v.h.reader, v.visible), v.search, v.lastJobID}.decide(ctx, jobs)
	}
	decided := make([]retryDecision, len(jobs))
	for i, job := range jobs {
		decided[i].reason = skipReasonFor(v.action, job)
	}
	return decided, nil
}

// countLater counts a job that will be retried by the later jobs of its object.
func (v *bulkView) countLater(l tracker.LaterJobs) {
	if l.Open != 0 {
		v.laterOpen++
	}
	if l.Failed != 0 {
		v.laterFailed++
	}
}
