package admin

import (
	"context"
	"time"

	"github.com/nawasara/nawasync/admin/internal/chart"
	"github.com/nawasara/nawasync/admin/internal/format"
	"github.com/nawasara/nawasync/admin/internal/query"
	"github.com/nawasara/nawasync/tracker"
)

// jobsChart counts the jobs that ended in the query's time range. It reads the statistics, which
// are kept by service, type, instance and action. Other terms of the query do not narrow it; the
// chart's name says so.
func (p *request) jobsChart(ctx context.Context, q query.Query, search tracker.Search) (chart.BarChart, error) {
	from, to := search.EndedFrom, search.EndedTo
	if from.IsZero() && to.IsZero() {
		from, to = search.From, search.To
	}
	if to.IsZero() || to.After(p.now) {
		to = p.now
	}
	if from.IsZero() {
		from = to.Add(-24 * time.Hour)
	}
	if !from.Before(to) {
		return chart.BarChart{}, nil // the range is in the future or empty
	}
	period, step := tracker.PeriodHour, time.Hour
	switch length := to.Sub(from); {
	case length <= 2*time.Hour:
		period, step = tracker.PeriodMinute, time.Minute
	case length > 8*24*time.Hour:
		period, step = tracker.PeriodDay, 24*time.Hour
	}
	begin := from.Truncate(step)
	if first := to.Truncate(step).Add(-(chart.MaxBars - 1) * step); begin.Before(first) {
		begin = first // the chart shows the end of a range that is too long for it
	}
	stats, err := p.store().StatCounts(ctx, period, begin, to)
	if err != nil {
		return chart.BarChart{}, err
	}
	bars := make([]chart.Bar, int(to.Sub(begin)/step)+1)
	for i := range bars {
		bars[i].From = begin.Add(time.Duration(i) * step)
		bars[i].To = bars[i].From.Add(step)
	}
	for _, s := range stats {
		i := int(s.Bucket.Sub(begin) / step)
		if i < 0 || i >= len(bars) || !q.Allows("service", s.Service) || !q.Allows("type", s.Type) || !q.Allows("instance", s.Instance) ||
			!q.Allows("action", s.Action) {
			continue
		}
		bars[i].Add(s)
	}
	out := chart.BarChart{Bars: bars, Name: p.chartName(period)}.Scaled()
	for i := range bars {
		b := &bars[i]
		b.Title = p.Tf("%s: %s ended, %s of them failed or in conflict", b.From.In(p.zone).Format("2006-01-02 15:04"), p.jobCount(b.Good+b.Bad),
			format.Thousands(p, b.Bad))
		// The bars count by end, whenever a job was created, so the link replaces every time range.
		b.URL = p.url("/jobs", "q", q.With("since").With("created").With("ended", p.timeRange(b.From, b.To)).String())
	}
	return out, nil
}

// timeRange returns the value of a query term for the range between two times. If to is the zero
// time, the range has no end.
func (p *request) timeRange(from, to time.Time) string {
	text := from.In(p.zone).Format(query.MinuteLayout) + ".."
	if !to.IsZero() {
		text += to.In(p.zone).Format(query.MinuteLayout)
	}
	return text
}

// chartName returns the caption of a chart with one bar per period.
func (p *request) chartName(period tracker.Period) string {
	switch period {
	case tracker.PeriodMinute:
		return p.T("Jobs ended per minute. Filters other than service, type, instance and action do not apply.")
	case tracker.PeriodHour:
		return p.T("Jobs ended per hour. Filters other than service, type, instance and action do not apply.")
	case tracker.PeriodDay:
	}
	return p.T("Jobs ended per day. Filters other than service, type, instance and action do not apply.")
}
