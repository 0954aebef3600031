package tracker

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"gorm.io/gorm"
)

// dutyFold serialises folding: its row is locked by the transaction that folds.
const dutyFold = "fold"

// Fold moves up to limit deltas into the minute, hour and day rows and the last
// successes, and returns how many it moved. Concurrent calls wait for each other.
func (s *Store) Fold(ctx context.Context, limit int) (moved int, err error) {
	if err := s.ensureDuty(ctx, dutyFold); err != nil {
		return 0, fmt.Errorf("nawasync: fold statistics: %w", err)
	}
	err = s.Transaction(ctx, func(tx *gorm.DB) error {
		tx = session(ctx, tx)
		if err := tx.Exec("UPDATE nawasync_duties SET held_until = held_until + 1 WHERE name = ?", dutyFold).Error; err != nil {
			return err
		}
		ids, deltas, err := s.deltas(tx, limit)
		if err != nil || len(ids) == 0 {
			return err
		}
		gone := tx.Exec("DELETE FROM nawasync_stat_deltas WHERE id IN ?", ids)
		if gone.Error != nil {
			return gone.Error
		}
		if int(gone.RowsAffected) != len(ids) {
			return errors.New("another process folded the same deltas")
		}
		moved = len(ids)
		for _, period := range []Period{Minute, Hour, Day} {
			if err := s.foldPeriod(tx, period, deltas); err != nil {
				return err
			}
		}
		return s.foldSuccess(tx, deltas)
	})
	if err != nil {
		return 0, fmt.Errorf("nawasync: fold statistics: %w", err)
	}
	return moved, nil
}

// foldPeriod writes in key order, so that two writers could not deadlock.
func (s *Store) foldPeriod(tx *gorm.DB, period Period, deltas []delta) error {
	type key struct {
		StatKey
		bucket int64
	}
	sums := map[key]*Stat{}
	var keys []key
	for _, d := range deltas {
		k := key{d.StatKey, period.start(fromMicros(d.minute)).UnixMicro()}
		if sums[k] == nil {
			sums[k], keys = &Stat{StatKey: d.StatKey}, append(keys, k)
		}
		sums[k].Jobs += d.jobs
		sums[k].Waits.Merge(d.waits)
		sums[k].Runs.Merge(d.runs)
	}
	slices.SortFunc(keys, func(a, b key) int {
		if a.bucket != b.bucket {
			return int((a.bucket - b.bucket) / int64(time.Minute/time.Microsecond))
		}
		return a.compare(b.StatKey)
	})
	for _, k := range keys {
		const where = "bucket = ? AND service = ? AND type = ? AND instance = ? AND action = ? AND outcome = ?"
		at := []any{k.bucket, k.Service, k.Type, k.Instance, k.Action, string(k.Outcome)}
		stored, err := s.storedStats(tx, period, "waits, runs", where, at...)
		if err != nil {
			return err
		}
		sum := sums[k]
		if len(stored) == 0 {
			if err := tx.Exec("INSERT INTO nawasync_stats (period, bucket, service, type, instance, action, outcome, jobs, waits, runs) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
				append(append([]any{string(period)}, at...), sum.Jobs, sum.Waits.String(), sum.Runs.String())...).Error; err != nil {
				return err
			}
			continue
		}
		sum.Jobs += stored[0].Jobs
		sum.Waits.Merge(stored[0].Waits)
		sum.Runs.Merge(stored[0].Runs)
		if err := tx.Exec("UPDATE nawasync_stats SET jobs = ?, waits = ?, runs = ? WHERE period = ? AND "+where,
			append([]any{sum.Jobs, sum.Waits.String(), sum.Runs.String(), string(period)}, at...)...).Error; err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) foldSuccess(tx *gorm.DB, deltas []delta) error {
	for _, d := range deltas {
		if d.Outcome != Success {
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
			err = tx.Exec("INSERT INTO nawasync_last_success (service, type, action, instance, job_id, finished_at) VALUES (?, ?, ?, ?, ?, ?)", append(at, d.lastJob, d.lastAt)...).Error
		} else {
			err = tx.Exec("UPDATE nawasync_last_success SET job_id = ?, finished_at = ?"+where+" AND finished_at < ?",
				append(append([]any{d.lastJob, d.lastAt}, at...), d.lastAt)...).Error
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// LastSuccess is when a job of this service, type, action and instance last
// succeeded, and its id; the zero time and 0 when none ever did. It survives the
// pruning of the job itself.
func (s *Store) LastSuccess(ctx context.Context, service, typ, action, instance string) (time.Time, int64, error) {
	var at, id sql.NullInt64
	const where = " WHERE service = ? AND type = ? AND action = ? AND instance = ?"
	err := each(s.DB(ctx), func(rows *sql.Rows) error {
		var thisAt, thisID int64
		if err := rows.Scan(&thisAt, &thisID); err != nil {
			return err
		}
		if thisAt > at.Int64 {
			at.Int64, id.Int64 = thisAt, thisID
		}
		return nil
	}, "SELECT finished_at, job_id FROM nawasync_last_success"+where+" UNION ALL SELECT last_at, last_job FROM nawasync_stat_deltas"+where+" AND outcome = 'success'",
		service, typ, action, instance, service, typ, action, instance)
	if err != nil {
		return time.Time{}, 0, fmt.Errorf("nawasync: read the last success: %w", err)
	}
	return fromMicros(at.Int64), id.Int64, nil
}
