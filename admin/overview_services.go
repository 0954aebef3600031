package admin

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/nawasara/nawasync/admin/internal/alert"
	"github.com/nawasara/nawasync/admin/internal/chart"
	"github.com/nawasara/nawasync/admin/internal/format"
	"github.com/nawasara/nawasync/admin/internal/query"
	"github.com/nawasara/nawasync/tracker"
)

type totals struct {
	Ended   int64 `json:"ended"`
	Success int64 `json:"success"`
	Failed  int64 `json:"failed"`
	Other   int64 `json:"other"` // conflict, skipped, cancelled
}

func (t *totals) add(s tracker.Stat) {
	t.Ended += s.Jobs
	switch s.Outcome {
	case tracker.StatusSuccess:
		t.Success += s.Jobs
	case tracker.StatusFailed:
		t.Failed += s.Jobs
	default:
		t.Other += s.Jobs
	}
}

// serviceHealth has the figures of a service or of one kind of its jobs.
type serviceHealth struct {
	Service string `json:"service"`
	Type    string `json:"type,omitempty"`
	Action  string `json:"action,omitempty"`
	totals
	before  totals        // of the preceding window of the same length
	RunP50  time.Duration `json:"run_p50_ns"`
	RunP95  time.Duration `json:"run_p95_ns"`
	WaitP95 time.Duration `json:"wait_p95_ns"`
	Queued  int64         `json:"queued"`
	Due     int64         `json:"due"`
	Running int64         `json:"running"`
	Stuck   int64         `json:"stuck"`
	Workers int           `json:"workers"` // live processes that handle jobs of it
	Oldest  time.Time     `json:"oldest_queued,omitzero"`
	Synced  time.Time     `json:"last_success,omitzero"` // when a job last succeeded
	// Quota is the quota of the external API that is used up first; nil if none is known.
	Quota *tracker.Quota `json:"quota,omitempty"`
	// Budgets are those of the busiest limit scopes, if this process has the Remote; those that are used up first are first.
	Budgets []budgetHealth `json:"budgets,omitempty"`
	chart   chart.BarChart
	runs    tracker.Histogram
	waits   tracker.Histogram
}

// minEndedForShare is the number of ended jobs below which a percentage would mislead.
const minEndedForShare = 20

// sum adds the data up in the totals, in the charts and in one serviceHealth per service. Every service in names gets
// one, even without data.
func (o *overview) sum(names []string) {
	byName := map[string]*serviceHealth{}
	service := func(name string) *serviceHealth {
		if byName[name] == nil {
			byName[name] = &serviceHealth{Service: name}
		}
		return byName[name]
	}
	for _, name := range names {
		service(name)
	}
	for _, s := range o.data.stats {
		if s.Bucket.Before(o.From) {
			o.Before.add(s)
			service(s.Service).before.add(s)
			continue
		}
		o.Totals.add(s)
		o.counts.Add(s)
		service(s.Service).add(s)
	}
	for _, s := range o.data.times {
		o.times.Add(s)
		service(s.Service).runs.Merge(s.Runs)
		service(s.Service).waits.Merge(s.Waits)
	}
	for _, open := range o.data.open {
		service(open.Service).addOpen(open)
	}
	for _, success := range o.data.successes {
		if s := service(success.Service); success.At.After(s.Synced) {
			s.Synced = success.At
		}
	}
	workers := countWorkers(o.data.processes, nil, o.At)
	for _, s := range byName {
		s.Workers = workers.ofService(s.Service)
		s.Quota, s.Budgets = firstQuota(o.data.quotas, s.Service), o.data.budgets[s.Service]
		s.RunP50, s.RunP95, s.WaitP95 = s.runs.Quantile(0.5), s.runs.Quantile(0.95), s.waits.Quantile(0.95)
		o.Services = append(o.Services, *s)
	}
	slices.SortFunc(o.Services, func(a, b serviceHealth) int { return cmp.Compare(a.Service, b.Service) })
}

func (s *serviceHealth) addOpen(o tracker.OpenJobs) {
	s.Queued += o.Queued
	s.Due += o.Due
	s.Running += o.Running
	s.Stuck += o.Stuck
	if !o.Oldest.IsZero() && (s.Oldest.IsZero() || o.Oldest.Before(s.Oldest)) {
		s.Oldest = o.Oldest
	}
}

