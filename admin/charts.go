package admin

import (
	"context"
	"slices"
	"time"

	"github.com/nawasara/nawasync/admin/internal/chart"
	"github.com/nawasara/nawasync/admin/internal/format"
	"github.com/nawasara/nawasync/admin/internal/query"
	"github.com/nawasara/nawasync/tracker"
)

// jobsChart counts what ended in the query's window, from the statistics: only terms that
// these are kept by narrow it, and its name says so.
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
		return chart.BarChart{}, nil // nothing has ended yet in a time that is to come
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
		begin = first // of a longer time, the end of it
	}
	stats, err := p.visibleStats(p.store().StatCounts(ctx, period, begin, to))
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
		if i < 0 || i >= len(bars) || !pageFits(q, "service", s.Service) || !pageFits(q, "type", s.Type) || !pageFits(q, "instance", s.Instance) ||
			!pageFits(q, "action", s.Action) {
			continue
		}
		bars[i].Add(s)
	}
	out := chart.BarChart{Bars: bars, Name: p.perPeriod(period)}.Scaled()
	for i := range bars {
		b := &bars[i]
		b.Title = p.Tf("%s: %s ended, %s of them failed or in conflict", b.From.In(p.zone).Format("2006-01-02 15:04"), format.Thousands(b.Good+b.Bad),
			format.Thousands(b.Bad))
		b.URL = p.url("/jobs", "q", q.With("since").With("created").With("ended", p.between(b.From, b.To)).String())
	}
	return out, nil
}

// between is two times as a term has them; the zero time is no end.
func (p *request) between(from, to time.Time) string {
	text := from.In(p.zone).Format(query.MinuteLayout) + ".."
	if !to.IsZero() {
		text += to.In(p.zone).Format(query.MinuteLayout)
	}
	return text
}

// perPeriod names what a strip counts.
func (p *request) perPeriod(period tracker.Period) string {
	switch period {
	case tracker.PeriodMinute:
		return p.T("Ended per minute, by service, type, instance and action only")
	case tracker.PeriodHour:
		return p.T("Ended per hour, by service, type, instance and action only")
	case tracker.PeriodDay:
	}
	return p.T("Ended per day, by service, type, instance and action only")
}

// visibleStats are the statistics of services that the subject may view.
func (p *request) visibleStats(list []tracker.Stat, err error) ([]tracker.Stat, error) {
	return slices.DeleteFunc(list, func(s tracker.Stat) bool { return !p.viewer.may(PermissionView, s.Service) }), err
}
