package tracker

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"
)

// StatKey is what jobs are counted by.
type StatKey struct {
	Service  string `json:"service"`
	Type     string `json:"type"`
	Instance string `json:"instance"`
	Action   string `json:"action"`
	Outcome  Status `json:"outcome"` // a terminal status
}

func (a StatKey) compare(b StatKey) int {
	return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Type, b.Type), cmp.Compare(a.Instance, b.Instance),
		cmp.Compare(a.Action, b.Action), cmp.Compare(a.Outcome, b.Outcome))
}

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
	Minute Period = "minute"
	Hour   Period = "hour"
	Day    Period = "day"
)

func (p Period) start(t time.Time) time.Time {
	switch p {
	case Hour:
		return t.Truncate(time.Hour)
	case Day:
		return t.Truncate(24 * time.Hour)
	case Minute:
	}
	return t.Truncate(time.Minute)
}

type delta struct {
	StatKey
	minute  int64
	jobs    int64
	lastJob int64
	lastAt  int64
	waits   Histogram
	runs    Histogram
}

// insertDeltas appends what a batch adds to the statistics. It never touches a
// row that another writes: a counter in one row would be the bottleneck of all.
func (s *Store) insertDeltas(tx *gorm.DB, verdicts []*Verdict) error {
	type key struct {
		StatKey
		minute int64
	}
	deltas := map[key]*delta{}
	var order []*delta
	for _, v := range verdicts {
		if !v.Status.Terminal() {
			continue
		}
		k := key{StatKey{v.Job.Service, v.Job.Type, v.Job.Instance, v.Job.Action, v.Status}, Minute.start(v.Now).UnixMicro()}
		d := deltas[k]
		if d == nil {
			d = &delta{StatKey: k.StatKey, minute: k.minute}
			deltas[k], order = d, append(order, d)
		}
		d.jobs++
		if at := v.Now.UnixMicro(); at >= d.lastAt {
			d.lastAt, d.lastJob = at, v.Job.ID
		}
		if !v.Job.StartedAt.IsZero() {
			d.waits.Add(v.Job.StartedAt.Sub(v.Job.DueAt))
			d.runs.Add(v.Now.Sub(v.Job.StartedAt))
		}
	}
	if len(order) == 0 {
		return nil
	}
	const row = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
	var args []any
	for _, d := range order {
		args = append(args, d.minute, d.Service, d.Type, d.Action, d.Instance, string(d.Outcome), d.jobs, d.lastJob, d.lastAt, d.waits.String(), d.runs.String())
	}
	return tx.Exec("INSERT INTO nawasync_stat_deltas (minute, service, type, action, instance, outcome, jobs, last_job, last_at, waits, runs) VALUES "+
		strings.TrimSuffix(strings.Repeat(row+", ", len(order)), ", "), args...).Error
}

func (s *Store) deltas(tx *gorm.DB, limit int) (ids []int64, list []delta, err error) {
	err = each(tx, func(rows *sql.Rows) error {
		var id int64
		var d delta
		var waits, runs string
		if err := rows.Scan(&id, &d.minute, &d.Service, &d.Type, &d.Action, &d.Instance, &d.Outcome, &d.jobs, &d.lastJob, &d.lastAt, &waits, &runs); err != nil {
			return err
		}
		var err error
		if d.waits, err = ParseHistogram(waits); err != nil {
			return err
		}
		if d.runs, err = ParseHistogram(runs); err != nil {
			return err
		}
		ids, list = append(ids, id), append(list, d)
		return nil
	}, "SELECT id, minute, service, type, action, instance, outcome, jobs, last_job, last_at, waits, runs FROM nawasync_stat_deltas ORDER BY id LIMIT ?", limit)
	return ids, list, err
}

// Stats returns the statistics of a period from a time on, until before another,
// deltas that are not folded yet included, ordered by bucket and key.
func (s *Store) Stats(ctx context.Context, period Period, from, until time.Time) ([]Stat, error) {
	return s.stats(ctx, period, from, until, "waits, runs")
}

// StatCounts is Stats without the histograms, which are most of the work.
func (s *Store) StatCounts(ctx context.Context, period Period, from, until time.Time) ([]Stat, error) {
	return s.stats(ctx, period, from, until, "'', ''")
}

