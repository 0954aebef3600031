package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// starter is a subject that reports when its jobs start.
type starter interface {
	// Work starts a client that works jobs. Each handler calls started with the number of its
	// job.
	Work(ctx context.Context, started func(n int)) (working, error)
}

// dispatchFunc dispatches job n.
type dispatchFunc func(ctx context.Context, n int) error

// working is a client that works jobs.
type working struct {
	other dispatchFunc // through a client that works no jobs, as in a web process
	own   dispatchFunc // through the client that works the jobs
	stop  func(ctx context.Context) error
}

// latencyMetric returns the name of a latency in milliseconds. where is other or own, load is idle
// or loaded.
func latencyMetric(load, where, percentile string) string {
	return "start_" + load + "_" + where + "_" + percentile + "_ms"
}

// loadMetric returns the name of the rate at which the jobs of the loaded latency were dispatched.
func loadMetric(where string) string { return "start_loaded_" + where + "_dispatched_per_s" }

// loadSeconds is how long the load lasts, unless the jobs of a drain are fewer.
const loadSeconds = 5

// latencies measures the time from the call that dispatches a job until its handler begins: with
// an idle queue, and under load; dispatched by another client, and by the client that works.
func (t *trial) latencies(ctx context.Context) error {
	s, ok := t.subject.(starter)
	if !ok || t.options.latency == 0 {
		return nil
	}
	watch := &stopwatch{dispatched: map[int]time.Time{}}
	w, err := s.Work(ctx, watch.started)
	if err != nil {
		return err
	}
	for _, way := range []struct {
		name     string
		dispatch dispatchFunc
	}{{"other", w.other}, {"own", w.own}} {
		err = errors.Join(err, t.measureLatency(ctx, watch, way.name, way.dispatch))
	}
	stopCtx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return errors.Join(err, w.stop(stopCtx))
}

// measureLatency measures one way to dispatch, idle and under load.
func (t *trial) measureLatency(ctx context.Context, watch *stopwatch, where string, dispatch dispatchFunc) error {
	// Half a second under load opens the connections and does not count.
	if _, err := t.dispatchAtRate(ctx, t.options.load/2, watch, dispatch); err != nil {
		return err
	}
	if _, err := watch.collect(ctx); err != nil {
		return err
	}
	if err := t.dispatchSlowly(ctx, t.options.latency, watch, dispatch); err != nil {
		return err
	}
	if err := t.addLatency(ctx, watch, "idle", where); err != nil {
		return err
	}
	achieved, err := t.dispatchAtRate(ctx, min(loadSeconds*t.options.load, t.options.jobs), watch, dispatch)
	if err != nil {
		return err
	}
	t.add(loadMetric(where), achieved)
	return t.addLatency(ctx, watch, "loaded", where)
}

func (t *trial) addLatency(ctx context.Context, watch *stopwatch, load, where string) error {
	took, err := watch.collect(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", load, err)
	}
	t.add(latencyMetric(load, where, "p50"), milliseconds(percentile(took, 0.5)))
	t.add(latencyMetric(load, where, "p95"), milliseconds(percentile(took, 0.95)))
	return nil
}

// dispatchSlowly dispatches n jobs, 40 to 60 ms apart: at a fixed distance, each job could meet
// the same moment of a poll interval.
func (t *trial) dispatchSlowly(ctx context.Context, n int, watch *stopwatch, dispatch dispatchFunc) error {
	from := t.numbers(n)
	for i := range n {
		time.Sleep(40*time.Millisecond + rand.N(20*time.Millisecond))
		if err := watch.time(ctx, from+i, dispatch); err != nil {
			return err
		}
	}
	return nil
}

// dispatchAtRate dispatches n jobs at the rate of the options, whether or not earlier ones have
// started. It returns the rate that it reached.
func (t *trial) dispatchAtRate(ctx context.Context, n int, watch *stopwatch, dispatch dispatchFunc) (float64, error) {
	const dispatchers = 16
	from, interval, begin := t.numbers(n), time.Second/time.Duration(t.options.load), time.Now()
	var next atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	for range dispatchers {
		group.Go(func() error {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				time.Sleep(time.Until(begin.Add(time.Duration(i) * interval)))
				if err := watch.time(ctx, from+i, dispatch); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err := group.Wait()
	return rate(n, begin), err
}
