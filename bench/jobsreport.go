package main

import (
	"context"
	"fmt"
)

// report prints and writes the medians of a run.
func (b *jobsRun) report(ctx context.Context) error {
	o, environment := b.options, newEnvironment()
	environment.addModules()
	if err := environment.addPostgres(ctx, o.postgres); err != nil {
		return err
	}
	if err := environment.addRedis(ctx, o.redis); err != nil {
		return err
	}
	r := &report{
		section: "jobs", Environment: environment, Figures: b.figures, Ratios: b.ratios(),
		Parameters: map[string]any{
			"jobs": o.jobs, "inserts": o.inserts, "rounds": o.rounds, "workers": o.workers, "batch": o.batch, "connections": connections,
			"latency_jobs": o.latency, "load_jobs_per_s": o.load, "idle_s": o.idle.Seconds(),
		},
	}
	r.tables = b.tables()
	if len(r.Ratios) > 0 {
		r.tables = append(r.tables, ratioTable("ratios", r.Ratios))
	}
	return r.emit(o)
}

func (b *jobsRun) tables() []table {
	var names []string
	for _, e := range subjects() {
		names = append(names, e.name)
	}
	list := []table{
		b.table("jobs", names, []column{
			{metricDrain, "drain, jobs/s", 0},
			{metricSingly, "dispatch one by one, /s", 0},
			{metricMany, fmt.Sprintf("dispatch %d at once, jobs/s", b.options.batch), 0},
			{metricWAL, "WAL, bytes/job", 0},
		}),
		b.table("cpu", names, []column{
			{metricPostgresCPU, "PostgreSQL, µs/job", 0},
			{metricRedisCPU, "Redis, µs/job", 0},
			{metricProcessCPU, "the process, µs/job", 0},
		}),
	}
	if b.options.latency > 0 {
		list = append(list, b.latencyTable(names))
	}
	if b.options.idle > 0 {
		list = append(list, b.table("idle", append(names, subjectNothing), []column{
			{metricIdleProcess, "the process, % of a core", 2},
			{metricIdlePostgres, "PostgreSQL, % of a core", 2},
			{metricIdleRedis, "Redis, % of a core", 2},
		}))
	}
	return list
}

// latencyTable has a row for each way to dispatch of each subject.
func (b *jobsRun) latencyTable(names []string) table {
	t := table{name: "latency", header: []string{
		"", "dispatched by", "idle p50, ms", "idle p95, ms", fmt.Sprintf("at %d/s p50, ms", b.options.load), fmt.Sprintf("at %d/s p95, ms", b.options.load),
		"really dispatched, /s",
	}}
	for _, name := range names {
		for _, way := range []struct{ where, title string }{{"other", "another client"}, {"own", "the same client"}} {
			if b.find(name, latencyMetric("idle", way.where, "p50")) == nil {
				continue
			}
			row := []string{name, way.title}
			for _, load := range []string{"idle", "loaded"} {
				for _, percentile := range []string{"p50", "p95"} {
					row = append(row, format(b.median(name, latencyMetric(load, way.where, percentile)), 1))
				}
			}
			t.rows = append(t.rows, append(row, format(b.median(name, loadMetric(way.where)), 0)))
		}
	}
	return t
}

// ratios returns the ratios of nawasync to the other subjects. It returns nil if nawasync or River
// was not measured.
func (b *jobsRun) ratios() []ratio {
	if b.find(subjectNawasync, metricDrain) == nil || b.find(subjectRiver, metricDrain) == nil {
		return nil
	}
	own := func(metric string) float64 { return b.median(subjectNawasync, metric) }
	to := func(subject, metric string) float64 { return own(metric) / b.median(subject, metric) }
	list := []ratio{
		atLeast("drain / River", to(subjectRiver, metricDrain), 0.95),
		atLeast("drain / asynq and one gorm write per transition", to(subjectGorm, metricDrain), 3),
		atLeast("dispatch one by one / River's Insert", to(subjectRiver, metricSingly), 1.5),
		atLeast(fmt.Sprintf("DispatchMany of %d / River's InsertMany", b.options.batch), to(subjectRiver, metricMany), 0.6),
		newRatio(fmt.Sprintf("DispatchMany of %d / River's InsertManyFast, which returns no jobs", b.options.batch),
			own(metricMany)/b.median(subjectRiver, metricManyFast), "", false),
		atMost("WAL per job / River", to(subjectRiver, metricWAL), 0.7),
		newRatio("PostgreSQL's CPU per job / River", to(subjectRiver, metricPostgresCPU), "", false),
	}
	if b.options.latency > 0 {
		list = append(list,
			atMost("idle, dispatched by another client: start p50, ms", own(latencyMetric("idle", "other", "p50")), 5),
			atMost("idle, dispatched by another client: start p95, ms", own(latencyMetric("idle", "other", "p95")), 10))
	}
	if b.options.idle > 0 {
		list = append(list, atMost("CPU of the process without work, % of a core", own(metricIdleProcess), 1))
	}
	return list
}
