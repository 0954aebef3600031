package chart_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync/admin/internal/chart"
	"github.com/nawasara/nawasync/tracker"
)

func TestValueAxisHasAtMostFourLinesAndReachesTheLargestValue(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		top := 1 + random.Int64N(1<<random.IntN(40))
		p := chart.Plot{Series: []chart.Series{{Name: "a"}}, Columns: []chart.Column{{Values: []int64{top}}}}
		step := chart.CountStep(top)
		p.Draw(step, func(v int64) string { return fmt.Sprint(v) })
		first, last := p.Grid[0], p.Grid[len(p.Grid)-1]
		if len(p.Grid) < 2 || len(p.Grid) > 5 || last.Text != "0" || last.At != chart.PlotHeight {
			t.Fatalf("up to %d the lines are %+v", top, p.Grid)
		}
		if y, _ := p.Columns[0].Height(); y < first.At-0.01 {
			t.Fatalf("the column of %d ends at %f, above the highest line at %f", top, y, first.At)
		}
		if step := chart.DurationStep(time.Duration(top)); step*4 < time.Duration(top) {
			t.Fatalf("four steps of %s do not reach %s", step, time.Duration(top))
		}
	}
}

func TestLineHasAGapWhereThereIsNoData(t *testing.T) {
	t.Parallel()
	p := chart.Plot{Lines: true, Series: []chart.Series{{Name: "p50"}}}
	for _, value := range []int64{1, 2, -1, 3, -1, 4, 4, 4} {
		p.Columns = append(p.Columns, chart.Column{Values: []int64{max(0, value)}, Empty: value < 0})
	}
	p.Draw(1, func(int64) string { return "" })
	var points []int
	for _, path := range p.Series[0].Paths {
		points = append(points, len(strings.Fields(path)))
	}
	if !slices.Equal(points, []int{2, 3}) || len(p.Series[0].Dots) != 1 {
		t.Errorf("lines of %v points and %d single ones, want 2 and 3 points and a single one", points, len(p.Series[0].Dots))
	}
}

func TestTimeAxisHasAFewWholeStepsOfTheZonesDay(t *testing.T) {
	t.Parallel()
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	to := time.Date(2026, 3, 30, 10, 20, 0, 0, zone) // a day after the clock changed
	for _, length := range []time.Duration{15 * time.Minute, time.Hour, 24 * time.Hour, 7 * 24 * time.Hour, 30 * 24 * time.Hour} {
		labels, days := chart.TimeLabels(to.Add(-length), to, zone)
		if len(labels) < 2 || len(labels) > 5 || days != (length > 24*time.Hour) {
			t.Errorf("%s: labels %v, days %v", length, labels, days)
		}
		for _, at := range labels {
			if at.Minute()%5 != 0 || days && at.Hour() != 0 {
				t.Errorf("%s: %s is not a whole step", length, at)
			}
		}
	}
}

func TestTrendBeginsWithItsFirstWholeStepAndLosesNoJob(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 4, 13, 0, 0, 0, time.UTC)
	trend := chart.NewTrend(at, at.Add(24*time.Hour), 6*time.Hour)
	if first := time.Date(2026, 3, 4, 18, 0, 0, 0, time.UTC); !trend.From.Equal(first) || len(trend.Parts) != 4 {
		t.Errorf("the trend begins at %s with %d parts", trend.From, len(trend.Parts))
	}
	for hour := range 24 {
		trend.Add(tracker.Stat{StatKey: tracker.StatKey{Outcome: tracker.StatusFailed}, Bucket: at.Add(time.Duration(hour) * time.Hour), Jobs: 1})
	}
	if total := trend.Total(); total.Failed != 19 || trend.Parts[0].Failed != 6 {
		t.Errorf("the trend has %d jobs, %d in its first part", total.Failed, trend.Parts[0].Failed)
	}
}
