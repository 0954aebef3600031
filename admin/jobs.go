package admin

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin/internal/chart"
	"github.com/nawasara/nawasync/admin/internal/format"
	"github.com/nawasara/nawasync/admin/internal/query"
	"github.com/nawasara/nawasync/tracker"
)

// jobsView is the data of the job list.
type jobsView struct {
	*request
	query      query.Query
	queryText  string // the canonical text of the query, or the text as entered if it is invalid
	queryError *query.Error
	results    tracker.Results
	counts     map[tracker.Status]int
	counted    bool   // counts is complete
	problem    string // why the counts or the chart are missing
	size       int
	sort       string // the URL parameter
	services   []string
	objects    []tracker.Target // objects that are called like the search word
	chart      chart.BarChart
	groups     *groupedJobs // nil if the list is not grouped
	views      viewMenu
}

// formFields are the query fields that the plain form has inputs for.
var formFields = []string{"service", "type", "instance", "action", "target", "by", "error", "since", "ended"}

func (p *request) jobs() error {
	if p.r.URL.Query().Has("form") {
		return p.queryFromForm()
	}
	v := p.newJobsView(p.r.URL.Query().Get("q"))
	q, err := query.Parse(v.queryText, p.zone)
	if wrong, ok := errors.AsType[*query.Error](err); ok {
		return p.wrongQuery(v.queryText, wrong)
	}
	v.query, v.queryText = q, q.String()
	search, err := p.search(q)
	if err != nil {
		return err
	}
	if v.groups, err = v.loadGroups(p.r.Context(), search); err != nil {
		return err
	}
	if v.groups == nil {
		search.MaxTime = p.searchTime()
		if v.results, err = p.searchPage(search); err != nil {
			return err
		}
	}
	if v.results.Searched == 0 { // such a search costs up to a second of the reader's quota
		p.refreshWhile(refreshList, v.results.Jobs...)
	}
	p.title = v.viewTitle()
	// What the jobs change, the objects, the counts and the chart may fail or time out without hiding the list.
	ctx, cancel := context.WithTimeout(p.r.Context(), p.h.config.Timeout/5)
	defer cancel()
	if err := p.store().LoadDetails(ctx, v.results.Jobs); err != nil {
		p.h.config.Logger.Error("a list of jobs shows no changes", "error", err)
	}
	if v.objects, err = v.findObjects(ctx); err != nil {
		p.h.config.Logger.Error("object search failed", "error", err)
		v.problem = p.T("The objects could not be searched. The list below is complete.")
	}
	if v.counts, v.counted, err = p.store().Counts(ctx, search); err != nil {
		v.problem = p.T("The counts could not be read in time. The list below is complete.")
	}
	if v.chart, err = p.jobsChart(ctx, q, search); err != nil {
		v.problem = p.T("The counts could not be read in time. The list below is complete.")
	}
	return p.render(jobsPage(v))
}

func (p *request) newJobsView(queryText string) *jobsView {
	p.title, p.section = p.T("Jobs"), "jobs"
	return &jobsView{request: p, queryText: queryText, size: p.pageSize(), sort: p.sortParam(), services: p.viewer.visibleServices(), views: p.loadViews()}
}

// wrongQuery shows the job list with an invalid query in its search box, and no jobs.
func (p *request) wrongQuery(queryText string, wrong *query.Error) error {
	v := p.newJobsView(queryText)
	v.queryError = wrong
	p.renderStatus(http.StatusUnprocessableEntity, jobsPage(v))
	return nil
}

// queryFromForm redirects the plain form, and the search box of the header, to the list with the same query.
// The list shows what is wrong with it.
func (p *request) queryFromForm() error {
	values := p.r.URL.Query()
	var fields query.Query
	for _, field := range append([]string{"status"}, formFields...) {
		var list []string
		for _, value := range values[field] {
			list = append(list, query.ParseInput(value)...)
		}
		fields = fields.And(field, list...)
	}
	rest := values.Get("rest")
	q, err := query.Parse(strings.TrimSpace(fields.String()+" "+rest), p.zone)
	if err != nil {
		return p.redirect(p.url("/jobs", "q", strings.TrimSpace(fields.String()+" "+rest), "n", values.Get("n"), "sort", p.sortParam(), "group", p.groupParam()))
	}
	// A number alone, typed in the search field of the header, is a job ID.
	if id, err := strconv.ParseInt(q.String(), 10, 64); err == nil && id > 0 {
		return p.redirect(p.jobURL(id))
	}
	return p.redirect(p.url("/jobs", "q", q.String(), "n", values.Get("n"), "sort", p.sortParam(), "group", p.groupParam()))
}

// search turns the query into a store search.
func (p *request) search(q query.Query) (tracker.Search, error) {
	s, err := q.Search(p.now, p.zone)
	if err != nil {
		return s, err
	}
	targets := q.Values("target")
	if len(targets) == 0 || s.Deleted {
		return s, nil
	}
	// The index needs complete targets: the service, type and instance in addition to the ID.
	scopes, err := p.store().TargetScopes(p.r.Context())
	if err != nil {
		return s, err
	}
	s.Targets = []tracker.Target{}
	for _, scope := range scopes {
		if !q.Allows("service", scope.Service) || !q.Allows("type", scope.Type) || !q.Allows("instance", scope.Instance) {
			continue
		}
		for _, target := range targets {
			s.Targets = append(s.Targets, tracker.Target{Service: scope.Service, Type: scope.Type, Instance: scope.Instance, ID: target})
		}
	}
	if len(s.Targets) > 500 {
		s.Targets = nil // too many for one statement; the store then filters row by row, up to its limit
	}
	return s, nil
}

