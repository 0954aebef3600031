package jobstore

import (
	"context"
	"errors"
	"fmt"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/jobrow"
	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

// ErrStillOpen says that jobs of a target have not ended.
var ErrStillOpen = errors.New("the target has open jobs")

// Forget blanks arguments, results and texts of every ended job of a target and
// of its attempts, and returns how many there were. The rows stay; what syncs noted of
// the target is deleted. Open jobs need
// theirs: when there are any it returns ErrStillOpen, with the others blanked.
func (s *Store) Forget(ctx context.Context, t tracker.Target) (int, error) {
	key := jobrow.TargetKey(t.Service, t.Type, t.Instance, t.ID)
	const where = " WHERE target_key = ? AND service = ? AND type = ? AND instance = ? AND target_id = ?"
	target := []any{key, t.Service, t.Type, t.Instance, t.ID}
	var n, open int64
	err := s.Transaction(ctx, func(tx *gorm.DB) error {
		tx = sqlkit.Session(ctx, tx)
		done := tx.Exec(forgetJobs+
			where+" AND finished_at IS NOT NULL", target...)
		if n = done.RowsAffected; done.Error != nil {
			return done.Error
		}
		if err := tx.Exec("UPDATE nawasync_attempts SET error = NULL, stack = NULL, log = NULL WHERE job_id IN (SELECT id FROM nawasync_jobs"+where+
			" AND finished_at IS NOT NULL)", target...).Error; err != nil {
			return err
		}
		if err := tx.Exec("DELETE FROM nawasync_changes WHERE target_key = ?", key).Error; err != nil {
			return err
		}
		return tx.Raw("SELECT COUNT(*) FROM nawasync_jobs"+where+" AND open_lane IS NOT NULL", target...).Row().Scan(&open)
	})
	if err != nil {
		return 0, fmt.Errorf("forget %s/%s %q: %w", t.Service, t.Type, t.ID, err)
	}
	if open > 0 {
		return int(n), fmt.Errorf("%w: %d of %s/%s %q; cancel them or let them end, then call Forget again", ErrStillOpen, open, t.Service, t.Type, t.ID)
	}
	return int(n), nil
}
