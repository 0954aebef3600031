package admin

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin/internal/chart"
	"github.com/nawasara/nawasync/admin/internal/format"
	"github.com/nawasara/nawasync/admin/internal/query"
	"github.com/nawasara/nawasync/tracker"
)

// jobsView is the list of jobs.
type jobsView struct {
	*request
	query      query.Query
	queryText  string // as it was asked; the canonical one unless it is wrong
	queryError *query.Error
	results    tracker.Results
	counts     map[tracker.Status]int
	counted    bool   // the counts could be made
	problem    string // of the counts or the strip, which alone are missing then
	size       int
	services   []string
	chart      chart.BarChart
}

var pageSizes = []int{25, 50, 100}

// formFields are the fields of the plain form; each is a term of the query line.
var formFields = []string{"service", "type", "instance", "action", "target", "by", "error", "since", "ended"}

func (p *request) jobs() error {
	if p.r.URL.Query().Has("form") {
		return p.queryFromForm()
	}
	v := &jobsView{request: p, queryText: p.r.URL.Query().Get("q"), size: p.size(), services: p.viewer.visible()}
	p.title, p.section = p.T("Jobs"), "jobs"
	q, err := query.Parse(v.queryText, p.zone)
	if errors.As(err, &v.queryError) {
		p.renderStatus(http.StatusUnprocessableEntity, jobsPage(v))
		return nil
	}
	v.query, v.queryText = q, q.String()
	search, err := p.search(q)
	if err != nil {
		return err
	}
	search = p.withPage(search)
	if v.results, err = p.store().Search(p.r.Context(), search); err != nil {
		return err
	}
	// Each of the others fails alone: the list is what matters.
	ctx, cancel := context.WithTimeout(p.r.Context(), p.h.config.Timeout/5)
	defer cancel()
	if v.counts, v.counted, err = p.store().Counts(ctx, search); err != nil {
		v.problem = p.T("The counts are not available just now; the list is current.")
	}
	if v.chart, err = p.jobsChart(ctx, q, search); err != nil {
		v.problem = p.T("The counts are not available just now; the list is current.")
	}
	return p.render(jobsPage(v))
}

// queryFromForm turns the plain form into the query line.
func (p *request) queryFromForm() error {
	values := p.r.URL.Query()
	q, err := query.Parse(values.Get("rest"), p.zone)
	if err != nil {
		q = query.Query{}
	}
	for _, field := range append([]string{"status"}, formFields...) {
		var list []string
		for _, value := range values[field] {
			if value = strings.TrimSpace(value); value != "" {
				list = append(list, value)
			}
		}
		q = q.With(field, list...)
	}
	// A jump: an id alone is that job.
	if id, err := strconv.ParseInt(q.String(), 10, 64); err == nil && id > 0 {
		return p.redirect(p.jobURL(id))
	}
	return p.redirect(p.url("/jobs", "q", q.String(), "n", values.Get("n")))
}

// search is what the store is asked, within what the subject may see.
func (p *request) search(q query.Query) (tracker.Search, error) {
	s, err := q.Search(p.now, p.zone)
	if err != nil {
		return s, err
	}
	s.Services = p.viewer.services()
	targets := q.Values("target")
	if len(targets) == 0 || s.Deleted {
		return s, nil
	}
	places, err := p.store().TargetScopes(p.r.Context())
	if err != nil {
		return s, err
	}
	s.Targets = []tracker.Target{}
	for _, place := range places {
		if !pageFits(q, "service", place.Service) || !pageFits(q, "type", place.Type) || !pageFits(q, "instance", place.Instance) ||
			(s.Services != nil && !slices.Contains(s.Services, place.Service)) {
			continue
		}
		for _, target := range targets {
			s.Targets = append(s.Targets, tracker.Target{Service: place.Service, Type: place.Type, Instance: place.Instance, ID: target})
		}
	}
	if len(s.Targets) > 500 {
		s.Targets = nil // row by row then, with its limit
	}
	return s, nil
}

func pageFits(q query.Query, field, value string) bool {
	values := q.Values(field)
	return len(values) == 0 || slices.Contains(values, value)
}

func (p *request) number(name string) int64 {
	n, err := strconv.ParseInt(p.r.URL.Query().Get(name), 10, 64)
	if err != nil {
		return 0
	}
	return max(0, n)
}

// fromOldest is the parameter after of the page at the old end of a list.
const fromOldest = "-1"

// wantsNewer reports whether the page is one that was reached from an older one.
func (p *request) wantsNewer() bool {
	return p.r.URL.Query().Get("after") == fromOldest || p.number("after") > 0
}

