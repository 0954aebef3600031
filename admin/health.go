package admin

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/nawasara/nawasync/admin/internal/alert"
	"github.com/nawasara/nawasync/admin/internal/chart"
	"github.com/nawasara/nawasync/admin/internal/format"
	"github.com/nawasara/nawasync/tracker"
)

// health is the data of the health page and /health.json.
type health struct {
	At       time.Time       `json:"at"`
	Window   string          `json:"window"`
	From     time.Time       `json:"from"` // start of the window, rounded down to a whole step
	Summary  string          `json:"summary"`
	Healthy  bool            `json:"healthy"`
	Alerts   []alert.Alert   `json:"alerts"`
	Totals   totals          `json:"totals"`
	Before   totals          `json:"before"` // of the preceding window of the same length
	Services []serviceHealth `json:"services"`
	Errors   []errorGroup    `json:"errors"`
	MoreOpen bool            `json:"more_open,omitempty"` // only tracker.MaxOpenJobs open jobs were counted
	errors   errorGroups
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
	Oldest  time.Time     `json:"oldest_queued,omitzero"`
	Synced  time.Time     `json:"last_success,omitzero"` // when a job last succeeded
	chart   chart.BarChart
	runs    tracker.Histogram
	waits   tracker.Histogram
}

// healthWindow is a time window of the health page.
type healthWindow struct {
	name    string
	length  time.Duration
	period  tracker.Period // the statistics that are counted
	coarser tracker.Period // the statistics whose histograms give the percentiles; coarser, because reading many histograms is slow
	step    time.Duration  // length of a bar; a multiple of period
}

var healthWindows = []healthWindow{
	{"15m", 15 * time.Minute, tracker.PeriodMinute, tracker.PeriodMinute, time.Minute},
	{"1h", time.Hour, tracker.PeriodMinute, tracker.PeriodMinute, time.Minute},
	{"24h", 24 * time.Hour, tracker.PeriodHour, tracker.PeriodHour, time.Hour},
	{"7d", 7 * 24 * time.Hour, tracker.PeriodHour, tracker.PeriodDay, 6 * time.Hour},
	{"30d", 30 * 24 * time.Hour, tracker.PeriodDay, tracker.PeriodDay, 24 * time.Hour},
}

const (
	minEndedForShare = 20  // with fewer ended jobs a percentage would mislead
	maxFailures      = 500 // how many failed jobs are read to find the latest of each object
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
	return p.writeJSON(found)
}

// loadHealth reads everything that the health page shows and sums it up per service.
func (p *request) loadHealth(ctx context.Context) (*health, error) {
	window := p.healthWindow()
	out := &health{
		At: p.now, Window: window.name, From: p.now.Add(-window.length).Truncate(window.step),
		Alerts: []alert.Alert{}, Services: []serviceHealth{}, Errors: []errorGroup{},
	}
	data, err := p.readHealth(ctx, window, out.From)
	if err != nil {
		return nil, err
	}
	out.MoreOpen = data.moreOpen
	out.sum(data, p.viewer.visibleServices())
	if out.Alerts, err = p.findAlerts(ctx, out, data.open, data.successes); err != nil {
		return nil, err
	}
	if out.errors, err = p.loadErrorGroups(ctx, p.store(), window.period, out.From); err != nil {
		return nil, err
	}
	out.Errors = out.errors.list
	failed, err := p.store().Failures(ctx, out.From, maxFailures)
	if err != nil {
		return nil, err
	}
	out.recent = latestFailures(failed, 10)
	out.summarize(p)
	for i := range out.Services {
		out.Services[i].chart = chart.Sparkline(data.stats, out.Services[i].Service, p.now.Add(-window.length), p.now, window.step)
	}
	return out, nil
}

// healthWindow returns the window that the request names. The default is 24h.
func (p *request) healthWindow() healthWindow {
	window := healthWindows[2]
	for _, w := range healthWindows {
		if p.r.URL.Query().Get("window") == w.name {
			window = w
		}
	}
	return window
}

// healthData is what the health page reads, limited to what the subject may view.
type healthData struct {
	stats     []tracker.Stat // counts of this window and of the one before
	times     []tracker.Stat // histograms of this window
	open      []tracker.OpenJobs
	moreOpen  bool // there are more open jobs than open counts
	successes []tracker.LastSuccess
}

// readHealth reads the data of a window. From is the start of the window's first bar.
func (p *request) readHealth(ctx context.Context, window healthWindow, from time.Time) (*healthData, error) {
	d, err := p.readCounts(ctx, window, from)
	if err != nil {
		return nil, err
	}
	d.times, err = p.store().Stats(ctx, window.coarser, p.now.Add(-window.length), p.now.Add(time.Minute))
	return d, err
}

// readCounts is readHealth without the histograms.
func (p *request) readCounts(ctx context.Context, window healthWindow, from time.Time) (*healthData, error) {
	d := &healthData{}
	var err error
	if d.stats, err = p.store().StatTotals(ctx, window.period, from.Add(-window.length), p.now.Add(time.Minute), window.step); err != nil {
		return nil, err
	}
	if d.open, d.moreOpen, err = p.store().OpenJobs(ctx); err != nil {
		return nil, err
	}
	if len(d.open) > 0 {
		p.auto = refreshWide
	}
	d.successes, err = p.store().LastSuccesses(ctx)
	return d, err
}

