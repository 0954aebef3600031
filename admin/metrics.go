package admin

import (
	"bytes"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"

	"github.com/nawasara/nawasync/admin/internal/alert"
	"github.com/nawasara/nawasync/tracker"
)

// metrics writes the figures in the text format of Prometheus.
func (p *request) metrics() error {
	f, err := p.loadFigures(p.r.Context())
	if err != nil {
		return err
	}
	registry := prometheus.NewRegistry()
	if err := registry.Register(figuresCollector{newDescriptions(), f}); err != nil {
		return err
	}
	families, err := registry.Gather()
	if err != nil {
		return err
	}
	format := expfmt.NewFormat(expfmt.TypeTextPlain)
	var b bytes.Buffer
	encoder := expfmt.NewEncoder(&b, format)
	for _, family := range families {
		if err := encoder.Encode(family); err != nil {
			return err
		}
	}
	p.w.Header().Set("Content-Type", string(format))
	_, _ = b.WriteTo(p.w)
	return nil
}

// descriptions describe the metrics. Their labels have a bounded number of values, so that the number of time series
// stays small.
type descriptions struct {
	up, ended, runs, waits                                *prometheus.Desc
	queued, due, running, stuck, oldest, limited          *prometheus.Desc
	parked, paused, held, lastSuccess, alertsBySeverity   *prometheus.Desc
	calls, callErrors, quotaLeft, budgetCalls, budgetLeft *prometheus.Desc
	kindWorkers, queueWorkers                             *prometheus.Desc
	endpointCalls, endpointErrors                         *prometheus.Desc
}

func newDescriptions() *descriptions {
	describe := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("nawasync_"+name, help, labels, nil)
	}
	return &descriptions{
		up:    describe("up", "1 if the figures could be read from the database, and 0 if the other metrics are missing."),
		ended: describe("jobs_ended_total", "Jobs that ended, also those that have been deleted since.", "service", "outcome"),
		runs:  describe("job_run_seconds", "How long the last attempt of each ended job ran.", "service"),
		waits: describe("job_wait_seconds",
			"How long each ended job waited from when it first came due until its last attempt began, with earlier attempts and their backoff.", "service"),
		queued:      describe("jobs_queued", "Queued jobs, due or not.", "service"),
		due:         describe("jobs_due", "Queued jobs that are due.", "service"),
		running:     describe("jobs_running", "Running jobs.", "service"),
		stuck:       describe("jobs_stuck", "Running jobs past their deadline.", "service"),
		oldest:      describe("oldest_queued_seconds", "How long the oldest due job has been waiting, or 0 if none waits.", "service"),
		limited:     describe("open_jobs_limited", "1 if there are more than 50,000 open jobs, and the queued and running jobs are not counted completely."),
		parked:      describe("scopes_parked", "Scopes that the engine parked because the remote refused a request.", "service"),
		paused:      describe("scopes_paused", "Scopes that an operator paused.", "service"),
		held:        describe("syncs_held", "Syncs that wait for an operator's decision.", "service"),
		lastSuccess: describe("last_success_timestamp_seconds", "When a job last succeeded.", "service"),
		calls:       describe("remote_call_seconds", "How long each call of the external API took.", "service"),
		callErrors:  describe("remote_call_errors_total", "Calls of the external API that failed, by class of the error.", "service", "class"),
		endpointCalls: describe("remote_endpoint_seconds",
			"How long each call of an endpoint of the external API took. Templates after the first 200 of a service count as other.",
			"service", "method", "template"),
		endpointErrors: describe("remote_endpoint_errors_total", "Calls of an endpoint of the external API that failed, by class of the error.",
			"service", "method", "template", "class"),
		quotaLeft: describe("remote_quota_left", "Calls left of the quota that is used up first, as the server of the external API said last.", "service"),
		budgetCalls: describe("remote_budget_calls",
			"Calls that the budget of a limit scope allows in a window. The scopes after the first 50 of a service are added up as other.", "service", "scope", "class", "window"),
		budgetLeft:       describe("remote_budget_left", "Calls left of the budget of a limit scope. Missing while Redis does not answer.", "service", "scope", "class", "window"),
		kindWorkers:      describe("workers", "Live processes that handle a kind of jobs: 0 if the kind has open jobs and no process.", "service", "kind"),
		queueWorkers:     describe("queue_workers", "Live processes that work a queue.", "queue"),
		alertsBySeverity: describe("alerts", "Alerts of the overview, up to 20.", "severity"),
	}
}

func (d *descriptions) describe(ch chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{
		d.up, d.ended, d.runs, d.waits, d.queued, d.due, d.running, d.stuck, d.oldest, d.limited, d.parked, d.paused, d.held, d.lastSuccess, d.alertsBySeverity,
		d.calls, d.callErrors, d.endpointCalls, d.endpointErrors, d.quotaLeft, d.budgetCalls, d.budgetLeft, d.kindWorkers,
		d.queueWorkers,
	} {
		ch <- desc
	}
}

// outcomes are the values of the label outcome. Each has a sample from the first scrape on, so that
// rate sees the first job.
func outcomes() []tracker.Status {
	return slices.DeleteFunc(tracker.Statuses(), func(s tracker.Status) bool { return !s.Terminal() })
}

// bucketBounds returns the upper bounds of the buckets: each doubling from 4 ms to 17 minutes. At
// these the stored histograms have exact counts.
func bucketBounds() (bounds []time.Duration) {
	for bound := 4 * time.Millisecond; bound < 20*time.Minute; bound *= 2 {
		bounds = append(bounds, bound)
	}
	return bounds
}

