package admin

import (
	"strings"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin/internal/format"
	"github.com/nawasara/nawasync/admin/internal/query"
	"github.com/nawasara/nawasync/tracker"
)

// selectAllText returns the label of the checkbox that selects all matching jobs.
func (v *jobsView) selectAllText() string {
	if !v.counted {
		return v.T("All jobs that match")
	}
	total := v.countOf(v.query)
	if total > tracker.MaxCount {
		return v.Tf("All %s jobs that match", v.cappedCount(total))
	}
	return v.plural(int64(total), "The 1 job that matches", "All %s jobs that match")
}

// viewTitle returns the title of the list, which names the view or the query.
func (v *jobsView) viewTitle() string {
	name := format.Cut(v.queryText, 80)
	for _, view := range append(v.namedQueries(), v.viewLinks()...) {
		if view.current {
			name = view.name
		}
	}
	if name == "" {
		return v.T("Jobs")
	}
	return v.Tf("Jobs: %s", name)
}

// searchedText returns how far a search without an index came, or "".
func (v *jobsView) searchedText() string {
	r := v.results
	switch {
	case r.Searched == 0 && r.Partial && v.wantsNewer():
		return v.T("The search has not reached the newest jobs yet. “Newer” continues it, for up to a second.")
	case r.Searched == 0 && r.Partial:
		return v.T("The search has not reached the oldest jobs yet. “Older” continues it, for up to a second; a service, a status or a time range makes it faster.")
	case r.Searched == 0:
		return ""
	case r.Partial && v.wantsNewer():
		return v.Tf("Searched %s newer jobs up to %s. “Newer” continues the search, for up to a second.", format.Thousands(v, r.Searched), v.fullTime(r.Reached))
	case r.Partial:
		return v.Tf("Searched %s jobs back to %s. “Older” continues the search, for up to a second; a service, a status or a time range makes it faster.",
			format.Thousands(v, r.Searched), v.fullTime(r.Reached))
	}
	return v.plural(r.Searched, "Searched the 1 job that matches the other terms.", "Searched all %s jobs that match the other terms.")
}

// dispatchExample is the line that produces a job.
const dispatchExample = `engine.Dispatch(ctx, args, nawasync.Options{By: "user:7"})`

// firstUse reports whether there has been no job yet.
func (v *jobsView) firstUse() bool { return v.queryText == "" && v.viewer.views() == nil }

// emptyReason returns why the list is empty, and links that may help.
func (v *jobsView) emptyReason() (text string, links []navLink) {
	clearFilters := navLink{name: v.T("Clear filters"), url: v.clearURL()}
	switch {
	case v.firstUse():
		return v.T("No jobs yet. Jobs appear here as soon as the application dispatches one:"), nil
	case v.queryText == "":
		return v.T("No jobs in the services and instances that you may view."), nil
	case v.results.Partial && v.wantsNewer():
		return v.T("No matches so far."), []navLink{{name: v.T("Continue the search"), url: v.newer()}, clearFilters}
	case v.results.Partial:
		return v.T("No matches so far."), []navLink{{name: v.T("Continue the search"), url: v.older()}, clearFilters}
	case v.query.Has("since", "created", "ended"):
		return v.T("No jobs match in this time range."), []navLink{{name: v.T("Search all time"), url: v.link(v.anyTime())}, clearFilters}
	}
	return v.T("No jobs match."), []navLink{clearFilters}
}

// clearURL returns the URL of the list without a query.
func (v *jobsView) clearURL() string { return v.link(query.Query{}) }

// captionText names the table and its order.
func (v *jobsView) captionText() string {
	if v.sort == oldestFirst {
		return v.T("Jobs, oldest first")
	}
	return v.T("Jobs, newest first")
}

// retentionText returns how long ended jobs are kept.
func (v *jobsView) retentionText() string {
	return v.Tf("Succeeded jobs are kept for %d days after they end, all other jobs for %d days.",
		v.retentionDays(tracker.StatusSuccess), v.retentionDays(tracker.StatusFailed))
}

// retentionDays returns for how many days jobs with the status are kept.
func (p *request) retentionDays(s tracker.Status) int {
	return int(p.h.engine.Retention(s).Hours() / 24)
}

// waitedRan returns how long a job waited after it was first due, and how long its last attempt ran.
func (p *request) waitedRan(j *tracker.Job) string {
	switch {
	case j.StartedAt.IsZero() && j.Status.Terminal():
		return "–"
	case j.StartedAt.IsZero():
		return format.Span(p, p.now.Sub(j.DueAt)) + ", –"
	case j.Status == tracker.StatusRunning:
		return format.Span(p, j.StartedAt.Sub(j.DueAt)) + ", " + format.Span(p, p.now.Sub(j.StartedAt)) + "…"
	}
	return format.Span(p, j.StartedAt.Sub(j.DueAt)) + ", " + format.Span(p, j.Duration)
}

// label returns the name of the job's action.
func (p *request) label(j *tracker.Job) string {
	if p.h.config.ActionLabel != nil {
		if name := p.h.config.ActionLabel(nawasync.Kind{Service: j.Service, Type: j.Type, Action: j.Action}); name != "" {
			return name
		}
	}
	return strings.ReplaceAll(j.Action, "_", " ")
}
