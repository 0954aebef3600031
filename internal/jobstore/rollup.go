package jobstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/internal/statrow"
	"github.com/nawasara/nawasync/tracker"
)

// lockRollup serialises folding: its row is locked by the transaction that folds.
const lockRollup = "fold"

// Rollup moves up to limit deltas into the minute, hour and day rows and the last
// successes, and returns how many it moved. Concurrent calls wait for each other.
func (s *Store) Rollup(ctx context.Context, limit int) (moved int, err error) {
	if err := s.ensureLock(ctx, lockRollup); err != nil {
		return 0, fmt.Errorf("fold statistics: %w", err)
	}
	err = s.Transaction(ctx, func(tx *gorm.DB) error {
		tx = sqlkit.Session(ctx, tx)
		if err := tx.Exec("UPDATE nawasync_duties SET held_until = held_until + 1 WHERE name = ?", lockRollup).Error; err != nil {
			return err
		}
		deltas, err := statrow.Deltas(tx, limit)
		if err != nil || len(deltas) == 0 {
			return err
		}
		ids := make([]int64, len(deltas))
		for i, d := range deltas {
			ids[i] = d.ID
		}
		gone := tx.Exec("DELETE FROM nawasync_stat_deltas WHERE id IN ?", ids)
		if gone.Error != nil {
			return gone.Error
		}
		if int(gone.RowsAffected) != len(ids) {
			return errors.New("another process folded the same deltas")
		}
		moved = len(ids)
		for _, period := range []tracker.Period{tracker.PeriodMinute, tracker.PeriodHour, tracker.PeriodDay} {
			if err := s.rollupPeriod(tx, period, deltas); err != nil {
				return err
			}
		}
		return s.rollupSuccesses(tx, deltas)
	})
	if err != nil {
		return 0, fmt.Errorf("fold statistics: %w", err)
	}
	return moved, nil
}

// rollupPeriod writes in key order, so that two writers could not deadlock.
func (s *Store) rollupPeriod(tx *gorm.DB, period tracker.Period, deltas []statrow.Delta) error {
	type key struct {
		statrow.Key
		bucket int64
	}
	sums := map[key]*periodSum{}
	var keys []key
	for _, d := range deltas {
		k := key{d.Key, period.Start(sqlkit.FromMicros(d.Minute)).UnixMicro()}
		if sums[k] == nil {
			sums[k], keys = &periodSum{}, append(keys, k)
		}
		if err := sums[k].add(d.Jobs, d.Waits, d.Runs); err != nil {
			return err
		}
	}
	slices.SortFunc(keys, func(a, b key) int { return cmp.Or(cmp.Compare(a.bucket, b.bucket), a.Compare(b.Key)) })
	for _, k := range keys {
		const where = "bucket = ? AND service = ? AND type = ? AND instance = ? AND action = ? AND outcome = ?"
		at := []any{k.bucket, k.Service, k.Type, k.Instance, k.Action, k.Outcome}
		stored, err := statrow.Buckets(tx, string(period), "waits, runs", where, at...)
		if err != nil {
			return err
		}
		total := sums[k]
		if len(stored) == 0 {
			if err := tx.Exec("INSERT INTO nawasync_stats (period, bucket, service, type, instance, action, outcome, jobs, waits, runs) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
				append(append([]any{string(period)}, at...), total.jobs, total.waits.String(), total.runs.String())...).Error; err != nil {
				return err
			}
			continue
		}
		if err := total.add(stored[0].Jobs, stored[0].Waits, stored[0].Runs); err != nil {
			return err
		}
		if err := tx.Exec("UPDATE nawasync_stats SET jobs = ?, waits = ?, runs = ? WHERE period = ? AND "+where,
			append([]any{total.jobs, total.waits.String(), total.runs.String(), string(period)}, at...)...).Error; err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) rollupSuccesses(tx *gorm.DB, deltas []statrow.Delta) error {
	for _, d := range deltas {
		if d.Outcome != string(tracker.StatusSuccess) {
			continue
		}
		at := []any{d.Service, d.Type, d.Action, d.Instance}
		const where = " WHERE service = ? AND type = ? AND action = ? AND instance = ?"
		var n int64
		if err := tx.Raw("SELECT COUNT(*) FROM nawasync_last_success"+where, at...).Row().Scan(&n); err != nil {
			return err
		}
		var err error
		if n == 0 {
			err = tx.Exec("INSERT INTO nawasync_last_success (service, type, action, instance, job_id, finished_at) VALUES (?, ?, ?, ?, ?, ?)",
				append(at, d.LastJob, d.LastAt)...).Error
		} else {
			err = tx.Exec("UPDATE nawasync_last_success SET job_id = ?, finished_at = ?"+where+" AND finished_at < ?",
				append(append([]any{d.LastJob, d.LastAt}, at...), d.LastAt)...).Error
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// periodSum is what deltas and a bucket add up to.
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
