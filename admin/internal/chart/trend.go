package chart

import (
	"time"

	"github.com/nawasara/nawasync/tracker"
)

// Trend is how a service did over a time: two rows of bars, and their figures.
type Trend struct {
	From     time.Time
	Step     time.Duration
	Parts    []TrendPart
	Outcomes BarChart
	Times    BarChart
}

// TrendPart is what ended in one step of it.
type TrendPart struct {
	From        time.Time
	Outcomes    Bar
	Runs, Waits tracker.Histogram
}

// NewTrend has an empty part for each step between from and to.
func NewTrend(from, to time.Time, step time.Duration) Trend {
	c := Trend{From: from.Truncate(step), Step: step}
	for at := c.From; at.Before(to); at = at.Add(step) {
		c.Parts = append(c.Parts, TrendPart{From: at})
	}
	return c
}

// Add counts a statistic into the part it belongs to; one outside of them is ignored.
func (c *Trend) Add(s tracker.Stat) {
	i := int(s.Bucket.Sub(c.From) / c.Step)
	if i < 0 || i >= len(c.Parts) || s.Bucket.Before(c.From) {
		return
	}
	c.Parts[i].Outcomes.Add(s)
	c.Parts[i].Runs.Merge(s.Runs)
	c.Parts[i].Waits.Merge(s.Waits)
}
