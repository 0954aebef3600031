package admin

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/nawasara/nawasync/admin/internal/alert"
	"github.com/nawasara/nawasync/admin/internal/chart"
	"github.com/nawasara/nawasync/tracker"
)

// overview is the data of the overview and of /health.json.
type overview struct {
	At       time.Time       `json:"at"`
	Window   string          `json:"window"`
	From     time.Time       `json:"from"` // start of the window, rounded down to a whole step
	Summary  string          `json:"summary"`
	Healthy  bool            `json:"healthy"`
	Alerts   []alert.Alert   `json:"alerts"`
	Notices  []alert.Alert   `json:"notices"` // of the installation; they do not affect Healthy
	Totals   totals          `json:"totals"`
	Before   totals          `json:"before"` // of the preceding window of the same length
	Services []serviceHealth `json:"services"`
	Errors   []errorGroup    `json:"errors"`
	MoreOpen bool            `json:"more_open,omitempty"` // only tracker.MaxOpenJobs open jobs were counted
	errors   errorGroups
	data     overviewData
	failed   map[part]error
	counts   chart.Trend // of all services
	times    chart.Trend // the run times, in coarser steps
}

// part is a part of the overview that is read, and may fail, on its own.
type part int

const (
	partCounts    part = iota // how many jobs ended
	partTimes                 // how long they ran
	partOpen                  // the open jobs
	partSuccesses             // when jobs last succeeded
	partState                 // processes, pauses and held syncs
	partAlerts
	partErrors
	partCount // how many parts there are
)

// timeWindow is a time range of the overview.
type timeWindow struct {
	name    string
	length  time.Duration
	period  tracker.Period // the statistics that are counted
	coarser tracker.Period // the statistics whose histograms give the percentiles; coarser, because reading many histograms is slow
	step    time.Duration  // of the chart; a multiple of period
	run     time.Duration  // step of the chart of run times; a multiple of coarser
}

var timeWindows = []timeWindow{
	{"15m", 15 * time.Minute, tracker.PeriodMinute, tracker.PeriodMinute, time.Minute, time.Minute},
	{"1h", time.Hour, tracker.PeriodMinute, tracker.PeriodMinute, 2 * time.Minute, 2 * time.Minute},
	{"24h", 24 * time.Hour, tracker.PeriodHour, tracker.PeriodHour, time.Hour, time.Hour},
	{"7d", 7 * 24 * time.Hour, tracker.PeriodHour, tracker.PeriodDay, 6 * time.Hour, 24 * time.Hour},
	{"30d", 30 * 24 * time.Hour, tracker.PeriodDay, tracker.PeriodDay, 24 * time.Hour, 24 * time.Hour},
}

type overviewView struct {
	*request
	overview
}

func (p *request) overview() error {
	p.title, p.section = p.T("Overview"), "overview"
	found, err := p.loadOverview(p.r.Context())
	if err != nil && !found.partial(p) {
		return err
	}
	return p.render(overviewPage(&overviewView{p, *found}))
}

// oldOverview redirects from the address that the overview had.
func (p *request) oldOverview() error {
	to := p.url("/")
	if p.r.URL.RawQuery != "" {
		to += "?" + p.r.URL.RawQuery
	}
	p.w.Header().Set("Location", to)
	p.w.WriteHeader(http.StatusMovedPermanently)
	return nil
}

func (p *request) overviewJSON() error {
	found, err := p.loadOverview(p.r.Context())
	if err != nil {
		return err
	}
	return p.writeJSON(found)
}

// loadOverview reads everything that the overview shows and sums it up per service. The error says which parts could
// not be read; the others are there.
func (p *request) loadOverview(ctx context.Context) (*overview, error) {
	window := p.timeWindow()
	o := p.newOverview(window)
	o.readCounts(ctx, p, window)
	o.read(partTimes, func() (err error) {
		from := window.coarser.Start(o.From)
		o.data.times, err = p.store().Stats(ctx, window.coarser, from, p.now.Add(time.Minute))
		o.times = chart.NewTrend(from, p.now, window.run)
		return err
	})
	o.sum(p.viewer.visibleServices())
	o.read(partAlerts, func() (err error) {
		o.Alerts, err = p.findAlerts(ctx, o)
		return err
	})
	o.read(partErrors, func() (err error) {
		o.errors, err = p.loadErrorGroups(ctx, p.store(), window.period, o.From, window.step)
		o.Errors = o.errors.list
		return err
	})
	o.Notices = p.notices(ctx)
	o.summarize(p)
	for i := range o.Services {
		o.Services[i].chart = chart.Sparkline(o.data.stats, o.Services[i].Service, o.From, p.now, window.step)
	}
	return o, o.err()
}

