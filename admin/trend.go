package admin

import (
	"fmt"
	"time"

	"github.com/nawasara/nawasync/admin/internal/chart"
	"github.com/nawasara/nawasync/admin/internal/format"
)

// drawTrend makes the bars: what ended, each leading to its jobs, and how long runs took,
// half of them up to the lower part, 95 % up to the higher.
func (v *serviceView) drawTrend() {
	c := &v.trend
	for _, part := range c.Parts {
		done, took := part.Outcomes, chart.Bar{Title: ""}
		to := part.From.Add(c.Step)
		done.Title = v.Tf("%s: %s ended, %s of them failed or in conflict", v.shortTime(part.From), format.Thousands(done.Good+done.Bad), format.Thousands(done.Bad))
		done.URL = v.queryURL("service:"+v.name, v.instanceTerm(), "ended:"+v.between(part.From, to))
		if part.Runs.Count() > 0 {
			half, most := part.Runs.Quantile(0.5), part.Runs.Quantile(0.95)
			took.Good, took.Bad = half.Microseconds(), (most - half).Microseconds()
			took.Title = v.Tf("%s: half of the runs took up to %s, 95 %% up to %s", v.shortTime(part.From), format.Span(half), format.Span(most))
		}
		c.Outcomes.Bars, c.Times.Bars = append(c.Outcomes.Bars, done), append(c.Times.Bars, took)
	}
	c.Outcomes, c.Times = c.Outcomes.Scaled(), c.Times.Scaled()
	c.Times.Class = "times"
}

// longest is how long the highest of its bars is.
func (v *serviceView) longest() string {
	return format.Span(time.Duration(v.trend.Times.Top) * time.Microsecond)
}

// trendShare is how many of a part failed or are in conflict.
func (v *serviceView) trendShare(c chart.TrendPart) string {
	return fmt.Sprintf("%s / %s", format.Thousands(c.Outcomes.Bad), format.Thousands(c.Outcomes.Good+c.Outcomes.Bad))
}
