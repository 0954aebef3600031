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
	bars []bar
	top  int64
	name string // what it counts
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

const (
	maxBars     = 200
	stripWidth  = 600.0
	stripHeight = 48.0
)

// strip counts what ended in the query's window, from the statistics: only terms that
// these are kept by narrow it, and its name says so.
func (p *page) strip(ctx context.Context, q query, search tracker.Search) (strip, error) {
	from, to := search.From, search.To
	if to.IsZero() || to.After(p.now) {
		to = p.now
	}
	if from.IsZero() {
		from = to.Add(-24 * time.Hour)
	}
	period, step := tracker.Hour, time.Hour
	switch length := to.Sub(from); {
	case length <= 2*time.Hour:
		period, step = tracker.Minute, time.Minute
	case length > 8*24*time.Hour:
		period, step = tracker.Day, 24*time.Hour
	}
	stats, err := p.mine(p.store().StatCounts(ctx, period, from, to))
	if err != nil {
		return strip{}, err
	}
	if !from.Before(to) {
		return strip{}, nil // nothing has ended yet in a time that is to come
	}
	begin := from.Truncate(step)
	if first := to.Truncate(step).Add(-(maxBars - 1) * step); begin.Before(first) {
		begin = first // of a longer time, the end of it
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
		switch s.Outcome {
		case tracker.Failed, tracker.Conflict:
			bars[i].bad += s.Jobs
		default:
			bars[i].good += s.Jobs
		}
	}
	out := strip{bars: bars, name: p.Tf("Ended per %s, by service, type, instance and action only", p.T(string(period)))}.scaled()
	for i := range bars {
		b := &bars[i]
		b.title = p.Tf("%s: %s ended, %s of them failed or in conflict", b.from.In(p.zone).Format("2006-01-02 15:04"), thousands(b.good+b.bad), thousands(b.bad))
		b.url = p.url("/jobs", "q", q.with("since").with("created", fmt.Sprintf("%s..%s", b.from.In(p.zone).Format("2006-01-02T15:04"), b.to.In(p.zone).Format("2006-01-02T15:04"))).String())
	}
	return out, nil
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
