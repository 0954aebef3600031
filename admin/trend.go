package admin

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nawasara/nawasync/admin/internal/chart"
	"github.com/nawasara/nawasync/admin/internal/format"
	"github.com/nawasara/nawasync/tracker"
)

// trendView has the two charts of a page: how many jobs ended, and how long they ran.
type trendView struct {
	*request
	counts, times    chart.Trend // the steps of times may be longer
	throughput, runs chart.Plot
	terms            []string // query terms for the jobs that the charts count
	sinceTerm        string   // and for the whole time range
	deployments      []tracker.Deployment
	previous         string // compares the number of jobs with that of the preceding time range; "" shows nothing
}

// The names of the series, which are classes of the style sheet.
const (
	seriesSuccess = "success"
	seriesFailed  = "failed"
	seriesOther   = "other"
	seriesP50     = "p50"
	seriesP95     = "p95"
)

// newTrendView draws both charts. The terms find the jobs that they count.
func (p *request) newTrendView(counts, times chart.Trend, terms ...string) trendView {
	v := trendView{request: p, counts: counts, times: times, terms: terms, sinceTerm: "ended:" + p.timeRange(counts.From, time.Time{})}
	v.throughput = chart.Plot{Name: p.T("Jobs ended over time"), Series: []chart.Series{{Name: seriesSuccess}, {Name: seriesFailed}, {Name: seriesOther}}}
	for _, part := range counts.Parts {
		c := v.column(part)
		c.Values = []int64{part.Success, part.Failed, part.Other}
		c.Title = p.Tf("%s: %s succeeded, %s failed, %s other", v.stepText(part), format.Thousands(p, part.Success), format.Thousands(p, part.Failed), format.Thousands(p, part.Other))
		v.throughput.Columns = append(v.throughput.Columns, c)
	}
	top := max(1, v.throughput.Top())
	v.throughput.Draw(chart.CountStep(top), axisText(p.jobCount, func(n int64) string { return format.Thousands(p, n) }))

	v.runs = chart.Plot{Name: p.T("Run time over time"), Lines: true, Series: []chart.Series{{Name: seriesP50}, {Name: seriesP95}}}
	for _, part := range times.Parts {
		c := v.column(part)
		p50, p95 := part.Runs.Quantile(0.5), part.Runs.Quantile(0.95)
		c.Values, c.Empty = []int64{p50.Microseconds(), p95.Microseconds()}, part.Runs.Count() == 0
		c.Title = p.Tf("%s: run time p50 %s, p95 %s", v.stepText(part), format.Span(p, p50), format.Span(p, p95))
		v.runs.Columns = append(v.runs.Columns, c)
	}
	longest := time.Duration(max(1000, v.runs.Top())) * time.Microsecond
	v.runs.Draw(chart.DurationStep(longest).Microseconds(), durationAxis(p))
	for _, plot := range []*chart.Plot{&v.throughput, &v.runs} {
		v.labelTimes(plot)
	}
	return v
}

// column returns the column of a part, without values.
func (v *trendView) column(part chart.TrendPart) chart.Column {
	c := chart.Column{From: part.From, To: part.To, Open: part.To.After(v.now)}
	if part.Ended() > 0 || part.Runs.Count() > 0 {
		c.URL = v.partURL(part)
	}
	return c
}

// partURL returns the list of the jobs that a part counts, with further terms.
func (v *trendView) partURL(part chart.TrendPart, terms ...string) string {
	return v.queryURL(slices.Concat(terms, v.terms, []string{"ended:" + v.timeRange(part.From, part.To)})...)
}

// totalURL returns the list of all jobs that the charts count, with further terms.
func (v *trendView) totalURL(terms ...string) string {
	return v.queryURL(slices.Concat(terms, v.terms, []string{v.sinceTerm})...)
}

// otherStatuses is the query term for jobs that ended neither with success nor failed.
const otherStatuses = "status:cancelled,conflict,skipped"

