package tracker

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"gorm.io/gorm"
)

// Prune deletes up to limit jobs that ended with the status before the given
// time, with their attempts, and returns how many. The last successes stay known.
func (s *Store) Prune(ctx context.Context, status Status, before time.Time, limit int) (int, error) {
	var ids []int64
	if err := s.DB(ctx).Raw("SELECT id FROM nawasync_jobs WHERE status = ? AND finished_at < ? AND finished_at IS NOT NULL ORDER BY finished_at LIMIT ?",
		string(status), before.UnixMicro(), limit).Scan(&ids).Error; err != nil {
		return 0, fmt.Errorf("nawasync: prune: %w", err)
	}
	if len(ids) == 0 {
		return 0, nil
	}
	err := s.Transaction(ctx, func(tx *gorm.DB) error {
		tx = session(ctx, tx)
		if err := tx.Exec("DELETE FROM nawasync_attempts WHERE job_id IN ?", ids).Error; err != nil {
			return err
		}
		return tx.Exec("DELETE FROM nawasync_jobs WHERE id IN ?", ids).Error
	})
	if err != nil {
		return 0, fmt.Errorf("nawasync: prune: %w", err)
	}
	return len(ids), nil
}

// PruneStats deletes minute and hour rows that are older than the given times.
func (s *Store) PruneStats(ctx context.Context, minutes, hours time.Time) error {
	return s.one(ctx, func(tx *gorm.DB) error {
		for period, before := range map[Period]time.Time{Minute: minutes, Hour: hours} {
			if err := tx.Exec("DELETE FROM nawasync_stats WHERE period = ? AND bucket < ?", string(period), before.UnixMicro()).Error; err != nil {
				return fmt.Errorf("nawasync: prune statistics: %w", err)
			}
		}
		return nil
	})
}

// settingArguments remembers up to which ending arguments were dropped already.
const settingArguments = "arguments_dropped_until"

// DropArguments forgets the sealed arguments of jobs that ended otherwise than
// with success before the given time. A success drops its own.
func (s *Store) DropArguments(ctx context.Context, before time.Time) error {
	from, err := s.Setting(ctx, settingArguments, "0")
	if err != nil {
		return err
	}
	since, err := strconv.ParseInt(from, 10, 64)
	if err != nil {
		return fmt.Errorf("nawasync: setting %s: %w", settingArguments, err)
	}
	err = s.one(ctx, func(tx *gorm.DB) error {
		return tx.Exec("UPDATE nawasync_jobs SET sealed = '' WHERE status IN ? AND finished_at IS NOT NULL AND finished_at >= ? AND finished_at < ? AND sealed IS NOT NULL AND sealed <> ''",
			[]Status{Failed, Conflict, Skipped, Cancelled}, since, before.UnixMicro()).Error
	})
	if err != nil {
		return fmt.Errorf("nawasync: drop arguments: %w", err)
	}
	return s.SetSetting(ctx, settingArguments, strconv.FormatInt(before.UnixMicro(), 10))
}

// Expired lists up to limit queued jobs that first came due before the given time.
func (s *Store) Expired(ctx context.Context, before time.Time, limit int) ([]*Job, error) {
	list, err := s.jobs(s.DB(ctx), false, "WHERE j.open_lane IS NOT NULL AND j.status = 'queued' AND j.due_at < ? LIMIT ?", before.UnixMicro(), limit)
	if err != nil {
		return nil, fmt.Errorf("nawasync: look for expired jobs: %w", err)
	}
	return list, nil
}

// ErrStillOpen says that jobs of a target have not ended.
var ErrStillOpen = errors.New("nawasync: the target has open jobs")

// Forget blanks arguments, results and texts of every ended job of a target and
// of its attempts, and returns how many there were. The rows stay; what syncs noted of
// the target is deleted. Open jobs need
// theirs: when there are any it returns ErrStillOpen, with the others blanked.
func (s *Store) Forget(ctx context.Context, service, typ, instance, targetID string, targetKey int64) (int, error) {
	const where = " WHERE target_key = ? AND service = ? AND type = ? AND instance = ? AND target_id = ?"
	target := []any{targetKey, service, typ, instance, targetID}
	var n, open int64
	err := s.Transaction(ctx, func(tx *gorm.DB) error {
		tx = session(ctx, tx)
		done := tx.Exec("UPDATE nawasync_jobs SET payload = NULL, sealed = NULL, result = NULL, error = NULL, diff = NULL, progress = NULL, updated_at = updated_at + 1"+
			where+" AND finished_at IS NOT NULL", target...)
		if n = done.RowsAffected; done.Error != nil {
			return done.Error
		}
		if err := tx.Exec("UPDATE nawasync_attempts SET error = NULL, stack = NULL, log = NULL WHERE job_id IN (SELECT id FROM nawasync_jobs"+where+" AND finished_at IS NOT NULL)", target...).Error; err != nil {
			return err
		}
		if err := tx.Exec("DELETE FROM nawasync_changes WHERE target_key = ?", targetKey).Error; err != nil {
			return err
		}
		return tx.Raw("SELECT COUNT(*) FROM nawasync_jobs"+where+" AND open_lane IS NOT NULL", target...).Row().Scan(&open)
	})
	if err != nil {
		return 0, fmt.Errorf("nawasync: forget %s/%s %q: %w", service, typ, targetID, err)
	}
	if open > 0 {
		return int(n), fmt.Errorf("%w: %d of %s/%s %q; cancel them or let them end, then call Forget again", ErrStillOpen, open, service, typ, targetID)
	}
	return int(n), nil
}
