package admin

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/nawasara/nawasync/admin/internal/alert"
	"github.com/nawasara/nawasync/admin/internal/chart"
	"github.com/nawasara/nawasync/admin/internal/format"
	"github.com/nawasara/nawasync/tracker"
)

// health is how everything stands, as the page, /health.json and /metrics show it.
type health struct {
	At       time.Time       `json:"at"`
	Window   string          `json:"window"`
	From     time.Time       `json:"from"` // where the window begins, on the grid of the statistics
	Summary  string          `json:"verdict"`
	Healthy  bool            `json:"healthy"`
	Alerts   []alert.Alert   `json:"attention"`
	Totals   totals          `json:"totals"`
	Before   totals          `json:"before"` // the same length of time before
	Services []serviceHealth `json:"services"`
	Errors   []errorGroup    `json:"errors"`
	MoreOpen bool            `json:"more_open,omitempty"` // open jobs were too many to count them all
	recent   []*tracker.Job
}

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

// serviceHealth is a service, or one kind of its jobs.
type serviceHealth struct {
	Service string `json:"service"`
	Type    string `json:"type,omitempty"`
	Action  string `json:"action,omitempty"`
	totals
	before  totals        // in the same length of time before
	RunP50  time.Duration `json:"run_p50_ns"`
	RunP95  time.Duration `json:"run_p95_ns"`
	WaitP95 time.Duration `json:"wait_p95_ns"`
	Queued  int64         `json:"queued"`
	Running int64         `json:"running"`
	Stuck   int64         `json:"stuck"`
	Oldest  time.Time     `json:"oldest_queued,omitzero"`
	Synced  time.Time     `json:"last_success,omitzero"`
	chart   chart.BarChart
	runs    tracker.Histogram
	waits   tracker.Histogram
}

// healthWindows are those of the health page, each with the statistics that it counts,
// and those that its percentiles are of: reading many histograms takes long.
var healthWindows = []struct {
	name            string
	length          time.Duration
	period, coarser tracker.Period
	step            time.Duration // of the bars
}{
	{"15m", 15 * time.Minute, tracker.PeriodMinute, tracker.PeriodMinute, time.Minute},
	{"1h", time.Hour, tracker.PeriodMinute, tracker.PeriodMinute, time.Minute},
	{"24h", 24 * time.Hour, tracker.PeriodHour, tracker.PeriodHour, time.Hour},
	{"7d", 7 * 24 * time.Hour, tracker.PeriodHour, tracker.PeriodDay, 6 * time.Hour},
	{"30d", 30 * 24 * time.Hour, tracker.PeriodDay, tracker.PeriodDay, 24 * time.Hour},
}

const (
	minEndedForShare = 20  // ended jobs, below which a share says nothing
	maxErrors        = 500 // failed jobs that are grouped by their error
)

type healthView struct {
	*request
	health
}

func (p *request) health() error {
	p.title, p.section = p.T("Health"), "health"
	found, err := p.loadHealth(p.r.Context())
	if err != nil {
		return err
	}
	return p.render(healthPage(&healthView{p, *found}))
}

func (p *request) healthJSON() error {
	found, err := p.loadHealth(p.r.Context())
	if err != nil {
		return err
	}
	return p.json(found)
}

// loadHealth reads everything that the health page shows.
func (p *request) loadHealth(ctx context.Context) (*health, error) {
	window := healthWindows[2]
	for _, w := range healthWindows {
		if p.r.URL.Query().Get("window") == w.name {
			window = w
		}
	}
	out := &health{At: p.now, Window: window.name, Alerts: []alert.Alert{}, Services: []serviceHealth{}, Errors: []errorGroup{}}
	from := p.now.Add(-window.length)
	out.From = from.Truncate(window.step)
	stats, err := p.visibleStats(p.store().StatTotals(ctx, window.period, out.From.Add(-window.length), p.now.Add(time.Minute), window.step))
	if err != nil {
		return nil, err
	}
	times, err := p.visibleStats(p.store().Stats(ctx, window.coarser, from, p.now.Add(time.Minute)))
	if err != nil {
		return nil, err
	}
	open, more, err := p.store().OpenJobs(ctx)
	if err != nil {
		return nil, err
	}
	out.MoreOpen = more
	open = slices.DeleteFunc(open, func(o tracker.OpenJobs) bool { return !p.viewer.may(PermissionView, o.Service) })
	byService := map[string]*serviceHealth{}
	of := func(name string) *serviceHealth {
		if byService[name] == nil {
			byService[name] = &serviceHealth{Service: name}
		}
		return byService[name]
	}
	for _, name := range p.viewer.visible() {
		of(name)
	}
	// A bucket that began before the window counts into it: buckets are not cut.
	for _, s := range stats {
		if s.Bucket.Before(out.From) {
			out.Before.add(s)
			of(s.Service).before.add(s)
			continue
		}
		out.Totals.add(s)
		of(s.Service).add(s)
	}
	for _, s := range times {
		of(s.Service).runs.Merge(s.Runs)
		of(s.Service).waits.Merge(s.Waits)
	}
	for _, o := range open {
		of(o.Service).open(o)
	}
	successes, err := p.store().LastSuccesses(ctx)
	if err != nil {
		return nil, err
	}
	successes = slices.DeleteFunc(successes, func(s tracker.LastSuccess) bool { return !p.viewer.may(PermissionView, s.Service) })
	for _, s := range successes {
		if service := of(s.Service); s.At.After(service.Synced) {
			service.Synced = s.At
		}
	}
	for _, service := range byService {
		service.RunP50, service.RunP95, service.WaitP95 = service.runs.Quantile(0.5), service.runs.Quantile(0.95), service.waits.Quantile(0.95)
		out.Services = append(out.Services, *service)
	}
	slices.SortFunc(out.Services, func(a, b serviceHealth) int { return cmp.Compare(a.Service, b.Service) })
	if out.Alerts, err = p.alerts(ctx, out, open, successes); err != nil {
		return nil, err
	}
	failed, err := p.store().Failures(ctx, p.viewer.services(), out.From, maxErrors)
	if err != nil {
		return nil, err
	}
	out.Errors = p.groupErrors(failed, out.endedTerm(p))
	out.recent = latestFailures(failed, 10)
	out.summarize(p)
	for i := range out.Services {
		out.Services[i].chart = chart.Sparkline(stats, out.Services[i].Service, from, p.now, window.step)
	}
	return out, nil
}

