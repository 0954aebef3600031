package chart

import (
	"time"

	"github.com/nawasara/nawasync/tracker"
)

// Trend has the figures of jobs over time, one part per step.
type Trend struct {
	From  time.Time
	Step  time.Duration
	Parts []TrendPart
}

// TrendPart has the figures of the jobs that ended in one step.
type TrendPart struct {
	From, To               time.Time
	Success, Failed, Other int64
	Runs, Waits            tracker.Histogram
}

// Ended returns the number of jobs.
func (p *TrendPart) Ended() int64 { return p.Success + p.Failed + p.Other }

// NewTrend returns a trend with an empty part for each step between from and to. It begins with the first whole
// step, because a part of which only the end was counted would mislead.
func NewTrend(from, to time.Time, step time.Duration) Trend {
	t := Trend{From: from.Truncate(step), Step: step}
	if t.From.Before(from) {
		t.From = t.From.Add(step)
	}
	for at := t.From; at.Before(to) || len(t.Parts) == 0; at = at.Add(step) {
		t.Parts = append(t.Parts, TrendPart{From: at, To: at.Add(step)})
	}
	return t
}

// Add adds a statistic to its part. It ignores a statistic from outside the trend.
func (t *Trend) Add(s tracker.Stat) {
	i := int(s.Bucket.Sub(t.From) / t.Step)
	if i < 0 || i >= len(t.Parts) || s.Bucket.Before(t.From) {
		return
	}
	part := &t.Parts[i]
	switch s.Outcome {
	case tracker.StatusSuccess:
		part.Success += s.Jobs
	case tracker.StatusFailed:
		part.Failed += s.Jobs
	default:
		part.Other += s.Jobs
	}
	part.Runs.Merge(s.Runs)
	part.Waits.Merge(s.Waits)
}

// Total returns the figures of all parts.
func (t *Trend) Total() (total TrendPart) {
	for _, part := range t.Parts {
		total.Success += part.Success
		total.Failed += part.Failed
		total.Other += part.Other
		total.Runs.Merge(part.Runs)
		total.Waits.Merge(part.Waits)
	}
	return total
}
