package admin

import (
	"fmt"
	"time"

	"github.com/nawasara/nawasync/admin/internal/chart"
	"github.com/nawasara/nawasync/admin/internal/format"
)

// drawTrend makes the bars of two charts. In the first, a bar shows how many jobs ended and links to
// them. In the second, the lower part of a bar shows the median run time, and the whole bar shows
// the 95th percentile.
func (v *serviceView) drawTrend() {
	c := &v.trend
	for _, part := range c.Parts {
		done, took := part.Outcomes, chart.Bar{}
		to := part.From.Add(c.Step)
		done.Title = v.Tf("%s: %s ended, %s of them failed or in conflict", v.shortTime(part.From), v.jobCount(done.Good+done.Bad), format.Thousands(v, done.Bad))
		done.URL = v.queryURL("service:"+v.name, v.instanceTerm(), "ended:"+v.timeRange(part.From, to))
		if part.Runs.Count() > 0 {
			p50, p95 := part.Runs.Quantile(0.5), part.Runs.Quantile(0.95)
			took.Good, took.Bad = p50.Microseconds(), (p95 - p50).Microseconds()
			took.Title = v.Tf("%s: run time p50 %s, p95 %s", v.shortTime(part.From), format.Span(v, p50), format.Span(v, p95))
		}
		c.Outcomes.Bars, c.Times.Bars = append(c.Outcomes.Bars, done), append(c.Times.Bars, took)
	}
	c.Outcomes, c.Times = c.Outcomes.Scaled(), c.Times.Scaled()
	c.Times.Class = "times"
}

// longest returns the run time that the highest bar shows.
func (v *serviceView) longest() string {
	return format.Span(v, time.Duration(v.trend.Times.Top)*time.Microsecond)
}

// trendShare returns how many jobs of a part failed or ended in conflict, and how many ended.
func (v *serviceView) trendShare(c chart.TrendPart) string {
	return fmt.Sprintf("%s / %s", format.Thousands(v, c.Outcomes.Bad), format.Thousands(v, c.Outcomes.Good+c.Outcomes.Bad))
}