// endpointBounds returns the upper bounds of the buckets of one endpoint: fewer than bucketBounds, because a service
// may have 200 templates.
func endpointBounds() (bounds []time.Duration) {
	for bound := 16 * time.Millisecond; bound < 20*time.Second; bound *= 4 {
		bounds = append(bounds, bound)
	}
	return bounds
}

// figuresCollector sends figures that were read before.
type figuresCollector struct {
	*descriptions
	*figures
}

// Describe implements prometheus.Collector.
func (c figuresCollector) Describe(ch chan<- *prometheus.Desc) { c.describe(ch) }

// Collect implements prometheus.Collector.
func (c figuresCollector) Collect(ch chan<- prometheus.Metric) {
	sendGauge(ch, c.up, 1)
	sendGauge(ch, c.limited, boolFloat(c.moreOpen))
	for i := range c.services {
		c.collectService(ch, &c.services[i])
	}
	c.collectWorkers(ch)
	bySeverity := map[alert.Severity]int{}
	for _, a := range c.alerts {
		bySeverity[a.Severity]++
	}
	sendGauge(ch, c.alertsBySeverity, float64(bySeverity[alert.SeverityWarning]), "warning")
	sendGauge(ch, c.alertsBySeverity, float64(bySeverity[alert.SeverityCritical]), "critical")
}

func (c figuresCollector) collectService(ch chan<- prometheus.Metric, s *serviceFigures) {
	for _, outcome := range outcomes() {
		sendValue(ch, c.ended, prometheus.CounterValue, float64(s.ended[outcome]), s.Service, string(outcome))
	}
	sendHistogram(ch, c.runs, &s.allRuns, bucketBounds(), s.Service)
	sendHistogram(ch, c.waits, &s.allWaits, bucketBounds(), s.Service)
	oldest := 0.0
	if !s.Oldest.IsZero() {
		oldest = max(0, c.at.Sub(s.Oldest).Seconds())
	}
	for desc, value := range map[*prometheus.Desc]float64{
		c.queued: float64(s.Queued), c.due: float64(s.Due), c.running: float64(s.Running), c.stuck: float64(s.Stuck), c.oldest: oldest,
		c.parked: float64(s.parked), c.paused: float64(s.paused), c.held: float64(s.held),
	} {
		sendGauge(ch, desc, value, s.Service)
	}
	c.collectCalls(ch, s)
	if s.Quota != nil {
		sendGauge(ch, c.quotaLeft, float64(s.Quota.Left), s.Service)
	}
	c.collectBudgets(ch, s)
	if !s.Synced.IsZero() {
		sendGauge(ch, c.lastSuccess, float64(s.Synced.UnixMicro())/1e6, s.Service)
	}
}

// collectCalls sends what was counted of the calls of the external API.
func (c figuresCollector) collectCalls(ch chan<- prometheus.Metric, s *serviceFigures) {
	if s.calls != nil {
		sendHistogram(ch, c.calls, &s.calls.Durations, bucketBounds(), s.Service)
		for class, n := range s.calls.Errors {
			sendValue(ch, c.callErrors, prometheus.CounterValue, float64(n), s.Service, class)
		}
	}
	for i := range s.endpoints {
		e := &s.endpoints[i]
		sendHistogram(ch, c.endpointCalls, &e.Durations, endpointBounds(), s.Service, e.Method, e.Template)
		for class, n := range e.Errors {
			sendValue(ch, c.endpointErrors, prometheus.CounterValue, float64(n), s.Service, e.Method, e.Template, class)
		}
	}
}

// collectBudgets sends the budgets of the first maxBudgetSeries limit scopes, in the order of their names, and the sum
// of the others.
func (c figuresCollector) collectBudgets(ch chan<- prometheus.Metric, s *serviceFigures) {
	scopes := map[string]bool{}
	for i := range s.Budgets {
		scopes[s.Budgets[i].Instance] = true
	}
	names := slices.Sorted(maps.Keys(scopes))
	names = names[:min(len(names), maxBudgetSeries)]
	type key struct{ scope, class, window string }
	calls, left := map[key]int{}, map[key]int{}
	for _, b := range s.Budgets {
		k := key{b.Instance, b.Class, b.Window.String()}
		if !slices.Contains(names, b.Instance) {
			k.scope = budgetOther
		}
		if calls[k] += b.Calls; b.Left >= 0 {
			left[k] += b.Left
		}
	}
	for k, n := range calls {
		sendGauge(ch, c.budgetCalls, float64(n), s.Service, k.scope, k.class, k.window)
	}
	for k, n := range left {
		sendGauge(ch, c.budgetLeft, float64(n), s.Service, k.scope, k.class, k.window)
	}
}

// sendValue sends one sample. It leaves out a sample whose labels are not UTF-8: an invalid one
// would fail the scrape of the host's whole registry.
func sendValue(ch chan<- prometheus.Metric, desc *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
	if m, err := prometheus.NewConstMetric(desc, kind, value, labels...); err == nil {
		ch <- m
	}
}

func sendGauge(ch chan<- prometheus.Metric, desc *prometheus.Desc, value float64, labels ...string) {
	sendValue(ch, desc, prometheus.GaugeValue, value, labels...)
}

func sendHistogram(ch chan<- prometheus.Metric, desc *prometheus.Desc, h *tracker.Histogram, bounds []time.Duration, labels ...string) {
	buckets := map[float64]uint64{}
	for _, bound := range bounds {
		buckets[bound.Seconds()] = uint64(max(0, h.CountUpTo(bound)))
	}
	if m, err := prometheus.NewConstHistogram(desc, uint64(max(0, h.Count())), h.Sum().Seconds(), buckets, labels...); err == nil {
		ch <- m
	}
}

func boolFloat(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