// withPage is a search for the page of the list that the request names.
func (p *request) withPage(s tracker.Search) tracker.Search {
	s.Before, s.After, s.Oldest = p.number("before"), p.number("after"), p.r.URL.Query().Get("after") == fromOldest
	s.Limit = p.size()
	return s
}

func (p *request) size() int {
	if n := int(p.number("n")); slices.Contains(pageSizes, n) {
		return n
	}
	return 50
}

// link is this list with another query; its place in it begins anew.
func (v *jobsView) link(q query.Query) string {
	return v.url("/jobs", "q", q.String(), "n", v.shownSize())
}

func (v *jobsView) shownSize() string {
	if v.size == 50 {
		return ""
	}
	return strconv.Itoa(v.size)
}

func (v *jobsView) older() string {
	return v.url("/jobs", "q", v.queryText, "n", v.shownSize(), "before", strconv.FormatInt(v.results.Older, 10))
}

func (v *jobsView) oldest() string {
	return v.url("/jobs", "q", v.queryText, "n", v.shownSize(), "after", fromOldest)
}

func (v *jobsView) newer() string {
	return v.url("/jobs", "q", v.queryText, "n", v.shownSize(), "after", strconv.FormatInt(v.results.Newer, 10))
}

// navLink is one of the tabs over the list.
type navLink struct {
	name, url, count string
	current          bool
	status           tracker.Status // "" for all
}

func (v *jobsView) tabs() []navLink {
	now := v.query.Values("status")
	total := 0
	for _, n := range v.counts {
		total += n
	}
	all := navLink{name: v.T("All"), url: v.link(v.query.With("status")), current: len(now) == 0}
	if v.counted {
		all.count = cappedCount(total)
	}
	list := []navLink{all}
	for _, status := range tracker.Statuses() {
		t := navLink{name: v.status(status), status: status, url: v.link(v.query.With("status", string(status))), current: len(now) == 1 && now[0] == string(status)}
		if v.counted {
			t.count = cappedCount(v.counts[status])
		}
		list = append(list, t)
	}
	return list
}

func cappedCount(n int) string {
	if n > tracker.MaxCount {
		return format.Thousands(tracker.MaxCount) + "+"
	}
	return format.Thousands(int64(n))
}

// manages reports whether the subject may select jobs for an act.
func (v *jobsView) manages() bool { return v.viewer.anywhere(PermissionManage) }

// bulkActions are the acts that can fit what is listed.
func (v *jobsView) bulkActions() []string {
	if v.query.Value("is") == "deleted" {
		return []string{"restore"}
	}
	return []string{"retry", "cancel", "delete"}
}

// allText offers all that match, with their number where it is known.
func (v *jobsView) allText() string {
	if !v.counted {
		return v.T("All that match the query")
	}
	total := 0
	asked := v.query.Values("status")
	for status, n := range v.counts {
		if len(asked) == 0 || slices.Contains(asked, string(status)) {
			total += n
		}
	}
	return v.Tf("All %s that match the query", cappedCount(total))
}

// views are the named queries.
func (v *jobsView) views() []navLink {
	var list []navLink
	for _, view := range []struct{ name, line string }{
		{v.T("Needs me"), "status:conflict,failed -is:repaired"},
		{v.T("Stuck"), "is:stuck"},
		{v.T("Deleted"), "is:deleted"},
	} {
		list = append(list, navLink{name: view.name, url: v.url("/jobs", "q", view.line), current: v.queryText == view.line})
	}
	return list
}

// clock is the time that the chips bound: when jobs were created, or when they ended.
func (v *jobsView) clock() string {
	if len(v.query.Values("ended")) > 0 {
		return "ended"
	}
	return "since"
}

func (v *jobsView) clockName() string {
	if v.clock() == "ended" {
		return v.T("Ended within")
	}
	return v.T("Created within")
}

// windows are the chips of time, and one for the other clock.
func (v *jobsView) windows() []navLink {
	always, clock := v.query.With("since").With("created").With("ended"), v.clock()
	now := v.query.Value(clock)
	list := []navLink{{name: v.T("Any time"), url: v.link(always), current: now == "" && v.query.Value("created") == ""}}
	for _, w := range []string{"15m", "1h", "24h", "7d", "30d"} {
		list = append(list, navLink{name: w, url: v.link(always.With(clock, w)), current: now == w})
	}
	if clock == "ended" {
		return append(list, navLink{name: v.T("by creation instead"), url: v.link(always.With("since", "24h"))})
	}
	return append(list, navLink{name: v.T("by end instead"), url: v.link(always.With("ended", "24h"))})
}

