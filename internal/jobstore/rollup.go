package jobstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/internal/statrow"
	"github.com/nawasara/nawasync/tracker"
)

// lockRollup names the row that every rollup transaction locks, so that only one runs at a time.
const lockRollup = "fold"

// Rollup adds up to limit deltas to the minute, hour and day rows, the totals and the last
// successes. It deletes these deltas and returns how many there were. Concurrent calls wait for
// each other.
func (s *Store) Rollup(ctx context.Context, limit int) (moved int, err error) {
	if err := s.ensureLock(ctx, lockRollup); err != nil {
		return 0, fmt.Errorf("roll up statistics: %w", err)
	}
	err = s.transaction(ctx, func(conn *sqlkit.Conn) error {
		if err := holdRollup(conn); err != nil {
			return err
		}
		deltas, err := statrow.Deltas(conn, limit)
		if err != nil || len(deltas) == 0 {
			return err
		}
		ids := make([]int64, len(deltas))
		for i, d := range deltas {
			ids[i] = d.ID
		}
		deleted := conn.Exec("DELETE FROM nawasync_stat_deltas WHERE id IN ?", ids)
		if deleted.Error != nil {
			return deleted.Error
		}
		if int(deleted.RowsAffected) != len(ids) {
			return errors.New("another process rolled up the same deltas")
		}
		moved = len(ids)
		for _, period := range []tracker.Period{tracker.PeriodMinute, tracker.PeriodHour, tracker.PeriodDay} {
			if err := s.rollupPeriod(conn, period, deltas); err != nil {
				return err
			}
		}
		if err := s.rollupTotals(conn, deltas); err != nil {
			return err
		}
		if err := s.rollupErrors(conn, deltas); err != nil {
			return err
		}
		return s.rollupSuccesses(conn, deltas)
	})
	if err != nil {
		return 0, fmt.Errorf("roll up statistics: %w", err)
	}
	return moved, nil
}

// holdRollup waits until no rollup runs, and keeps others from running until the end of the transaction.
func holdRollup(conn *sqlkit.Conn) error {
	return conn.Exec("UPDATE nawasync_duties SET held_until = held_until + 1 WHERE name = ?", lockRollup).Error
}

// rollupPeriod adds deltas to the rows of one period. It writes the rows in the order of their
// keys, so that two writers cannot deadlock.
func (s *Store) rollupPeriod(conn *sqlkit.Conn, period tracker.Period, deltas []statrow.Delta) error {
	type key struct {
		statrow.StatKey
		bucket int64
	}
	sums := map[key]*periodSum{}
	var keys []key
	for _, d := range deltas {
		k := key{d.StatKey, period.Start(sqlkit.FromMicros(d.Minute)).UnixMicro()}
		if sums[k] == nil {
			sums[k], keys = &periodSum{}, append(keys, k)
		}
		if err := sums[k].add(d.Jobs, d.Waits, d.Runs); err != nil {
			return err
		}
	}
	slices.SortFunc(keys, func(a, b key) int { return cmp.Or(cmp.Compare(a.bucket, b.bucket), a.Compare(b.StatKey)) })
	for _, k := range keys {
		const where = "bucket = ? AND service = ? AND type = ? AND instance = ? AND action = ? AND outcome = ?"
		at := []any{k.bucket, k.Service, k.Type, k.Instance, k.Action, k.Outcome}
		stored, err := statrow.Buckets(conn, string(period), "waits, runs", where, at...)
		if err != nil {
			return err
		}
		total := sums[k]
		if len(stored) == 0 {
			if err := conn.Exec("INSERT INTO nawasync_stats (period, bucket, service, type, instance, action, outcome, jobs, waits, runs) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
				append(append([]any{string(period)}, at...), total.jobs, total.waits.String(), total.runs.String())...).Error; err != nil {
				return err
			}
			continue
		}
		if err := total.add(stored[0].Jobs, stored[0].Waits, stored[0].Runs); err != nil {
			return err
		}
		if err := conn.Exec("UPDATE nawasync_stats SET jobs = ?, waits = ?, runs = ? WHERE period = ? AND "+where,
			append([]any{total.jobs, total.waits.String(), total.runs.String(), string(period)}, at...)...).Error; err != nil {
			return err
		}
	}
	return nil
}

// rollupSuccesses updates the newest success of each key.
func (s *Store) rollupSuccesses(conn *sqlkit.Conn, deltas []statrow.Delta) error {
	for _, d := range deltas {
		if d.Outcome != string(tracker.StatusSuccess) {
			continue
		}
		at := []any{d.Service, d.Type, d.Action, d.Instance}
		const where = " WHERE service = ? AND type = ? AND action = ? AND instance = ?"
		var n int64
		if err := conn.Row("SELECT COUNT(*) FROM nawasync_last_success"+where, at...).Scan(&n); err != nil {
			return err
		}
		var err error
		if n == 0 {
			err = conn.Exec("INSERT INTO nawasync_last_success (service, type, action, instance, job_id, finished_at) VALUES (?, ?, ?, ?, ?, ?)",
				append(at, d.LastJob, d.LastAt)...).Error
		} else {
			err = conn.Exec("UPDATE nawasync_last_success SET job_id = ?, finished_at = ?"+where+" AND finished_at < ?",
				append(append([]any{d.LastJob, d.LastAt}, at...), d.LastAt)...).Error
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// periodSum is the sum of deltas and of the stored row of their bucket.
type periodSum struct {
	jobs        int64
	waits, runs tracker.Histogram
}

func (s *periodSum) add(jobs int64, waits, runs string) error {
	wait, waitErr := tracker.ParseHistogram(waits)
	run, runErr := tracker.ParseHistogram(runs)
	s.jobs += jobs
	s.waits.Merge(wait)
	s.runs.Merge(run)
	return errors.Join(waitErr, runErr)
}
