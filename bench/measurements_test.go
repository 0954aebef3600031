package main

import (
	"math"
	"slices"
	"strings"
	"testing"
)

func TestTableShowsMediansAndWhatCouldNotBeMeasured(t *testing.T) {
	t.Parallel()
	var m measurements
	for _, value := range []float64{300, 100, 200} {
		m.add("nawasync", "drain", value)
		m.add("nawasync", "cpu", math.NaN()) // /proc cannot be read
	}
	got := m.table("jobs", []string{"nawasync", "not measured"}, []column{{"drain", "drain, jobs/s", 0}, {"cpu", "CPU, µs/job", 0}}).markdown()
	want := "|  | drain, jobs/s | CPU, µs/job |\n|---|---|---|\n| nawasync | 200 | n/a |\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestRatiosSayWhetherTheTargetIsReached(t *testing.T) {
	t.Parallel()
	lines := strings.Split(ratioTable("ratios", []ratio{
		atLeast("drain", 0.95, 0.95), atLeast("dispatch", 1.49, 1.5), atMost("WAL", 0.7, 0.7), atMost("latency", 5.1, 5),
		atMost("CPU", math.NaN(), 1), newRatio("no target", 2, "", false),
	}).markdown(), "\n")
	want := []string{
		"| drain | 0.95 | ≥ 0.95 | yes |", "| dispatch | 1.49 | ≥ 1.5 | no |", "| WAL | 0.70 | ≤ 0.7 | yes |", "| latency | 5.10 | ≤ 5 | no |",
		"| CPU | n/a | ≤ 1 |  |", "| no target | 2.00 |  |  |",
	}
	if got := lines[2 : len(lines)-1]; !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestMedianOfAnEvenNumberOfRoundsIsTheMeanOfTheMiddleTwo(t *testing.T) {
	t.Parallel()
	if got := median([]float64{4, 1, 3, 2}); got != 2.5 {
		t.Errorf("got %v, want 2.5", got)
	}
	if got := median(nil); !math.IsNaN(got) {
		t.Errorf("the median of nothing is %v, want NaN", got)
	}
}

func TestEachRoundBeginsWithAnotherSubject(t *testing.T) {
	t.Parallel()
	list := []string{"a", "b", "c"}
	for round, want := range []string{"abc", "bca", "cab", "abc"} {
		if got := strings.Join(rotate(list, round), ""); got != want {
			t.Errorf("round %d runs %s, want %s", round, got, want)
		}
	}
}