func (p *request) newOverview(window timeWindow) *overview {
	return &overview{
		At: p.now, Window: window.name, From: p.now.Add(-window.length).Truncate(window.step),
		Alerts: []alert.Alert{}, Services: []serviceHealth{}, Errors: []errorGroup{}, errors: errorGroups{list: []errorGroup{}}, failed: map[part]error{},
	}
}

// timeWindow returns the window that the request names. The default is 24h.
func (p *request) timeWindow() timeWindow {
	for _, w := range timeWindows {
		if p.r.URL.Query().Get("window") == w.name {
			return w
		}
	}
	return timeWindows[2]
}

// overviewData is what the overview reads, limited to what the subject may view.
type overviewData struct {
	stats     []tracker.Stat // counts of this window and of the one before
	times     []tracker.Stat // histograms of this window
	open      []tracker.OpenJobs
	successes []tracker.LastSuccess
	processes []tracker.Process
	scopes    []tracker.Scope
	holds     []tracker.Hold
	listed    []tracker.ListedScope
	marks     timeMarks
	quotas    []tracker.Quota
	budgets   map[string][]budgetHealth // by service
}

// read reads a part.
func (o *overview) read(part part, read func() error) {
	if err := read(); err != nil {
		o.failed[part] = err
	}
}

// readCounts reads what alerts are derived from, without histograms.
func (o *overview) readCounts(ctx context.Context, p *request, window timeWindow) {
	store, d := p.store(), &o.data
	o.counts = chart.NewTrend(o.From, p.now, window.step)
	o.read(partCounts, func() (err error) {
		d.stats, err = store.StatTotals(ctx, window.period, o.From.Add(-window.length), p.now.Add(time.Minute), window.step)
		return err
	})
	o.read(partOpen, func() (err error) {
		d.open, o.MoreOpen, err = store.OpenJobs(ctx)
		if len(d.open) > 0 {
			p.auto = refreshWide
		}
		return err
	})
	o.read(partSuccesses, func() (err error) {
		d.successes, err = store.LastSuccesses(ctx)
		return err
	})
	o.read(partState, func() (err error) {
		if d.processes, err = store.Processes(ctx); err != nil {
			return err
		}
		if d.scopes, err = store.Scopes(ctx); err != nil {
			return err
		}
		if d.listed, err = store.ListedScopes(ctx); err != nil {
			return err
		}
		if d.marks, err = p.readMarks(ctx, "", o.From); err != nil {
			return err
		}
		if d.quotas, _, err = store.Quotas(ctx, "", maxQuotasShown); err != nil {
			return err
		}
		d.budgets = p.loadBudgets(ctx, d.quotas, d.scopes)
		d.holds, err = store.Holds(ctx, "", "", true, 100)
		return err
	})
}

// err returns the errors of the parts that could not be read.
func (o *overview) err() error {
	var list []error
	for part := range partCount {
		list = append(list, o.failed[part])
	}
	return errors.Join(list...)
}

// partial reports whether the page is worth showing although parts of it could not be read. It logs their errors.
func (o *overview) partial(p *request) bool {
	err := o.err()
	_, refused := errors.AsType[*busyError](err)
	if len(o.failed) == int(partCount) || refused || p.requestCtx.Err() != nil {
		return false
	}
	p.h.config.Logger.Error("read parts of the overview failed", "path", p.r.URL.Path, "error", err)
	return true
}

// lacks reports whether one of the parts could not be read.
func (o *overview) lacks(parts ...part) bool {
	return slices.ContainsFunc(parts, func(part part) bool { return o.failed[part] != nil })
}

// firstUse reports whether there never was a job.
func (o *overview) firstUse() bool {
	return len(o.failed) == 0 && o.Totals.Ended+o.Before.Ended == 0 && len(o.data.open)+len(o.data.successes)+len(o.Alerts) == 0
}
