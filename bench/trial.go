package main

import (
	"context"
	"fmt"
	"time"
)

// The metrics of a trial.
const (
	metricSingly      = "dispatch_per_s"
	metricMany        = "dispatch_many_per_s"
	metricManyFast    = "dispatch_many_fast_per_s"
	metricDrain       = "drain_jobs_per_s"
	metricWAL         = "wal_bytes_per_job"
	metricPostgresCPU = "postgres_cpu_us_per_job"
	metricRedisCPU    = "redis_cpu_us_per_job"
	metricProcessCPU  = "process_cpu_us_per_job"
)

// trial measures one subject in one round, in a new database and an empty Redis database.
type trial struct {
	run     *jobsRun
	name    string
	options options
	db      *database
	subject subject
	next    int // the number of the next job
}

// trial opens a subject and measures it with a function.
func (b *jobsRun) trial(ctx context.Context, e entry, measure func(*trial, context.Context) error) error {
	db, drop, err := newDatabase(ctx, b.options.postgres)
	if err != nil {
		return err
	}
	defer drop()
	if err := flush(ctx, b.options.redis); err != nil {
		return err
	}
	s, err := e.open(ctx, config{postgres: db.url, redis: b.options.redis, workers: b.options.workers})
	if err != nil {
		return err
	}
	defer s.Close()
	return measure(&trial{run: b, name: e.name, options: b.options, db: db, subject: s}, ctx)
}

func (t *trial) add(metric string, value float64) { t.run.add(t.name, metric, value) }

// numbers returns the number of the first of n new jobs.
func (t *trial) numbers(n int) int {
	t.next += n
	return t.next - n
}

// throughput measures dispatches and a drain, and then the latencies.
func (t *trial) throughput(ctx context.Context) error {
	if err := t.dispatchSingly(ctx); err != nil {
		return fmt.Errorf("dispatch one by one: %w", err)
	}
	if err := t.subject.Drain(ctx, t.next, func() {}); err != nil {
		return fmt.Errorf("first drain: %w", err)
	}
	// After a checkpoint, every subject writes the same full-page images to the WAL.
	before, err := t.db.checkpoint(ctx)
	if err != nil {
		return err
	}
	if err := t.dispatchMany(ctx, metricMany, t.subject.InsertMany); err != nil {
		return fmt.Errorf("dispatch many: %w", err)
	}
	if err := t.drain(ctx); err != nil {
		return fmt.Errorf("drain: %w", err)
	}
	after, err := t.db.walPosition(ctx)
	if err != nil {
		return err
	}
	t.add(metricWAL, float64(after-before)/float64(t.options.jobs))
	if err := t.latencies(ctx); err != nil {
		return fmt.Errorf("latency: %w", err)
	}
	if fast, ok := t.subject.(fastInserter); ok { // last, because nothing drains these jobs
		return t.dispatchMany(ctx, metricManyFast, fast.InsertManyFast)
	}
	return nil
}

func (t *trial) dispatchSingly(ctx context.Context) error {
	from, begin := t.numbers(t.options.inserts), time.Now()
	for i := range t.options.inserts {
		if err := t.subject.Insert(ctx, from+i); err != nil {
			return err
		}
	}
	t.add(metricSingly, rate(t.options.inserts, begin))
	return nil
}

// dispatchMany dispatches the jobs of a drain in batches.
func (t *trial) dispatchMany(ctx context.Context, metric string, dispatch func(ctx context.Context, from, n int) error) error {
	from, begin := t.numbers(t.options.jobs), time.Now()
	for at := 0; at < t.options.jobs; at += t.options.batch {
		if err := dispatch(ctx, from+at, min(t.options.batch, t.options.jobs-at)); err != nil {
			return err
		}
	}
	t.add(metric, rate(t.options.jobs, begin))
	return nil
}

// drain measures a drain, and the CPU time of the servers and of this process.
func (t *trial) drain(ctx context.Context) error {
	var used cpuTimes
	var speed float64
	before, begin := t.run.meter.read(ctx), time.Now()
	err := t.subject.Drain(ctx, t.next, func() {
		speed = rate(t.options.jobs, begin)
		used = t.run.meter.read(ctx).since(before)
	})
	if err != nil {
		return err
	}
	t.add(metricDrain, speed)
	perJob := func(seconds float64) float64 { return seconds * 1e6 / float64(t.options.jobs) }
	t.add(metricPostgresCPU, perJob(used.postgres))
	t.add(metricRedisCPU, perJob(used.redis))
	t.add(metricProcessCPU, perJob(used.process))
	return nil
}
