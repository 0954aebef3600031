package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// The subjects and metrics of a full sync, in rows per second.
const (
	subjectReconcile = "reconcile"
	subjectRowByRow  = "row by row through gorm"
	subjectCopy      = "COPY"

	metricLoad    = "first_load_rows_per_s"
	metricSame    = "unchanged_rows_per_s"
	metricChanged = "one_percent_changed_rows_per_s"
)

// reconcileBench compares a full sync with writing row by row and with COPY.
func reconcileBench(ctx context.Context, o options) error {
	o.rows = cmp.Or(o.rows, 200_000)
	run := &reconcileRun{options: o}
	for round := range o.rounds {
		if err := run.round(ctx); err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "round %d of %d\n", round+1, o.rounds)
	}
	environment := newEnvironment()
	if err := environment.addPostgres(ctx, o.postgres); err != nil {
		return err
	}
	r := &report{
		section: "reconcile", Environment: environment, Figures: run.figures, Ratios: run.ratios(),
		Parameters: map[string]any{"rounds": o.rounds, "rows": o.rows, "rows_one_by_one": o.naive},
	}
	t := run.table("reconcile", []string{subjectReconcile, subjectRowByRow, subjectCopy}, []column{
		{metricLoad, "first load, rows/s", 0}, {metricSame, "unchanged, rows/s", 0}, {metricChanged, "1 % changed, rows/s", 0},
	})
	t.header[0] = fmt.Sprintf("%d rows", o.rows)
	t.rows[1][0] += fmt.Sprintf(" (%d rows)", o.naive)
	r.tables = []table{t, ratioTable("reconcile-ratios", r.Ratios)}
	return r.emit(o)
}

// reconcileRun is a run of the benchmark of full syncs.
type reconcileRun struct {
	measurements

	options options
}

func (r *reconcileRun) ratios() []ratio {
	to := func(subject, metric string) float64 {
		return r.median(subjectReconcile, metric) / r.median(subject, metric)
	}
	return []ratio{
		atLeast("first load / row by row", to(subjectRowByRow, metricLoad), 25),
		atLeast("unchanged / row by row", to(subjectRowByRow, metricSame), 30),
		atLeast("first load / COPY", to(subjectCopy, metricLoad), 0.4),
	}
}

// round measures everything once, in a new database.
func (r *reconcileRun) round(ctx context.Context) error {
	rows, naive := r.options.rows, r.options.naive
	m, err := openMirror(ctx, r.options, rows)
	if err != nil {
		return err
	}
	defer m.close()
	timed := func(subject, metric string, n int, fn func() error) {
		if err == nil {
			begin := time.Now()
			err = fn()
			r.add(subject, metric, rate(n, begin))
		}
	}
	synced := func(metric string) {
		if err == nil {
			var took time.Duration
			_, took, err = m.sync(ctx)
			r.add(subjectReconcile, metric, float64(rows)/took.Seconds())
		}
	}
	synced(metricLoad)
	err = errors.Join(err, m.vacuum(ctx))
	synced(metricSame)
	m.remote.changed = rows / 100
	synced(metricChanged)
	err = errors.Join(err, m.empty(ctx))
	timed(subjectCopy, metricLoad, rows, func() error { return m.copyAll(ctx, rows) })
	err = errors.Join(err, m.empty(ctx))
	timed(subjectRowByRow, metricLoad, naive, func() error { return m.rowByRow(ctx, naive) })
	err = errors.Join(err, m.vacuum(ctx))
	timed(subjectRowByRow, metricSame, naive, func() error { return m.rowByRow(ctx, naive) })
	return err
}