// stepText names the step of a part.
func (v *trendView) stepText(part chart.TrendPart) string {
	from, to := part.From.In(v.zone), part.To.In(v.zone)
	switch length := part.To.Sub(part.From); {
	case length >= 24*time.Hour && from.Hour() == 0 && from.Minute() == 0:
		return from.Format("2006-01-02")
	case from.YearDay() != to.YearDay() && length >= 24*time.Hour:
		return from.Format("2006-01-02 15:04") + " – " + to.Format("2006-01-02 15:04")
	}
	return from.Format("2006-01-02 15:04") + " – " + to.Format("15:04")
}

// labelTimes sets the labels of the time axis.
func (v *trendView) labelTimes(plot *chart.Plot) {
	times, days := chart.TimeLabels(plot.From(), plot.To(), v.zone)
	for _, at := range times {
		layout := "15:04"
		if days {
			layout = "01-02"
		}
		plot.Times = append(plot.Times, chart.Label{At: plot.Position(at), Text: at.Format(layout)})
	}
}

// timeMarks is what the charts mark on their time axes.
type timeMarks struct {
	ended       []tracker.EndedPause
	deployments []tracker.Deployment
}

// maxMarkedPauses is how many ended pauses a chart marks: the newest ones.
const maxMarkedPauses = 50

// readMarks reads the marks of a service's charts, or of those of all services.
func (p *request) readMarks(ctx context.Context, service string, since time.Time) (m timeMarks, err error) {
	if m.ended, err = p.store().EndedPauses(ctx, service, since); err != nil {
		return m, err
	}
	m.deployments, err = p.store().Deployments(ctx, since)
	return m, err
}

// mark marks on both charts when scopes were paused or parked, and when a version was deployed.
func (v *trendView) mark(scopes []tracker.Scope, marks timeMarks) {
	v.deployments = slices.DeleteFunc(slices.Clone(marks.deployments), func(d tracker.Deployment) bool { return d.At.Before(v.throughput.From()) })
	for _, plot := range []*chart.Plot{&v.throughput, &v.runs} {
		for _, s := range scopes {
			plot.Pause(s.Since, v.now, v.Tf("%s paused since %s", v.scopeText(s.Service, s.Instance), v.shortTime(s.Since)))
		}
		for _, s := range marks.ended[:min(len(marks.ended), maxMarkedPauses)] {
			plot.Pause(s.From, s.To, v.Tf("%s paused from %s to %s", v.scopeText(s.Service, s.Instance), v.shortTime(s.From), v.shortTime(s.To)))
		}
		for _, d := range marks.deployments {
			plot.Mark(d.At, v.deploymentText(d))
		}
	}
}

func (v *trendView) deploymentText(d tracker.Deployment) string {
	return v.Tf("version %s since %s", d.Version, v.shortTime(d.At))
}

// axisText returns the labels of a value axis: the first one, which is the highest, has the unit.
func axisText(first, others func(int64) string) func(int64) string {
	written := false
	return func(value int64) string {
		if !written {
			written = true
			return first(value)
		}
		return others(value)
	}
}

// durationAxis returns the labels of a value axis of microseconds, in the unit of the highest one.
func durationAxis(l format.Language) func(int64) string {
	unit, name := time.Millisecond, l.T("%s ms")
	number := func(value int64) string {
		return format.Decimal(l, float64(time.Duration(value)*time.Microsecond)/float64(unit))
	}
	return axisText(func(value int64) string {
		for _, u := range []struct {
			length time.Duration
			name   string
		}{{24 * time.Hour, l.T("%s d")}, {time.Hour, l.T("%s h")}, {time.Minute, l.T("%s min")}, {time.Second, l.T("%s s")}} {
			if time.Duration(value)*time.Microsecond >= u.length {
				unit, name = u.length, u.name
				break
			}
		}
		return strings.ReplaceAll(fmt.Sprintf(name, number(value)), " ", "\u00a0")
	}, number)
}
