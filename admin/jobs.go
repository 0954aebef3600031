package admin

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/nawasara/nawasync/admin/internal/chart"
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

// canManage reports whether the subject may select jobs for a bulk action.
func (v *jobsView) canManage() bool { return v.viewer.allowedAnywhere(PermissionManage) }

// offeredActions returns the bulk actions that can apply to the listed jobs.
func (v *jobsView) offeredActions() []string {
	if v.query.Value("is") == "deleted" {
		return []string{"restore"}
	}
	return []string{"retry", "cancel", "delete"}
}

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
