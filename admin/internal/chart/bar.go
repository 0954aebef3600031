// Package chart counts statistics into bars, and gives these their places.
package chart

import (
	"fmt"
	"slices"
	"time"

	"github.com/nawasara/nawasync/tracker"
)

// BarChart is a row of bars: what ended when, good beneath bad.
type BarChart struct {
	Bars  []Bar
	Top   int64
	Name  string // what it counts
	Class string // "times" where the parts are no outcomes
}

// Bar is one of them, with its place in the drawing.
type Bar struct {
	From, To  time.Time
	Good, Bad int64
	X, H, Y   float64 // of the good part, in a box of 600 by 48
	BadH      float64
	BadY      float64
	Title     string
	URL       string
}

// Add counts a statistic into the bar.
func (b *Bar) Add(s tracker.Stat) {
	if s.Outcome == tracker.StatusFailed || s.Outcome == tracker.StatusConflict {
		b.Bad += s.Jobs
	} else {
		b.Good += s.Jobs
	}
}

// MaxBars is how many bars a chart has at most.
const MaxBars = 200

// The box that a chart is drawn in.
const (
	stripWidth  = 600.0
	stripHeight = 48.0
)

// Role is a picture, or a group of links.
func (s BarChart) Role() string {
	if slices.ContainsFunc(s.Bars, func(b Bar) bool { return b.URL != "" }) {
		return "group"
	}
	return "img"
}

// Figure is a coordinate as SVG wants it.
func Figure(f float64) string { return fmt.Sprintf("%.1f", f) }

// BarWidth is how wide each bar is drawn.
func BarWidth(s BarChart) string { return Figure(max(1, stripWidth/float64(max(1, len(s.Bars)))-1)) }

// Sparkline is a service's bars.
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

// Scaled gives the bars their places.
func (s BarChart) Scaled() BarChart {
	for _, b := range s.Bars {
		s.Top = max(s.Top, b.Good+b.Bad)
	}
	width := stripWidth / float64(len(s.Bars))
	for i := range s.Bars {
		b := &s.Bars[i]
		b.X = float64(i) * width
		if s.Top > 0 {
			b.H = float64(b.Good) / float64(s.Top) * (stripHeight - 2)
			b.BadH = float64(b.Bad) / float64(s.Top) * (stripHeight - 2)
		}
		b.Y, b.BadY = stripHeight-b.H, stripHeight-b.H-b.BadH
	}
	return s
}
