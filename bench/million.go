package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/nawasara/nawasync"
)

// millionBench syncs a large table, and reads pages of it.
func millionBench(ctx context.Context, o options) error {
	rows := cmp.Or(o.rows, 1_000_000)
	m, err := openMirror(ctx, o, rows)
	if err != nil {
		return err
	}
	defer m.close()
	_, loading, err := m.sync(ctx)
	if err == nil {
		err = m.vacuum(ctx)
	}
	if err != nil {
		return err
	}
	before, err := m.written(ctx)
	if err != nil {
		return err
	}
	result, took, err := m.sync(ctx)
	if err != nil {
		return err
	}
	after, err := m.written(ctx)
	if err != nil {
		return err
	}
	run := &millionRun{table: table{name: "million", header: []string{fmt.Sprintf("%d rows", rows), ""}}}
	run.figure("first load", "first_load_s", loading.Seconds(), 1, " s")
	run.figure("unchanged", "unchanged_s", took.Seconds(), 1, " s")
	run.figure("rows that the second sync found unchanged", "unchanged_rows", float64(result.Unchanged), 0, "")
	run.figure("writes to the table while unchanged", "unchanged_writes", float64(after-before), 0, "")
	run.figure("peak memory of the process, both syncs", "peak_memory_mb", peakMemory(), 0, " MB")
	for _, at := range []int{0, rows / 2, rows - 100} {
		worst, err := m.page(ctx, at)
		if err != nil {
			return err
		}
		run.figure(fmt.Sprintf("a page of 50 by address after row %d, round trip, worst of 20", at), fmt.Sprintf("page_after_%d_ms", at), milliseconds(worst), 1, " ms")
	}
	environment := newEnvironment()
	if err := m.version(ctx, &environment); err != nil {
		return err
	}
	r := &report{
		section: "million", tables: []table{run.table}, Environment: environment, Figures: run.figures,
		Parameters: map[string]any{"rounds": 1, "rows": rows},
	}
	return r.emit(o)
}

// millionRun is a run of the benchmark of a large table: one figure for each row of the report.
type millionRun struct {
	measurements

	table table
}

func (r *millionRun) figure(title, metric string, value float64, digits int, unit string) {
	r.add(subjectReconcile, metric, value)
	r.table.rows = append(r.table.rows, []string{title, format(value, digits) + unit})
}

// page reads the page after row number at, sorted by address, and returns the slowest of 20 reads.
func (m *mirrorBench) page(ctx context.Context, at int) (worst time.Duration, err error) {
	q := nawasync.Query{Where: map[string]any{"instance": "main"}, Sort: "email"}
	if at > 0 {
		row, err := m.repo.FindKey(ctx, newBox(at))
		if err != nil {
			return 0, err
		}
		text, _ := json.Marshal(map[string]any{"s": "email", "v": row.Email, "i": row.ID})
		q.After = base64.RawURLEncoding.EncodeToString(text)
	}
	for range 20 {
		begin := time.Now()
		list, err := m.repo.List(ctx, q)
		if err != nil {
			return 0, err
		}
		if len(list.Items) == 0 || (at > 0 && list.Items[0].Email != newBox(at+1).Email) {
			return 0, fmt.Errorf("the page after row %d begins with another row", at)
		}
		worst = max(worst, time.Since(begin))
	}
	return worst, nil
}

// peakMemory returns the peak resident memory of this process in megabytes, or NaN if the system is
// not Linux.
func peakMemory() float64 {
	file, err := os.Open("/proc/self/status")
	if err != nil {
		return math.NaN()
	}
	defer func() { _ = file.Close() }()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if text, ok := strings.CutPrefix(lines.Text(), "VmHWM:"); ok {
			kb, _ := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(text, "kB")), 64)
			return kb / 1024
		}
	}
	return math.NaN()
}
