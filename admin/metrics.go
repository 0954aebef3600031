package admin

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nawasara/nawasync/admin/internal/alert"
)

// metrics writes the figures of the health page in the exposition format of Prometheus. The only
// labels are services and fixed words, so that the number of series stays small.
func (p *request) metrics() error {
	h, err := p.loadHealth(p.r.Context())
	if err != nil {
		return err
	}
	var m metricWriter
	p.writeServiceGauges(&m, h.Services)
	m.writeEnded(h)
	m.writeRunSeconds(h.Services)
	m.writeAlerts(h.Alerts)
	p.w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, _ = p.w.Write([]byte(m.String()))
	return nil
}

// metricWriter builds a text in the exposition format of Prometheus.
type metricWriter struct{ strings.Builder }

// describe starts a gauge. The help text must not contain a line break or a backslash.
func (m *metricWriter) describe(name, help string) {
	fmt.Fprintf(&m.Builder, "# HELP nawasync_%s %s\n# TYPE nawasync_%s gauge\n", name, help, name)
}

// perService writes a gauge with one sample per service. A service for which value returns "" has
// no sample.
func (m *metricWriter) perService(services []serviceHealth, name, help string, value func(s serviceHealth) string) {
	m.describe(name, help)
	for _, s := range services {
		if v := value(s); v != "" {
			fmt.Fprintf(&m.Builder, "nawasync_%s{service=%s} %s\n", name, metricLabel(s.Service), v)
		}
	}
}

func (p *request) writeServiceGauges(m *metricWriter, services []serviceHealth) {
	count := func(n int64) string { return strconv.FormatInt(n, 10) }
	m.perService(services, "jobs_queued", "Queued jobs.", func(s serviceHealth) string { return count(s.Queued) })
	m.perService(services, "jobs_running", "Running jobs.", func(s serviceHealth) string { return count(s.Running) })
	m.perService(services, "jobs_stuck", "Running jobs past their deadline.", func(s serviceHealth) string { return count(s.Stuck) })
	m.perService(services, "oldest_queued_seconds", "How long the oldest due job has been waiting.", func(s serviceHealth) string {
		if s.Oldest.IsZero() {
			return "0"
		}
		return formatSeconds(max(0, p.now.Sub(s.Oldest)))
	})
	m.perService(services, "last_success_timestamp_seconds", "When a job last succeeded.", func(s serviceHealth) string {
		if s.Synced.IsZero() {
			return ""
		}
		return count(s.Synced.Unix())
	})
}

func (m *metricWriter) writeEnded(h *health) {
	m.describe("jobs_ended", "Jobs that ended in the window ("+h.Window+"), by outcome.")
	for _, s := range h.Services {
		for _, outcome := range []struct {
			name string
			n    int64
		}{{"success", s.Success}, {"failed", s.Failed}, {"other", s.Other}} {
			fmt.Fprintf(&m.Builder, "nawasync_jobs_ended{service=%s,outcome=%q} %d\n", metricLabel(s.Service), outcome.name, outcome.n)
		}
	}
}

func (m *metricWriter) writeRunSeconds(services []serviceHealth) {
	m.describe("run_seconds", "Run times in the window, by quantile.")
	for _, s := range services {
		fmt.Fprintf(&m.Builder, "nawasync_run_seconds{service=%s,quantile=\"0.5\"} %s\nnawasync_run_seconds{service=%[1]s,quantile=\"0.95\"} %[3]s\n",
			metricLabel(s.Service), formatSeconds(s.RunP50), formatSeconds(s.RunP95))
	}
}

func (m *metricWriter) writeAlerts(alerts []alert.Alert) {
	m.describe("alerts", "Alerts of the health page, by severity.")
	bySeverity := map[alert.Severity]int{}
	for _, a := range alerts {
		bySeverity[a.Severity]++
	}
	fmt.Fprintf(&m.Builder, "nawasync_alerts{severity=\"warning\"} %d\nnawasync_alerts{severity=\"critical\"} %d\n",
		bySeverity[alert.SeverityWarning], bySeverity[alert.SeverityCritical])
}

// metricLabel quotes a label value for the exposition format.
func metricLabel(value string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(value) + `"`
}

func formatSeconds(d time.Duration) string { return fmt.Sprintf("%g", d.Seconds()) }