// serviceState is what a service does now, with the CSS class of its tone. The service's own page shows the
// detail too.
type serviceState struct{ text, icon, tone, detail string }

// state returns the state of a service: what hinders it most, or that it runs.
func (v *overviewView) state(name string) serviceState {
	ofService := func(scope tracker.Scope) bool { return scope.Service == name }
	switch {
	case slices.ContainsFunc(v.data.scopes, func(s tracker.Scope) bool { return ofService(s) && alert.Unreachable(s) }):
		return serviceState{v.T("unreachable"), "held", "bad", ""}
	case slices.ContainsFunc(v.data.scopes, func(s tracker.Scope) bool { return ofService(s) && s.Parked }):
		return serviceState{v.T("parked"), "held", "bad", ""}
	case slices.ContainsFunc(v.data.scopes, func(s tracker.Scope) bool { return ofService(s) && s.Instance == "" }):
		return serviceState{v.T("paused"), "held", "warn", ""}
	case slices.ContainsFunc(v.data.scopes, ofService):
		return serviceState{v.T("partly paused"), "held", "warn", ""}
	case slices.ContainsFunc(v.data.holds, func(h tracker.Hold) bool { return h.Service == name }):
		return serviceState{v.T("sync held"), "held", "warn", ""}
	case !slices.ContainsFunc(alert.Alive(v.data.processes, v.now), func(p tracker.Process) bool {
		return slices.ContainsFunc(p.Kinds, func(kind string) bool { return strings.HasPrefix(kind, name+"/") })
	}):
		return serviceState{v.T("no worker"), "queued", "calm", ""}
	}
	return serviceState{v.T("running"), "success", "calm", ""}
}

// scopeSync is the last successful sync of a scope.
type scopeSync struct {
	tracker.LastSuccess
	name string
}

// syncs returns the freshest and the stalest of the scopes of a service, or the only one, or none.
func (v *overviewView) syncs(service string) (list []scopeSync) {
	repositories := alert.Input{Repositories: v.h.engine.Repositories(), Listed: v.data.listed}
	for _, s := range v.data.successes {
		if s.Service == service && !repositories.Gone(s) && repositories.IsSync(s.Service, s.Type, s.Action) {
			list = append(list, scopeSync{s, v.scopeText(s.Type, s.Instance)})
		}
	}
	slices.SortFunc(list, func(a, b scopeSync) int { return b.At.Compare(a.At) })
	if len(list) > 2 {
		list = []scopeSync{list[0], list[len(list)-1]}
	}
	return list
}

// syncable returns the services that the subject may sync by hand.
func (v *overviewView) syncable() (list []string) {
	for _, table := range v.h.engine.Repositories() {
		if !slices.Contains(list, table.Service) && slices.Contains(v.viewer.visibleServices(), table.Service) &&
			v.viewer.allowed(PermissionService, table.Service, Every) {
			list = append(list, table.Service)
		}
	}
	return list
}

// serviceTerm returns the query term for the jobs of a service.
func serviceTerm(service string) string { return "service:" + query.Quote(service, false) }

// share returns the success rate. If few jobs have ended, it returns the two counts instead.
func (v *overviewView) share(s serviceHealth) string {
	switch n := s.Success + s.Failed; {
	case n == 0:
		return v.T("no data")
	case n < minEndedForShare:
		return v.Tf("%d of %d jobs", s.Success, n)
	default:
		return format.Percent(v, s.Success, n)
	}
}

func quantilesText(l format.Language, h tracker.Histogram) string {
	if h.Count() == 0 {
		return "–"
	}
	return quantileOf(l, h, 0.5) + ", " + quantileOf(l, h, 0.95)
}

func quantileText(l format.Language, h tracker.Histogram) string { return quantileOf(l, h, 0.95) }

// quantileOf returns a quantile as text.
func quantileOf(l format.Language, h tracker.Histogram, q float64) string {
	if h.Count() == 0 {
		return "–"
	}
	return format.Span(l, h.Quantile(q))
}
