package main

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"
)

// stopwatch times jobs from their dispatch to their start. Its methods are safe for concurrent
// use.
type stopwatch struct {
	mu         sync.Mutex
	dispatched map[int]time.Time // the jobs that have not started
	took       []time.Duration
}

// time dispatches job n. The time begins before the call, because a user waits for the commit too.
func (w *stopwatch) time(ctx context.Context, n int, dispatch dispatchFunc) error {
	w.mu.Lock()
	w.dispatched[n] = time.Now()
	w.mu.Unlock()
	return dispatch(ctx, n)
}

// started ends the time of job n. It ignores jobs that were not dispatched with time.
func (w *stopwatch) started(n int) {
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	if begin, ok := w.dispatched[n]; ok {
		w.took = append(w.took, now.Sub(begin))
		delete(w.dispatched, n)
	}
}

// collect waits until all jobs have started, and returns their times in ascending order.
func (w *stopwatch) collect(ctx context.Context) ([]time.Duration, error) {
	const limit = 30 * time.Second
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	waiting := func() int {
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.dispatched)
	}
	if err := waitUntil(ctx, 0, func() (int, error) { return -waiting(), nil }); err != nil {
		return nil, fmt.Errorf("%d jobs have not started within %s of the last dispatch: %w", waiting(), limit, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	took := w.took
	w.took = nil
	slices.Sort(took)
	return took, nil
}

// percentile returns a percentile of a sorted list, for example 0.95, by the nearest rank.
func percentile(sorted []time.Duration, share float64) time.Duration {
	return sorted[max(0, int(math.Ceil(share*float64(len(sorted))))-1)]
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
