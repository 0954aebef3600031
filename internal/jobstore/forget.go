package jobstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/nawasara/nawasync/internal/jobrow"
	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

// ErrStillOpen means that some jobs of a target have not finished.
var ErrStillOpen = errors.New("the target has open jobs")

// Forget clears the arguments, results and texts of every finished job of a target and of
// their attempts, the texts of error groups that only these jobs had, and the answers of forms that name the
// target. It deletes the recorded changes of the target and the saved views that name the target, removes the
// target and the texts from its entries in the audit log, and returns the number of cleared jobs. The job rows
// stay. Open jobs still need their arguments: if there are any, Forget clears the finished jobs and returns
// ErrStillOpen. The errors do not name the target, because the audit log stores them.
func (s *Store) Forget(ctx context.Context, t tracker.Target) (int, error) {
	key := jobrow.TargetKey(t.Service, t.Type, t.Instance, t.ID)
	const where = " WHERE target_key = ? AND service = ? AND type = ? AND instance = ? AND target_id = ?"
	target := []any{key, t.Service, t.Type, t.Instance, t.ID}
	var n, open int64
	if err := s.ensureLock(ctx, lockRollup); err != nil {
		return 0, fmt.Errorf("forget a target of %s/%s: %w", t.Service, t.Type, err)
	}
	err := s.transaction(ctx, func(conn *sqlkit.Conn) error {
		if err := holdRollup(conn); err != nil {
			return err
		}
		done := conn.Exec(forgetJobs+
			where+" AND finished_at IS NOT NULL", target...)
		if n = done.RowsAffected; done.Error != nil {
			return done.Error
		}
		if err := conn.Exec("UPDATE nawasync_attempts SET error = NULL, stack = NULL, log = NULL, calls = NULL WHERE job_id IN (SELECT id FROM nawasync_jobs"+where+
			" AND finished_at IS NOT NULL)", target...).Error; err != nil {
			return err
		}
		signatures, err := sqlkit.Column[int64](conn, "SELECT DISTINCT error_signature FROM nawasync_jobs"+where+" AND error_signature IS NOT NULL", target...)
		if err != nil {
			return err
		}
		if err := forgetErrors(conn, signatures); err != nil {
			return err
		}
		if err := forgetAudit(conn, key, where, target); err != nil {
			return err
		}
		if err := forgetForms(conn, t.ID); err != nil {
			return err
		}
		if err := forgetViews(conn, t.ID); err != nil {
			return err
		}
		if err := conn.Exec("DELETE FROM nawasync_changes WHERE target_key = ?", key).Error; err != nil {
			return err
		}
		return conn.Row("SELECT COUNT(*) FROM nawasync_jobs"+where+" AND open_lane IS NOT NULL", target...).Scan(&open)
	})
	if err != nil {
		return 0, fmt.Errorf("forget a target of %s/%s: %w", t.Service, t.Type, err)
	}
	if open > 0 {
		return int(n), fmt.Errorf("%w: %d of %s/%s; cancel them or wait until they finish, then call Forget again", ErrStillOpen, open, t.Service, t.Type)
	}
	return int(n), nil
}