// newerSearched is what of the query the plain form has no field for.
func (v *jobsView) newerSearched() string {
	q := v.query
	for _, field := range append([]string{"status"}, formFields...) {
		q = q.With(field)
	}
	return q.String()
}

func (v *jobsView) exportURL(format string) string { return v.url("/jobs."+format, "q", v.queryText) }

// searchedText says how far a search went that no index answers.
func (v *jobsView) searchedText() string {
	r := v.results
	switch {
	case r.Searched == 0:
		return ""
	case r.Partial && v.wantsNewer():
		return v.Tf("Looked through %s newer jobs, up to %s, and stopped there.", format.Thousands(r.Searched), v.fullTime(r.Reached))
	case r.Partial:
		return v.Tf("Looked through %s jobs, back to %s, and stopped there. Older ones go on from where it stopped; a service, a status or a time makes it quicker.",
			format.Thousands(r.Searched), v.fullTime(r.Reached))
	}
	return v.Tf("Looked through all %s jobs that the other terms leave.", format.Thousands(r.Searched))
}

// emptyReason tells apart why there is nothing.
func (v *jobsView) emptyReason() (text, name, url string) {
	switch {
	case v.queryText == "" && v.viewer.services() == nil:
		return v.T("No job has been dispatched yet."), "", ""
	case v.queryText == "":
		return v.T("There is no job of a service that you may view."), "", ""
	case v.results.Partial && v.wantsNewer():
		return v.T("None among those looked at so far."), v.T("Look further"), v.newer()
	case v.results.Partial:
		return v.T("None among those looked at so far."), v.T("Look further"), v.older()
	case v.query.Value("since") != "" || v.query.Value("created") != "" || v.query.Value("ended") != "":
		return v.T("None in this time."), v.T("At any time"), v.link(v.query.With("since").With("created").With("ended"))
	}
	return v.T("No job fits the query."), v.T("Clear it"), v.url("/jobs")
}

// input is a field of the plain form.
type input struct{ field, name, value string }

func (v *jobsView) inputs() []input {
	names := map[string]string{
		"type": v.T("Type"), "instance": v.T("Instance"), "action": v.T("Action"), "target": v.T("Target"), "by": v.T("By"), "error": v.T("Error contains"),
		"since": v.T("Created within"), "ended": v.T("Ended within"),
	}
	var list []input
	for _, field := range formFields[1:] {
		list = append(list, input{field, names[field], v.query.Value(field)})
	}
	return list
}

// kept says how long a list goes back.
func (v *jobsView) kept() string {
	days := func(s tracker.Status) int { return int(v.h.engine.Retention(s).Hours() / 24) }
	return v.Tf("Successes are kept %d days, all other endings %d.", days(tracker.StatusSuccess), days(tracker.StatusFailed))
}

// waitedRan is how long a job waited since it first came due, and its last attempt ran.
func (p *request) waitedRan(j *tracker.Job) string {
	switch {
	case j.StartedAt.IsZero() && j.Status.Terminal():
		return "–"
	case j.StartedAt.IsZero():
		return format.Span(p.now.Sub(j.DueAt)) + ", –"
	case j.Status == tracker.StatusRunning:
		return format.Span(j.StartedAt.Sub(j.DueAt)) + ", " + format.Span(p.now.Sub(j.StartedAt)) + "…"
	}
	return format.Span(j.StartedAt.Sub(j.DueAt)) + ", " + format.Span(j.Duration)
}

// label names what a job does.
func (p *request) label(j *tracker.Job) string {
	if p.h.config.ActionLabel != nil {
		if name := p.h.config.ActionLabel(nawasync.Kind{Service: j.Service, Type: j.Type, Action: j.Action}); name != "" {
			return name
		}
	}
	return strings.ReplaceAll(j.Action, "_", " ")
}

// safeURL is a URL of the host: a path, http or https, never anything that runs.
func safeURL(to string) string {
	u, err := url.Parse(to)
	if err != nil || (u.Scheme != "" && u.Scheme != "http" && u.Scheme != "https") || (u.Scheme == "" && !strings.HasPrefix(to, "/")) {
		return ""
	}
	return to
}

// withLimit is a search for the limit jobs below before; 0 is the newest.
func withLimit(s tracker.Search, before int64, limit int) tracker.Search {
	s.Before, s.Limit = before, limit
	return s
}
