package admin

import (
	"fmt"
	"time"

	"github.com/nawasara/nawasync/tracker"
)

// course is how a service did over a time: two rows of bars, and their figures.
type course struct {
	from     time.Time
	step     time.Duration
	parts    []coursePart
	outcomes strip
	times    strip
}

// coursePart is what ended in one step of it.
type coursePart struct {
	from        time.Time
	outcomes    bar
	runs, waits tracker.Histogram
}

func newCourse(from, to time.Time, step time.Duration) course {
	c := course{from: from.Truncate(step), step: step}
	for at := c.from; at.Before(to); at = at.Add(step) {
		c.parts = append(c.parts, coursePart{from: at})
	}
	return c
}

func (c *course) add(s tracker.Stat) {
	i := int(s.Bucket.Sub(c.from) / c.step)
	if i < 0 || i >= len(c.parts) || s.Bucket.Before(c.from) {
		return
	}
	c.parts[i].outcomes.add(s)
	c.parts[i].runs.Merge(s.Runs)
	c.parts[i].waits.Merge(s.Waits)
}

// drawn makes the bars: what ended, each leading to its jobs, and how long runs took,
// half of them up to the lower part, 95 % up to the higher.
func (c *course) drawn(v *serviceView) {
	for _, part := range c.parts {
		done, took := part.outcomes, bar{title: ""}
		to := part.from.Add(c.step)
		done.title = v.Tf("%s: %s ended, %s of them failed or in conflict", v.short(part.from), thousands(done.good+done.bad), thousands(done.bad))
		done.url = v.queryURL("service:"+v.name, v.instanceTerm(), "ended:"+v.between(part.from, to))
		if part.runs.Count() > 0 {
			half, most := part.runs.Quantile(0.5), part.runs.Quantile(0.95)
			took.good, took.bad = half.Microseconds(), (most - half).Microseconds()
			took.title = v.Tf("%s: half of the runs took up to %s, 95 %% up to %s", v.short(part.from), span(half), span(most))
		}
		c.outcomes.bars, c.times.bars = append(c.outcomes.bars, done), append(c.times.bars, took)
	}
	c.outcomes, c.times = c.outcomes.scaled(), c.times.scaled()
	c.times.class = "times"
}

// longest is how long the highest of its bars is.
func (c *course) longest() string { return span(time.Duration(c.times.top) * time.Microsecond) }

// share is how many of a part failed or are in conflict.
func (c coursePart) share() string {
	return fmt.Sprintf("%s / %s", thousands(c.outcomes.bad), thousands(c.outcomes.good+c.outcomes.bad))
}