func (s *Store) stats(ctx context.Context, period Period, from, until time.Time, histograms string) ([]Stat, error) {
	type key struct {
		StatKey
		bucket int64
	}
	merged := map[key]*Stat{}
	add := func(k StatKey, bucket time.Time, jobs int64, waits, runs Histogram) {
		if bucket.Before(period.start(from)) || !bucket.Before(until) {
			return
		}
		at := key{k, bucket.UnixMicro()}
		if merged[at] == nil {
			merged[at] = &Stat{StatKey: k, Bucket: bucket}
		}
		stat := merged[at]
		stat.Jobs += jobs
		stat.Waits.Merge(waits)
		stat.Runs.Merge(runs)
	}
	// One snapshot for both tables: a fold between two reads would count twice or not.
	err := s.DB(ctx).Transaction(func(tx *gorm.DB) error {
		tx = session(ctx, tx)
		stored, err := s.storedStats(tx, period, histograms, "bucket >= ? AND bucket < ?", micros(period.start(from)), micros(until))
		if err != nil {
			return err
		}
		for _, stat := range stored {
			add(stat.StatKey, stat.Bucket, stat.Jobs, stat.Waits, stat.Runs)
		}
		_, open, err := s.deltas(tx, 1_000_000)
		for _, d := range open {
			add(d.StatKey, period.start(fromMicros(d.minute)), d.jobs, d.waits, d.runs)
		}
		return err
	}, s.snapshot()...)
	if err != nil {
		return nil, fmt.Errorf("nawasync: read statistics: %w", err)
	}
	list := make([]Stat, 0, len(merged))
	for _, stat := range merged {
		list = append(list, *stat)
	}
	slices.SortFunc(list, func(a, b Stat) int { return cmp.Or(a.Bucket.Compare(b.Bucket), a.compare(b.StatKey)) })
	return list, nil
}

// StatTotals is StatCounts by service and outcome only, in buckets of a step that is a
// multiple of the period's: what a chart of all services needs.
func (s *Store) StatTotals(ctx context.Context, period Period, from, until time.Time, step time.Duration) ([]Stat, error) {
	var list []Stat
	us, begin := step.Microseconds(), period.start(from).UnixMicro()
	err := s.DB(ctx).Transaction(func(tx *gorm.DB) error {
		list = nil
		return each(session(ctx, tx), func(rows *sql.Rows) error {
			var stat Stat
			var bucket int64
			err := rows.Scan(&bucket, &stat.Service, &stat.Outcome, &stat.Jobs)
			stat.Bucket = fromMicros(bucket)
			list = append(list, stat)
			return err
		}, fmt.Sprintf(`SELECT b, service, outcome, SUM(jobs) FROM (
 SELECT bucket - (bucket %% %d) AS b, service, outcome, SUM(jobs) AS jobs FROM nawasync_stats WHERE period = ? AND bucket >= ? AND bucket < ? GROUP BY 1, 2, 3
 UNION ALL SELECT minute - (minute %% %[1]d), service, outcome, jobs FROM nawasync_stat_deltas WHERE minute >= ? AND minute < ?) s GROUP BY 1, 2, 3 ORDER BY 1, 2, 3`, us),
			string(period), begin, until.UnixMicro(), begin, until.UnixMicro())
	}, s.snapshot()...)
	if err != nil {
		return nil, fmt.Errorf("nawasync: read statistics: %w", err)
	}
	return list, nil
}

func (s *Store) snapshot() []*sql.TxOptions {
	if s.dialect.name == "sqlite" {
		return nil
	}
	return []*sql.TxOptions{{Isolation: sql.LevelRepeatableRead, ReadOnly: true}}
}

func (s *Store) storedStats(tx *gorm.DB, period Period, histograms, where string, args ...any) ([]Stat, error) {
	var list []Stat
	err := each(tx, func(rows *sql.Rows) error {
		var stat Stat
		var bucket int64
		var waits, runs string
		if err := rows.Scan(&bucket, &stat.Service, &stat.Type, &stat.Instance, &stat.Action, &stat.Outcome, &stat.Jobs, &waits, &runs); err != nil {
			return err
		}
		stat.Bucket = fromMicros(bucket)
		var err error
		if stat.Waits, err = ParseHistogram(waits); err != nil {
			return err
		}
		stat.Runs, err = ParseHistogram(runs)
		list = append(list, stat)
		return err
	}, "SELECT bucket, service, type, instance, action, outcome, jobs, "+histograms+" FROM nawasync_stats WHERE period = ? AND "+where, append([]any{string(period)}, args...)...)
	return list, err
}
