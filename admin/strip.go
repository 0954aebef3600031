package admin

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/nawasara/nawasync/tracker"
)

// strip is a row of bars: what ended when, good beneath bad.
type strip struct {
	bars  []bar
	top   int64
	name  string // what it counts
	class string // "times" where the parts are no outcomes
}

type bar struct {
	from, to  time.Time
	good, bad int64
	x, h, y   float64 // of the good part, in a box of 600 by 48
	badH      float64
	badY      float64
	title     string
	url       string
}

func (b *bar) add(s tracker.Stat) {
	if s.Outcome == tracker.Failed || s.Outcome == tracker.Conflict {
		b.bad += s.Jobs
	} else {
		b.good += s.Jobs
	}
}

const (
	maxBars     = 200
	stripWidth  = 600.0
	stripHeight = 48.0
)

// strip counts what ended in the query's window, from the statistics: only terms that
// these are kept by narrow it, and its name says so.
func (p *page) strip(ctx context.Context, q query, search tracker.Search) (strip, error) {
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
		return strip{}, nil // nothing has ended yet in a time that is to come
	}
	period, step := tracker.PeriodHour, time.Hour
	switch length := to.Sub(from); {
	case length <= 2*time.Hour:
		period, step = tracker.PeriodMinute, time.Minute
	case length > 8*24*time.Hour:
		period, step = tracker.PeriodDay, 24*time.Hour
	}
	begin := from.Truncate(step)
	if first := to.Truncate(step).Add(-(maxBars - 1) * step); begin.Before(first) {
		begin = first // of a longer time, the end of it
	}
	stats, err := p.mine(p.store().StatCounts(ctx, period, begin, to))
	if err != nil {
		return strip{}, err
	}
	bars := make([]bar, int(to.Sub(begin)/step)+1)
	for i := range bars {
		bars[i].from = begin.Add(time.Duration(i) * step)
		bars[i].to = bars[i].from.Add(step)
	}
	for _, s := range stats {
		i := int(s.Bucket.Sub(begin) / step)
		if i < 0 || i >= len(bars) || !fits(q, "service", s.Service) || !fits(q, "type", s.Type) || !fits(q, "instance", s.Instance) || !fits(q, "action", s.Action) {
			continue
		}
		bars[i].add(s)
	}
	out := strip{bars: bars, name: p.perPeriod(period)}.scaled()
	for i := range bars {
		b := &bars[i]
		b.title = p.Tf("%s: %s ended, %s of them failed or in conflict", b.from.In(p.zone).Format("2006-01-02 15:04"), thousands(b.good+b.bad), thousands(b.bad))
		b.url = p.url("/jobs", "q", q.with("since").with("created").with("ended", p.between(b.from, b.to)).String())
	}
	return out, nil
}

// between is two times as a term has them; the zero time is no end.
func (p *page) between(from, to time.Time) string {
	text := from.In(p.zone).Format(minuteOf) + ".."
	if !to.IsZero() {
		text += to.In(p.zone).Format(minuteOf)
	}
	return text
}

// perPeriod names what a strip counts.
func (p *page) perPeriod(period tracker.Period) string {
	switch period {
	case tracker.PeriodMinute:
		return p.T("Ended per minute, by service, type, instance and action only")
	case tracker.PeriodHour:
		return p.T("Ended per hour, by service, type, instance and action only")
	case tracker.PeriodDay:
	}
	return p.T("Ended per day, by service, type, instance and action only")
}

// mine are the statistics of services that the subject may view.
func (p *page) mine(list []tracker.Stat, err error) ([]tracker.Stat, error) {
	return slices.DeleteFunc(list, func(s tracker.Stat) bool { return !p.viewer.may(PermissionView, s.Service) }), err
}

// role is a picture, or a group of links.
func (s strip) role() string {
	if slices.ContainsFunc(s.bars, func(b bar) bool { return b.url != "" }) {
		return "group"
	}
	return "img"
}

func figure(f float64) string { return fmt.Sprintf("%.1f", f) }

func barWidth(s strip) string { return figure(max(1, stripWidth/float64(max(1, len(s.bars)))-1)) }

// sparkline is a service's bars.
func sparkline(stats []tracker.Stat, service string, from, to time.Time, step time.Duration) strip {
	begin := from.Truncate(step)
	bars := make([]bar, max(1, min(maxBars, int(to.Sub(begin)/step)+1)))
	for _, s := range stats {
		if i := int(s.Bucket.Sub(begin) / step); s.Service == service && i >= 0 && i < len(bars) && !s.Bucket.Before(begin) {
			bars[i].add(s)
		}
	}
	return strip{bars: bars}.scaled()
}

// scaled gives the bars their places.
func (s strip) scaled() strip {
	for _, b := range s.bars {
		s.top = max(s.top, b.good+b.bad)
	}
	width := stripWidth / float64(len(s.bars))
	for i := range s.bars {
		b := &s.bars[i]
		b.x = float64(i) * width
		if s.top > 0 {
			b.h = float64(b.good) / float64(s.top) * (stripHeight - 2)
			b.badH = float64(b.bad) / float64(s.top) * (stripHeight - 2)
		}
		b.y, b.badY = stripHeight-b.h, stripHeight-b.h-b.badH
	}
	return s
}