func (s *serviceHealth) open(o tracker.OpenJobs) {
	s.Queued += o.Queued
	s.Running += o.Running
	s.Stuck += o.Stuck
	if !o.Oldest.IsZero() && (s.Oldest.IsZero() || o.Oldest.Before(s.Oldest)) {
		s.Oldest = o.Oldest
	}
}

// scopeText names a service, or an instance of it.
func (p *request) scopeText(service, instance string) string {
	if instance == "" {
		return service
	}
	return p.Tf("%s on %s", service, instance)
}

// summarize is the outcome in a sentence.
func (h *health) summarize(p *request) {
	bad := slices.ContainsFunc(h.Alerts, func(a alert.Alert) bool { return a.Severity == alert.SeverityCritical })
	h.Healthy = !bad
	switch {
	case h.Totals.Ended == 0 && len(h.Alerts) == 0:
		h.Summary = p.T("Nothing has ended in this time, and nothing is known to be wrong.")
	case bad:
		h.Summary = p.Tf("Something is wrong, %d to look at, first: %s", len(h.Alerts), h.Alerts[0].Text)
	case len(h.Alerts) > 0:
		h.Summary = p.Tf("It works, with %d to look at, first: %s", len(h.Alerts), h.Alerts[0].Text)
	default:
		h.Summary = p.T("All is well.")
	}
}

// latestFailures are the last failures, one of each target.
func latestFailures(jobs []*tracker.Job, limit int) (list []*tracker.Job) {
	seen := map[tracker.Target]bool{}
	for _, j := range jobs {
		if !seen[j.Target()] && len(list) < limit {
			seen[j.Target()] = true
			list = append(list, j)
		}
	}
	return list
}

// change is a figure against the one before.
func (v *healthView) change(now, before int64) string {
	switch {
	case before == 0 && now == 0:
		return v.T("as before")
	case before == 0:
		return v.T("none before")
	}
	return v.Tf("%s before", format.Thousands(before))
}

// share is the rate of success, where there are enough to speak of one.
func (v *healthView) share(s serviceHealth) string {
	switch n := s.Success + s.Failed; {
	case n == 0:
		return v.T("no data")
	case n < minEndedForShare:
		return v.Tf("%d of %d", s.Success, n)
	default:
		return format.Percent(s.Success, n)
	}
}

func (v *healthView) windows() []navLink {
	var list []navLink
	for _, w := range healthWindows {
		list = append(list, navLink{name: w.name, url: v.url("/health", "window", w.name), current: w.name == v.Window})
	}
	return list
}

// inSeconds is a length of time as Prometheus writes it.
func inSeconds(d time.Duration) string { return fmt.Sprintf("%g", d.Seconds()) }

func quantilesText(h tracker.Histogram) string {
	if h.Count() == 0 {
		return "–"
	}
	return format.Span(h.Quantile(0.5)) + ", " + format.Span(h.Quantile(0.95))
}

func quantileText(h tracker.Histogram) string {
	if h.Count() == 0 {
		return "–"
	}
	return format.Span(h.Quantile(0.95))
}

// figure is one of the figures of the health page.
type figure struct {
	name, url   string
	now, before int64
}

// endedTerm is the term for the jobs that the figures are of.
func (h *health) endedTerm(p *request) string { return "ended:" + p.between(h.From, time.Time{}) }

func (v *healthView) figures() []figure {
	since := v.endedTerm(v.request)
	return []figure{
		{v.T("Ended"), v.queryURL(since), v.Totals.Ended, v.Before.Ended},
		{v.T("Succeeded"), v.queryURL("status:success", since), v.Totals.Success, v.Before.Success},
		{v.T("Failed"), v.queryURL("status:failed", since), v.Totals.Failed, v.Before.Failed},
		{v.T("Other endings"), v.queryURL("status:cancelled,conflict,skipped", since), v.Totals.Other, v.Before.Other},
	}
}
