package main

import (
	"context"
	"errors"
	"runtime"
	"time"
)

// The metrics of processes without work, in percent of one core.
const (
	metricIdleProcess  = "idle_process_cpu_percent"
	metricIdlePostgres = "idle_postgres_cpu_percent"
	metricIdleRedis    = "idle_redis_cpu_percent"
)

// idle measures the CPU that a started client without work uses.
func (t *trial) idle(ctx context.Context) error {
	s, ok := t.subject.(starter)
	if !ok {
		return nil
	}
	w, err := s.Work(ctx, func(int) {})
	if err != nil {
		return err
	}
	err = t.run.measureIdle(ctx, t.name)
	stopCtx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return errors.Join(err, w.stop(stopCtx))
}

// measureIdle measures the CPU that this process and the servers use while nothing is dispatched.
func (b *jobsRun) measureIdle(ctx context.Context, name string) error {
	const settle = 2 * time.Second // the start of a client and the garbage of the last trial do not count
	runtime.GC()
	if err := sleep(ctx, settle); err != nil {
		return err
	}
	before, begin := b.meter.read(ctx), time.Now()
	if err := sleep(ctx, b.options.idle); err != nil {
		return err
	}
	used, took := b.meter.read(ctx).since(before), time.Since(begin).Seconds()
	b.add(name, metricIdleProcess, 100*used.process/took)
	b.add(name, metricIdlePostgres, 100*used.postgres/took)
	b.add(name, metricIdleRedis, 100*used.redis/took)
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
