package tracker

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"gorm.io/gorm"

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

func statKeyOf(k statrow.Key) StatKey {
	return StatKey{Service: k.Service, Type: k.Type, Instance: k.Instance, Action: k.Action, Outcome: Status(k.Outcome)}
}

func (a StatKey) compareTo(b StatKey) int {
	return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Type, b.Type), cmp.Compare(a.Instance, b.Instance),
		cmp.Compare(a.Action, b.Action), cmp.Compare(a.Outcome, b.Outcome))
}

// maxDeltas is how many deltas that are not folded yet are added to what is read: a
// bound, not a number that is met while the rollup runs.
const maxDeltas = 1_000_000

// Stat is how many jobs ended in one bucket of time, how long they had waited
// since they first came due, and how long their last attempt ran.
type Stat struct {
	StatKey
	Bucket time.Time // its beginning, UTC
	Jobs   int64
	Waits  Histogram
	Runs   Histogram
}

// Period is the width of a statistics bucket.
type Period string

// The periods kept; days are UTC days.
const (
	PeriodMinute Period = "minute"
	PeriodHour   Period = "hour"
	PeriodDay    Period = "day"
)

// Start is the beginning of the bucket that t lies in.
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

// Stats returns the statistics of a period from a time on, until before another,
// deltas that are not folded yet included, ordered by bucket and key.
func (r *Reader) Stats(ctx context.Context, period Period, from, until time.Time) ([]Stat, error) {
	return r.stats(ctx, period, from, until, "waits, runs")
}

// StatCounts is Stats without the histograms, which are most of the work.
func (r *Reader) StatCounts(ctx context.Context, period Period, from, until time.Time) ([]Stat, error) {
	return r.stats(ctx, period, from, until, "'', ''")
}

func (r *Reader) stats(ctx context.Context, period Period, from, until time.Time, histograms string) ([]Stat, error) {
	type key struct {
		statrow.Key
		bucket int64
	}
	merged := map[key]*Stat{}
	add := func(k statrow.Key, bucket time.Time, jobs int64, waits, runs string) error {
		if bucket.Before(period.Start(from)) || !bucket.Before(until) {
			return nil
		}
		wait, waitErr := ParseHistogram(waits)
		run, runErr := ParseHistogram(runs)
		at := key{k, bucket.UnixMicro()}
		if merged[at] == nil {
			merged[at] = &Stat{StatKey: statKeyOf(k), Bucket: bucket}
		}
		stat := merged[at]
		stat.Jobs += jobs
		stat.Waits.Merge(wait)
		stat.Runs.Merge(run)
		return errors.Join(waitErr, runErr)
	}
	// One snapshot for both tables: a fold between two reads would count twice or not.
	err := r.session(ctx).Transaction(func(tx *gorm.DB) error {
		tx = sqlkit.Session(ctx, tx)
		stored, err := statrow.Buckets(tx, string(period), histograms, "bucket >= ? AND bucket < ?", sqlkit.Micros(period.Start(from)), sqlkit.Micros(until))
		if err != nil {
			return err
		}
		for _, b := range stored {
			if err := add(b.Key, sqlkit.FromMicros(b.Begin), b.Jobs, b.Waits, b.Runs); err != nil {
				return err
			}
		}
		open, err := statrow.Deltas(tx, maxDeltas)
		if err != nil {
			return err
		}
		for _, d := range open {
			if err := add(d.Key, period.Start(sqlkit.FromMicros(d.Minute)), d.Jobs, d.Waits, d.Runs); err != nil {
				return err
			}
		}
		return nil
	}, r.readTransaction()...)
	if err != nil {
		return nil, fmt.Errorf("read statistics: %w", err)
	}
	list := make([]Stat, 0, len(merged))
	for _, stat := range merged {
		list = append(list, *stat)
	}
	slices.SortFunc(list, func(a, b Stat) int { return cmp.Or(a.Bucket.Compare(b.Bucket), a.compareTo(b.StatKey)) })
	return list, nil
}

// StatTotals is StatCounts by service and outcome only, in buckets of a step that is a
// multiple of the period's: what a chart of all services needs.
func (r *Reader) StatTotals(ctx context.Context, period Period, from, until time.Time, step time.Duration) ([]Stat, error) {
	var list []Stat
	us, begin := step.Microseconds(), period.Start(from).UnixMicro()
	err := r.session(ctx).Transaction(func(tx *gorm.DB) error {
		list = nil
		return sqlkit.Each(sqlkit.Session(ctx, tx), func(rows *sql.Rows) error {
			var stat Stat
			var bucket int64
			err := rows.Scan(&bucket, &stat.Service, &stat.Outcome, &stat.Jobs)
			stat.Bucket = sqlkit.FromMicros(bucket)
			list = append(list, stat)
			return err
		}, fmt.Sprintf(`SELECT b, service, outcome, SUM(jobs) FROM (
 SELECT bucket - (bucket %% %d) AS b, service, outcome, SUM(jobs) AS jobs FROM nawasync_stats WHERE period = ? AND bucket >= ? AND bucket < ? GROUP BY 1, 2, 3
 UNION ALL SELECT minute - (minute %% %[1]d), service, outcome, jobs FROM nawasync_stat_deltas WHERE minute >= ? AND minute < ?) s GROUP BY 1, 2, 3 ORDER BY 1, 2, 3`, us),
			string(period), begin, until.UnixMicro(), begin, until.UnixMicro())
	}, r.readTransaction()...)
	if err != nil {
		return nil, fmt.Errorf("read statistics: %w", err)
	}
	return list, nil
}

func (r *Reader) readTransaction() []*sql.TxOptions {
	if r.dialect.Name == "sqlite" {
		return nil
	}
	return []*sql.TxOptions{{Isolation: sql.LevelRepeatableRead, ReadOnly: true}}
}
