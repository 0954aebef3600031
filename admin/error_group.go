package admin

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/nawasara/nawasync/admin/internal/chart"
	"github.com/nawasara/nawasync/admin/internal/format"
	"github.com/nawasara/nawasync/admin/internal/query"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/tracker"
)

// maxErrorGroups is how many error groups a page shows.
const maxErrorGroups = 10

// errorGroup counts the jobs of a time range that failed or ended in conflict with the same error.
type errorGroup struct {
	ID        string    `json:"id"` // as in the query term group:ID
	Signature string    `json:"signature"`
	Example   string    `json:"example"` // the error of the last job; empty if it was pruned or deleted
	Class     string    `json:"class"`
	Jobs      int64     `json:"jobs"`
	First     time.Time `json:"first"`
	Last      time.Time `json:"last"`
	LastJob   int64     `json:"last_job"`
	Services  []string  `json:"services"`
	terms     []string
	chart     chart.BarChart
	last      *tracker.Job // LastJob; nil if it was pruned or deleted
}

// errorGroups has the largest error groups of a time range.
type errorGroups struct {
	list []errorGroup
	jobs int64 // of all groups
}

// loadErrorGroups reads the groups of the jobs that ended since from, the start of a bucket of the period, and
// that the store shows. The links of the groups have the query terms. Their charts have a bar per step, which is a
// multiple of the period.
func (p *request) loadErrorGroups(
	ctx context.Context,
	store *tracker.Reader,
	period tracker.Period,
	from time.Time,
	step time.Duration,
	terms ...string,
) (errorGroups, error) {
	out := errorGroups{list: []errorGroup{}}
	groups, jobs, err := store.ErrorGroups(ctx, period, from, p.now.Add(time.Minute), maxErrorGroups)
	if err != nil {
		return out, err
	}
	ids := make([]int64, len(groups))
	for i, g := range groups {
		ids[i] = g.LastJob
	}
	last, err := store.ByID(ctx, ids)
	if err != nil {
		return out, err
	}
	out.jobs = jobs
	for _, g := range groups {
		group := errorGroup{
			ID: g.ID, Signature: g.Text, Class: g.Class, Jobs: g.Jobs, First: g.First, Last: g.Last, LastJob: g.LastJob, Services: g.Services,
			terms: slices.Concat(terms, []string{groupTerm(g.ID), "ended:" + p.timeRange(from, time.Time{})}),
		}
		group.chart = p.errorChart(g, from, step, group.terms)
		if job := last[g.LastJob]; job != nil && job.ErrorGroup == g.ID && job.DeletedAt.IsZero() {
			group.Example, group.last = format.FirstLine(job.Error), job
		}
		out.list = append(out.list, group)
	}
	return out, nil
}

// errorChart returns the chart of a group. Its bars lead to their jobs.
func (p *request) errorChart(g tracker.ErrorGroup, from time.Time, step time.Duration, terms []string) chart.BarChart {
	c := chart.Failures(g.Counts, from, p.now, step)
	for i := range c.Bars {
		b := &c.Bars[i]
		b.Title = p.Tf("%s: %s with this error", b.From.In(p.zone).Format("2006-01-02 15:04"), p.jobCount(b.Bad))
		b.URL = p.queryURL(append(slices.Clone(terms[:len(terms)-1]), "ended:"+p.timeRange(b.From, b.To))...)
	}
	return c
}

// groupTerm returns the query term that finds the jobs of an error group.
func groupTerm(id string) string { return "group:" + query.Quote(id, false) }

// otherErrors is the ID of the group of errors that are not told apart.
const otherErrors = "other"

// groupRetryURL returns the preview of a bulk retry of a group, or "" if the subject may not manage the jobs of any
// of its services or a retry is no answer to them.
func (p *request) groupRetryURL(g errorGroup) string {
	if g.Class == string(fault.ClassHeld) || g.Class == string(fault.ClassConflict) {
		return "" // an operator decides them one by one
	}
	manages := p.viewer.manages()
	if manages != nil && !slices.ContainsFunc(g.Services, func(service string) bool {
		return slices.Contains(manages.Services, service) ||
			slices.ContainsFunc(manages.Instances, func(i tracker.ServiceInstance) bool { return i.Service == service })
	}) {
		return ""
	}
	terms := slices.DeleteFunc(slices.Clone(g.terms), func(term string) bool { return term == "" })
	return p.url("/bulk", "action", "retry", "all", "1", "q", strings.Join(terms, " "))
}

// groupText returns the text for a group.
func (p *request) groupText(g errorGroup) string {
	switch {
	case g.ID == otherErrors:
		return p.T("Other errors, which are too many different ones to count each")
	case g.Signature == "":
		return p.T("No error text")
	}
	return g.Signature
}

// errorsNote says what the counts of the groups mean.
func (p *request) errorsNote(groups errorGroups) string {
	shown := int64(0)
	for _, g := range groups.list {
		shown += g.Jobs
	}
	if shown < groups.jobs {
		return p.Tf("%s of the %s jobs of this time range that failed or ended in conflict have one of these errors. Deleted and pruned jobs count too.",
			format.Thousands(p, shown), format.Thousands(p, groups.jobs))
	}
	return p.T("Counts all jobs of this time range that failed or ended in conflict, also those deleted or pruned since.")
}
