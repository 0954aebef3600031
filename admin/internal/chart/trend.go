package chart

import (
	"time"

	"github.com/nawasara/nawasync/tracker"
)

// Trend has two charts of a service over time, and the figures that they show.
type Trend struct {
	From     time.Time
	Step     time.Duration
	Parts    []TrendPart
	Outcomes BarChart
	Times    BarChart // run times
}

// TrendPart has the figures of one step.
type TrendPart struct {
	From        time.Time
	Outcomes    Bar
	Runs, Waits tracker.Histogram
}

// NewTrend returns a trend with an empty part for each step between from and to.
func NewTrend(from, to time.Time, step time.Duration) Trend {
	t := Trend{From: from.Truncate(step), Step: step}
	for at := t.From; at.Before(to); at = at.Add(step) {
		t.Parts = append(t.Parts, TrendPart{From: at})
	}
	return t
}

// Add adds a statistic to its part. It ignores a statistic from outside the trend.
func (t *Trend) Add(s tracker.Stat) {
	i := int(s.Bucket.Sub(t.From) / t.Step)
	if i < 0 || i >= len(t.Parts) || s.Bucket.Before(t.From) {
		return
	}
	t.Parts[i].Outcomes.Add(s)
	t.Parts[i].Runs.Merge(s.Runs)
	t.Parts[i].Waits.Merge(s.Waits)
}