// link returns the URL of the first page of the list with another query.
func (v *jobsView) link(q query.Query) string {
	return v.url("/jobs", "q", q.String(), "n", v.shownSize(), "sort", v.sort, "group", v.groupParam())
}

// navLink is a link in a navigation, such as a tab.
type navLink struct {
	name, url, count string
	current          bool
	status           tracker.Status // adds the sign of the status; "" adds none
}

func (v *jobsView) tabs() []navLink {
	now, every := v.query.Only("status"), v.query.With("status")
	all := navLink{name: v.T("All"), url: v.link(every), current: !v.query.Has("status")}
	if v.counted {
		all.count = v.cappedCount(v.countOf(every))
	}
	list := []navLink{all}
	for _, status := range tracker.Statuses() {
		q := v.query.With("status", string(status))
		t := navLink{name: v.status(status), status: status, url: v.link(q), current: now == string(status)}
		if v.counted {
			t.count = v.cappedCount(v.countOf(q))
		}
		list = append(list, t)
	}
	return list
}

// countOf returns the number of jobs of a query that differs from the page's by its status terms only. The
// counts are those without any status term.
func (v *jobsView) countOf(q query.Query) int {
	total := 0
	for status, n := range v.counts {
		if q.Allows("status", string(status)) {
			total += n
		}
	}
	return total
}

func (p *request) cappedCount(n int) string {
	if n > tracker.MaxCount {
		return format.Thousands(p, tracker.MaxCount) + "+"
	}
	return format.Thousands(p, int64(n))
}

// canManage reports whether the subject may select jobs for a bulk action.
func (v *jobsView) canManage() bool { return v.viewer.allowedAnywhere(PermissionManage) }

// offeredActions returns the bulk actions that can apply to the listed jobs.
func (v *jobsView) offeredActions() []string {
	if v.query.Value("is") == "deleted" {
		return []string{"restore"}
	}
	return []string{"retry", "cancel", "delete"}
}

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

// namedQueries returns links to frequently needed queries.
func (v *jobsView) namedQueries() []navLink {
	var list []navLink
	for _, named := range []struct{ name, query string }{
		{v.T("Unresolved"), "status:conflict,failed -is:repaired -is:retried"},
		{v.T("Stuck"), "is:stuck"},
		{v.T("Deleted"), "is:deleted"},
	} {
		list = append(list, navLink{name: named.name, url: v.url("/jobs", "q", named.query), current: v.queryText == named.query})
	}
	return list
}

// timeField returns the query field that the time links set: "since" for when jobs were created, or
// "ended".
func (v *jobsView) timeField() string {
	if v.query.Has("ended") {
		return "ended"
	}
	return "since"
}

func (v *jobsView) timeFieldName() string {
	if v.timeField() == "ended" {
		return v.T("Ended within")
	}
	return v.T("Created within")
}

// windows returns the time links, and a link that switches between creation and end. A link for one of the
// two keeps what the query says about the other.
func (v *jobsView) windows() []navLink {
	field, others := v.timeField(), v.query.With("ended")
	if field == "since" {
		others = v.query.With("since").With("created")
	}
	list := []navLink{{name: v.T("Any time"), url: v.link(v.anyTime()), current: !v.query.Has("since", "created", "ended")}}
	for _, w := range []string{"15m", "1h", "24h", "7d", "30d"} {
		current := v.query.Only(field) == w && (field == "ended" || !v.query.Has("created"))
		list = append(list, navLink{name: v.windowName(w), url: v.link(others.With(field, w)), current: current})
	}
	switch {
	case field == "since":
		return append(list, navLink{name: v.T("Ended"), url: v.link(others.With("ended", "24h"))})
	case !others.Has("since", "created"):
		others = others.With("since", "24h")
	}
	return append(list, navLink{name: v.T("Created"), url: v.link(others)})
}

// currentWindow returns the name of the time range.
func (v *jobsView) currentWindow() string {
	for _, w := range v.windows() {
		if w.current {
			return w.name
		}
	}
	return v.T("custom")
}

// anyTime returns the query without its time range.
func (v *jobsView) anyTime() query.Query { return v.query.With("since").With("created").With("ended") }

// extraTerms returns the terms of the query that no input of the plain form shows, or all of an invalid query.
func (v *jobsView) extraTerms() string {
	if v.queryError != nil {
		return v.queryText
	}
	return v.query.Rest(append([]string{"status"}, formFields...)...).String()
}

// serviceChoices returns the services that the plain form offers. A query may name others, or several.
func (v *jobsView) serviceChoices() []string {
	now := v.query.Input("service")
	if now == "" || slices.Contains(v.services, now) {
		return v.services
	}
	return append([]string{now}, v.services...)
}

func (v *jobsView) exportURL(format string) string { return v.url("/jobs."+format, "q", v.queryText) }

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

// input is a text input of the plain form.
type input struct{ field, name, value string }

func (v *jobsView) inputs() []input {
	names := map[string]string{
		"type": v.T("Type"), "instance": v.T("Instance"), "action": v.T("Action"), "target": v.T("Object"), "by": v.T("By"), "error": v.T("Error contains"),
		"since": v.T("Created within"), "ended": v.T("Ended within"),
	}
	var list []input
	for _, field := range formFields[1:] {
		list = append(list, input{field, names[field], v.query.Input(field)})
	}
	return list
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
