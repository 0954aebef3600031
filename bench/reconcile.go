package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// The subjects and metrics of a full sync: rows per second, and the CPU time for a row.
const (
	subjectReconcile = "reconcile"
	subjectRowByRow  = "row by row through gorm"
	subjectCopy      = "COPY"

	metricLoad    = "first_load"
	metricSame    = "unchanged"
	metricChanged = "one_percent_changed"

	perSecond    = "_rows_per_s"
	ownPerRow    = "_process_cpu_us_per_row"
	serverPerRow = "_server_cpu_us_per_row"
)

// reconcileBench compares a full sync with writing row by row and, on PostgreSQL, with COPY.
func reconcileBench(ctx context.Context, o options) error {
	o.rows = cmp.Or(o.rows, 200_000)
	run := &reconcileRun{options: o, environment: newEnvironment()}
	for round := range o.rounds {
		if err := run.round(ctx); err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "round %d of %d\n", round+1, o.rounds)
	}
	end := map[string]string{"postgres": "", "mysql": "-mysql", "sqlite": "-sqlite"}[o.dialect()]
	r := &report{
		section: "reconcile" + end, Environment: run.environment, Figures: run.figures, Ratios: run.ratios(),
		Parameters: map[string]any{"rounds": o.rounds, "rows": o.rows, "rows_one_by_one": o.naive},
	}
	subjects := []string{subjectReconcile, subjectRowByRow, subjectCopy}
	speed := run.table("reconcile"+end, subjects, []column{
		{metricLoad + perSecond, "first load, rows/s", 0}, {metricSame + perSecond, "unchanged, rows/s", 0}, {metricChanged + perSecond, "1 % changed, rows/s", 0},
	})
	speed.header[0] = fmt.Sprintf("%d rows", o.rows)
	if len(speed.rows) > 1 {
		speed.rows[1][0] += fmt.Sprintf(" (%d rows)", o.naive)
	}
	var columns []column
	for metric, title := range pairs(metricLoad, "first load", metricSame, "unchanged", metricChanged, "1 % changed") {
		columns = append(columns, column{metric + ownPerRow, title + ", the process, µs/row", 1})
		if o.dialect() != "sqlite" {
			columns = append(columns, column{metric + serverPerRow, title + ", the server, µs/row", 1})
		}
	}
	r.tables = []table{speed, run.table("reconcile-cpu"+end, subjects, columns), ratioTable("reconcile-ratios"+end, r.Ratios)}
	return r.emit(o)
}

// pairs yields the first and the second of each two texts.
func pairs(texts ...string) func(func(string, string) bool) {
	return func(yield func(string, string) bool) {
		for i := 0; i+1 < len(texts); i += 2 {
			if !yield(texts[i], texts[i+1]) {
				return
			}
		}
	}
}

// reconcileRun is a run of the benchmark of full syncs.
type reconcileRun struct {
	measurements

	options     options
	environment environment
}

func (r *reconcileRun) ratios() (list []ratio) {
	to := func(subject, metric string) float64 {
		return r.median(subjectReconcile, metric+perSecond) / r.median(subject, metric+perSecond)
	}
	if r.find(subjectRowByRow, metricLoad+perSecond) != nil {
		list = append(list, atLeast("first load / row by row", to(subjectRowByRow, metricLoad), 25), atLeast("unchanged / row by row", to(subjectRowByRow, metricSame), 30))
	}
	if r.find(subjectCopy, metricLoad+perSecond) != nil {
		list = append(list, atLeast("first load / COPY", to(subjectCopy, metricLoad), 0.75))
	}
	return list
}

// round measures everything once, in a new database.
func (r *reconcileRun) round(ctx context.Context) error {
	m, err := openMirror(ctx, r.options, r.options.rows)
	if err != nil {
		return err
	}
	defer m.close()
	if err := m.version(ctx, &r.environment); err != nil {
		return err
	}
	server, err := m.serverCPU(ctx)
	if err != nil {
		return err
	}
	timed := func(subject, metric string, n int, fn func() (time.Duration, error)) {
		if err != nil {
			return
		}
		own, servers := processCPU(), server()
		var took time.Duration
		took, err = fn()
		r.add(subject, metric+perSecond, float64(n)/took.Seconds())
		r.add(subject, metric+ownPerRow, (processCPU()-own)*1e6/float64(n))
		r.add(subject, metric+serverPerRow, (server()-servers)*1e6/float64(n))
	}
	err = errors.Join(r.syncs(ctx, m, timed), err)
	if r.options.naive > 0 {
		err = errors.Join(err, r.others(ctx, m, timed))
	}
	return err
}

// timer measures what fn does with n rows. fn returns how long that took.
type timer = func(subject, metric string, n int, fn func() (time.Duration, error))

// syncs measures full syncs.
func (r *reconcileRun) syncs(ctx context.Context, m *mirrorBench, timed timer) error {
	sync := func() (time.Duration, error) {
		_, took, err := m.sync(ctx)
		return took, err
	}
	timed(subjectReconcile, metricLoad, r.options.rows, sync)
	err := m.vacuum(ctx)
	timed(subjectReconcile, metricSame, r.options.rows, sync)
	m.remote.changed = r.options.rows / 100
	timed(subjectReconcile, metricChanged, r.options.rows, sync)
	return err
}

// others measures other ways to write the same rows.
func (r *reconcileRun) others(ctx context.Context, m *mirrorBench, timed timer) error {
	stopwatch := func(fn func() error) func() (time.Duration, error) {
		return func() (time.Duration, error) {
			begin := time.Now()
			err := fn()
			return time.Since(begin), err
		}
	}
	rowByRow := stopwatch(func() error { return m.rowByRow(ctx, r.options.naive) })
	err := m.empty(ctx)
	if m.url != "" {
		timed(subjectCopy, metricLoad, r.options.rows, stopwatch(func() error { return m.copyAll(ctx, r.options.rows) }))
		err = errors.Join(err, m.empty(ctx))
	}
	timed(subjectRowByRow, metricLoad, r.options.naive, rowByRow)
	err = errors.Join(err, m.vacuum(ctx))
	timed(subjectRowByRow, metricSame, r.options.naive, rowByRow)
	return err
}
