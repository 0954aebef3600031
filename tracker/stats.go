package tracker

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/internal/statrow"
)

// StatKey is what jobs are counted by.
type StatKey struct {
	Service  string `json:"service"`
	Type     string `json:"type"`
	Instance string `json:"instance"`
	Action   string `json:"action"`
	Outcome  Status `json:"outcome"` // a terminal status
}

func statKeyOf(k statrow.StatKey) StatKey {
	return StatKey{Service: k.Service, Type: k.Type, Instance: k.Instance, Action: k.Action, Outcome: Status(k.Outcome)}
}

func (a StatKey) compareTo(b StatKey) int {
	return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Type, b.Type), cmp.Compare(a.Instance, b.Instance),
		cmp.Compare(a.Action, b.Action), cmp.Compare(a.Outcome, b.Outcome))
}

// maxDeltas is the maximum number of deltas that one query reads. Only deltas that are not rolled
// up yet are read; if the rollup works, there are far fewer.
const maxDeltas = 1_000_000

// Stat counts the jobs with one StatKey that ended in one bucket of time.
type Stat struct {
	StatKey
	Bucket time.Time // the start of the bucket, UTC
	Jobs   int64
	Waits  Histogram // how long the jobs waited after they first came due
	Runs   Histogram // how long their last attempts ran
}

// Period is the width of a statistics bucket.
type Period string

// The periods for which statistics are kept. Days are UTC days.
const (
	PeriodMinute Period = "minute"
	PeriodHour   Period = "hour"
	PeriodDay    Period = "day"
)

// Start returns the start of the bucket that contains t.
func (p Period) Start(t time.Time) time.Time {
	switch p {
	case PeriodHour:
		return t.Truncate(time.Hour)
	case PeriodDay:
		return t.Truncate(24 * time.Hour)
	case PeriodMinute:
	}
	return t.Truncate(time.Minute)
}

// Stats returns the statistics of a period, ordered by bucket and key. The first bucket is the
// one that contains from. All buckets start before until. Jobs that are not rolled up yet are
// included.
func (r *Reader) Stats(ctx context.Context, period Period, from, until time.Time) ([]Stat, error) {
	return r.stats(ctx, period, from, until, "waits, runs")
}

// StatCounts is like Stats but leaves the histograms empty, because reading them costs most of
// the time.
func (r *Reader) StatCounts(ctx context.Context, period Period, from, until time.Time) ([]Stat, error) {
	return r.stats(ctx, period, from, until, "'', ''")
}

func (r *Reader) stats(ctx context.Context, period Period, from, until time.Time, histograms string) ([]Stat, error) {
	visible, args := r.limitCondition("nawasync_stats")
	sums := statSums{start: period.Start(from), until: until, stats: map[statBucketKey]*Stat{}}
	// One transaction reads both tables from the same snapshot. If a rollup ran between two
	// separate reads, jobs would be counted twice or not at all.
	err := r.snapshot(ctx, func(conn *sqlkit.Conn) error {
		stored, err := statrow.Buckets(conn, string(period), histograms, "bucket >= ? AND bucket < ? AND "+visible,
			append([]any{sqlkit.Micros(sums.start), sqlkit.Micros(until)}, args...)...)
		if err != nil {
			return err
		}
		for _, b := range stored {
			if err := sums.add(b.StatKey, sqlkit.FromMicros(b.Begin), b.Jobs, b.Waits, b.Runs); err != nil {
				return err
			}
		}
		deltas, err := statrow.Deltas(conn, maxDeltas)
		if err != nil {
			return err
		}
		for _, d := range deltas {
			if !r.limit.shows(d.Service, d.Instance) {
				continue
			}
			if err := sums.add(d.StatKey, period.Start(sqlkit.FromMicros(d.Minute)), d.Jobs, d.Waits, d.Runs); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read statistics: %w", err)
	}
	return sums.sorted(), nil
}

// statSums adds up counts that have the same key and bucket.
type statSums struct {
	start, until time.Time // buckets outside are ignored
	stats        map[statBucketKey]*Stat
}

type statBucketKey struct {
	statrow.StatKey
	bucket int64
}

func (s *statSums) add(k statrow.StatKey, bucket time.Time, jobs int64, waits, runs string) error {
	if bucket.Before(s.start) || !bucket.Before(s.until) {
		return nil
	}
	wait, waitErr := ParseHistogram(waits)
	run, runErr := ParseHistogram(runs)
	key := statBucketKey{k, bucket.UnixMicro()}
	if s.stats[key] == nil {
		s.stats[key] = &Stat{StatKey: statKeyOf(k), Bucket: bucket}
	}
	stat := s.stats[key]
	stat.Jobs += jobs
	stat.Waits.Merge(wait)
	stat.Runs.Merge(run)
	return errors.Join(waitErr, runErr)
}

func (s *statSums) sorted() []Stat {
	list := make([]Stat, 0, len(s.stats))
	for _, stat := range s.stats {
		list = append(list, *stat)
	}
	slices.SortFunc(list, func(a, b Stat) int { return cmp.Or(a.Bucket.Compare(b.Bucket), a.compareTo(b.StatKey)) })
	return list
}

// StatTotals is like StatCounts but counts by service and outcome only, which is all that
// a chart of all services needs. The width of the buckets is step, a multiple of the period.
func (r *Reader) StatTotals(ctx context.Context, period Period, from, until time.Time, step time.Duration) ([]Stat, error) {
	var list []Stat
	stepMicros, start := step.Microseconds(), period.Start(from).UnixMicro()
	visible, visibleArgs := r.limitCondition("nawasync_stats")
	visibleDeltas, _ := r.limitCondition("nawasync_stat_deltas")
	args := slices.Concat([]any{string(period), start, until.UnixMicro()}, visibleArgs, []any{start, until.UnixMicro()}, visibleArgs)
	err := r.snapshot(ctx, func(conn *sqlkit.Conn) error {
		list = nil
		return sqlkit.Each(conn, func(rows *sql.Rows) error {
			var stat Stat
			var bucket int64
			err := rows.Scan(&bucket, &stat.Service, &stat.Outcome, &stat.Jobs)
			stat.Bucket = sqlkit.FromMicros(bucket)
			list = append(list, stat)
			return err
		}, fmt.Sprintf(`SELECT b, service, outcome, SUM(jobs) FROM (
 SELECT bucket - (bucket %% %[1]d) AS b, service, outcome, SUM(jobs) AS jobs FROM nawasync_stats WHERE period = ? AND bucket >= ? AND bucket < ? AND %[2]s GROUP BY 1, 2, 3
 UNION ALL SELECT minute - (minute %% %[1]d), service, outcome, jobs FROM nawasync_stat_deltas WHERE minute >= ? AND minute < ? AND %[3]s) s GROUP BY 1, 2, 3 ORDER BY 1, 2, 3`, stepMicros, visible, visibleDeltas),
			args...)
	})
	if err != nil {
		return nil, fmt.Errorf("read statistics: %w", err)
	}
	return list, nil
}