// sum adds the data up in the totals and in one serviceHealth per service. Every service in names
// gets one, even without data.
func (h *health) sum(data *healthData, names []string) {
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
	for _, s := range data.stats {
		if s.Bucket.Before(h.From) {
			h.Before.add(s)
			service(s.Service).before.add(s)
			continue
		}
		h.Totals.add(s)
		service(s.Service).add(s)
	}
	for _, s := range data.times {
		service(s.Service).runs.Merge(s.Runs)
		service(s.Service).waits.Merge(s.Waits)
	}
	for _, o := range data.open {
		service(o.Service).addOpen(o)
	}
	for _, success := range data.successes {
		if s := service(success.Service); success.At.After(s.Synced) {
			s.Synced = success.At
		}
	}
	for _, s := range byName {
		s.RunP50, s.RunP95, s.WaitP95 = s.runs.Quantile(0.5), s.runs.Quantile(0.95), s.waits.Quantile(0.95)
		h.Services = append(h.Services, *s)
	}
	slices.SortFunc(h.Services, func(a, b serviceHealth) int { return cmp.Compare(a.Service, b.Service) })
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

// scopeText returns the text for a service, or for one of its instances.
func (p *request) scopeText(service, instance string) string {
	if instance == "" {
		return service
	}
	return p.Tf("%s on %s", service, instance)
}

// summarize sets Healthy and Summary from the alerts.
func (h *health) summarize(p *request) {
	critical := slices.ContainsFunc(h.Alerts, func(a alert.Alert) bool { return a.Severity == alert.SeverityCritical })
	h.Healthy = !critical
	switch {
	case h.Totals.Ended == 0 && len(h.Alerts) == 0:
		h.Summary = p.T("No problems. No jobs ended in this time range.")
	case len(h.Alerts) > 0:
		h.Summary = p.problemCount(h.Alerts)
	default:
		h.Summary = p.T("No problems.")
	}
}

// tone returns the CSS class of the summary.
func (h *health) tone() string {
	switch {
	case !h.Healthy:
		return "bad"
	case len(h.Alerts) > 0:
		return "warn"
	}
	return "good"
}

// sign returns a sign for the summary, for readers who cannot tell the colours apart.
func (h *health) sign() string {
	return map[string]string{"bad": "✗", "warn": "!", "good": "✓"}[h.tone()]
}

// problemCount returns the number of alerts by severity, for example "3 problems: 1 critical, 2 warnings".
func (p *request) problemCount(alerts []alert.Alert) string {
	var critical, warnings int64
	for _, a := range alerts {
		if a.Severity == alert.SeverityCritical {
			critical++
		} else {
			warnings++
		}
	}
	var parts []string
	if critical > 0 {
		parts = append(parts, p.Tf("%s critical", format.Thousands(p, critical)))
	}
	if warnings > 0 {
		parts = append(parts, p.plural(warnings, "1 warning", "%s warnings"))
	}
	return p.plural(critical+warnings, "1 problem", "%s problems") + ": " + strings.Join(parts, ", ")
}

// latestFailures returns the latest failure of each target, up to limit. The jobs must be sorted by
// end time, latest first.
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

// beforeText returns the text that compares a figure with that of the preceding window.
func (v *healthView) beforeText(now, before int64) string {
	switch {
	case before == 0 && now == 0:
		return v.T("unchanged")
	case before == 0:
		return v.T("previously none")
	}
	return v.Tf("previously %s", v.jobCount(before))
}

// share returns the success rate. If few jobs have ended, it returns the two counts instead.
func (v *healthView) share(s serviceHealth) string {
	switch n := s.Success + s.Failed; {
	case n == 0:
		return v.T("no data")
	case n < minEndedForShare:
		return v.Tf("%d of %d jobs", s.Success, n)
	default:
		return format.Percent(v, s.Success, n)
	}
}

func (v *healthView) windows() []navLink {
	var list []navLink
	for _, w := range healthWindows {
		list = append(list, navLink{name: v.windowName(w.name), url: v.url("/health", "window", w.name), current: w.name == v.Window})
	}
	return list
}

func quantilesText(l format.Language, h tracker.Histogram) string {
	if h.Count() == 0 {
		return "–"
	}
	return format.Span(l, h.Quantile(0.5)) + ", " + format.Span(l, h.Quantile(0.95))
}

func quantileText(l format.Language, h tracker.Histogram) string {
	if h.Count() == 0 {
		return "–"
	}
	return format.Span(l, h.Quantile(0.95))
}

// figure is a count on the health page, with a link to the counted jobs.
type figure struct {
	name, url   string
	now, before int64
}

// endedTerm returns the query term that finds the jobs that ended in the window.
func (h *health) endedTerm(p *request) string { return "ended:" + p.timeRange(h.From, time.Time{}) }

func (v *healthView) figures() []figure {
	since := v.endedTerm(v.request)
	return []figure{
		{v.T("Ended"), v.queryURL(since), v.Totals.Ended, v.Before.Ended},
		{v.T("Succeeded"), v.queryURL("status:success", since), v.Totals.Success, v.Before.Success},
		{v.T("Failed"), v.queryURL("status:failed", since), v.Totals.Failed, v.Before.Failed},
		{v.T("Cancelled, skipped or in conflict"), v.queryURL("status:cancelled,conflict,skipped", since), v.Totals.Other, v.Before.Other},
	}
}
