package main

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"
)

func TestStopwatchTimesFromTheCallOfDispatchToTheStart(t *testing.T) {
	t.Parallel()
	watch := &stopwatch{dispatched: map[int]time.Time{}}
	const commit = 20 * time.Millisecond
	dispatch := func(_ context.Context, n int) error {
		time.Sleep(commit)
		go watch.started(n)
		return nil
	}
	for n := range 3 {
		if err := watch.time(t.Context(), n, dispatch); err != nil {
			t.Fatal(err)
		}
	}
	watch.started(99) // not timed
	took, err := watch.collect(t.Context())
	if err != nil || len(took) != 3 || took[0] < commit {
		t.Errorf("got %v, %v; want three times of %s or more", took, err, commit)
	}
	if took, _ = watch.collect(t.Context()); len(took) != 0 {
		t.Errorf("a second collect returned %v again", took)
	}
}

func TestStopwatchReportsJobsThatDoNotStart(t *testing.T) {
	t.Parallel()
	watch := &stopwatch{dispatched: map[int]time.Time{}}
	if err := watch.time(t.Context(), 1, func(context.Context, int) error { return nil }); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := watch.collect(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the end of the context", err)
	}
}

func TestDispatchAtRateKeepsTheRateWhileJobsWait(t *testing.T) {
	t.Parallel()
	var dispatched atomic.Int64
	trial := &trial{options: options{load: 500}}
	watch := &stopwatch{dispatched: map[int]time.Time{}}
	achieved, err := trial.dispatchAtRate(t.Context(), 100, watch, func(context.Context, int) error { // no job ever starts
		dispatched.Add(1)
		return nil
	})
	if err != nil || dispatched.Load() != 100 || achieved > 510 {
		t.Errorf("dispatched %d jobs at %.0f/s, %v; want 100 at no more than 500/s", dispatched.Load(), achieved, err)
	}
	failure := errors.New("connection refused")
	if _, err := trial.dispatchAtRate(t.Context(), 100, watch, func(context.Context, int) error { return failure }); !errors.Is(err, failure) {
		t.Errorf("got %v, want %v", err, failure)
	}
}

func TestPercentileIsTheNearestRank(t *testing.T) {
	t.Parallel()
	var sorted []time.Duration
	for i := range 200 {
		sorted = append(sorted, time.Duration(i+1))
	}
	for share, want := range map[float64]time.Duration{0: 1, 0.5: 100, 0.95: 190, 1: 200} {
		if got := percentile(sorted, share); got != want {
			t.Errorf("percentile %v of 1…200 is %d, want %d", share, got, want)
		}
	}
}
