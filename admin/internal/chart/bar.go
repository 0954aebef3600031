// Package chart adds statistics up into bars and computes the coordinates of the bars.
package chart

import (
	"fmt"
	"slices"
	"time"

	"github.com/nawasara/nawasync/tracker"
)

// BarChart is a row of bars. Each bar has a good part below and a bad part above.
type BarChart struct {
	Bars  []Bar
	Top   int64  // the value of the highest bar
	Name  string // the caption
	Class string // an additional CSS class; "times" for run times
}

// Bar is one bar of a chart. Scaled sets the coordinates, which are in a box of 600 by 48.
type Bar struct {
	From, To   time.Time
	Good, Bad  int64
	X, Y, H    float64 // of the good part
	BadY, BadH float64 // of the bad part
	Title      string
	URL        string // the page that the bar links to; "" means no link
}

// Add adds the jobs of a statistic to the bar. Failures and conflicts are bad.
func (b *Bar) Add(s tracker.Stat) {
	if s.Outcome == tracker.StatusFailed || s.Outcome == tracker.StatusConflict {
		b.Bad += s.Jobs
	} else {
		b.Good += s.Jobs
	}
}

// MaxBars is the maximum number of bars in a chart.
const MaxBars = 200

// The size of the box that a chart is drawn in.
const (
	chartWidth  = 600.0
	chartHeight = 48.0
)

// Role returns the ARIA role of the chart: a group of links, or an image.
func (c BarChart) Role() string {
	if slices.ContainsFunc(c.Bars, func(b Bar) bool { return b.URL != "" }) {
		return "group"
	}
	return "img"
}

// Coordinate formats a number for an SVG attribute.
func Coordinate(f float64) string { return fmt.Sprintf("%.1f", f) }

// BarWidth returns the width of each bar for an SVG attribute.
func BarWidth(c BarChart) string {
	return Coordinate(max(1, chartWidth/float64(max(1, len(c.Bars)))-1))
}

// Sparkline returns the chart of one service's statistics between two times.
func Sparkline(stats []tracker.Stat, service string, from, to time.Time, step time.Duration) BarChart {
	begin := from.Truncate(step)
	bars := make([]Bar, max(1, min(MaxBars, int(to.Sub(begin)/step)+1)))
	for _, s := range stats {
		if i := int(s.Bucket.Sub(begin) / step); s.Service == service && i >= 0 && i < len(bars) && !s.Bucket.Before(begin) {
			bars[i].Add(s)
		}
	}
	return BarChart{Bars: bars}.Scaled()
}

// Failures returns the chart of the jobs of an error group between two times.
func Failures(counts []tracker.ErrorCount, from, to time.Time, step time.Duration) BarChart {
	begin := from.Truncate(step)
	bars := make([]Bar, max(1, min(MaxBars, int(to.Sub(begin)/step)+1)))
	for i := range bars {
		bars[i].From = begin.Add(time.Duration(i) * step)
		bars[i].To = bars[i].From.Add(step)
	}
	for _, c := range counts {
		if i := int(c.Bucket.Sub(begin) / step); i >= 0 && i < len(bars) && !c.Bucket.Before(begin) {
			bars[i].Bad += c.Jobs
		}
	}
	return BarChart{Bars: bars}.Scaled()
}

// Scaled returns the chart with Top set. It also sets the coordinates of the bars, which the
// returned chart shares with c.
func (c BarChart) Scaled() BarChart {
	for _, b := range c.Bars {
		c.Top = max(c.Top, b.Good+b.Bad)
	}
	width := chartWidth / float64(len(c.Bars))
	for i := range c.Bars {
		b := &c.Bars[i]
		b.X = float64(i) * width
		if c.Top > 0 {
			b.H = float64(b.Good) / float64(c.Top) * (chartHeight - 2)
			b.BadH = float64(b.Bad) / float64(c.Top) * (chartHeight - 2)
		}
		b.Y, b.BadY = chartHeight-b.H, chartHeight-b.H-b.BadH
	}
	return c
}
