package jobstore

import (
	"context"
	"fmt"

	"github.com/nawasara/nawasync/internal/jobrow"
	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

// AppendAudit adds an entry to the audit log. An entry is deleted after its
// retention, and Forget removes its target and its texts; nothing else changes it.
func (s *Store) AppendAudit(ctx context.Context, a tracker.AuditEntry) error {
	err := s.exec(ctx, func(conn *sqlkit.Conn) error { return s.appendAudit(ctx, conn, a) })
	if err != nil {
		return fmt.Errorf("append to the audit log: %w", err)
	}
	return nil
}

func (s *Store) appendAudit(ctx context.Context, conn *sqlkit.Conn, a tracker.AuditEntry) error {
	key := any(nil)
	if a.TargetID != "" {
		key = jobrow.TargetKey(a.Service, a.Type, a.Instance, a.TargetID)
	}
	run := BulkRunOf(ctx)
	const columns = "run_id, listed, at, subject, act, outcome, service, type, instance, target_id, target_key, job_id, address, reason, detail"
	return conn.Exec("INSERT INTO nawasync_acts ("+columns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		run.ID, run.ID == 0 || run.First, s.Now().UnixMicro(), sqlkit.CleanText(a.Subject, 255), sqlkit.CleanText(a.Action, 50), string(a.Outcome),
		sqlkit.CleanText(a.Service, 50), sqlkit.CleanText(a.Type, 50), sqlkit.CleanText(a.Instance, tracker.MaxInstance),
		sqlkit.CleanText(a.TargetID, tracker.MaxTargetID),
		key, sqlkit.NullID(a.JobID), sqlkit.CleanText(a.Address, 64), sqlkit.CleanText(a.Reason, tracker.MaxError),
		sqlkit.CleanText(a.Detail, tracker.MaxError)).Error
}

// Delete hides a finished job from the job lists and reports whether it did. The row stays
// until it is pruned. Delete does nothing to an open job or to one that is already deleted.
func (s *Store) Delete(ctx context.Context, id int64) (bool, error) {
	var n int64
	err := s.exec(ctx, func(conn *sqlkit.Conn) error {
		done := conn.Exec(deleteJob, s.Now().UnixMicro(), id)
		n = done.RowsAffected
		return done.Error
	})
	if err != nil {
		return false, fmt.Errorf("delete job %d: %w", id, err)
	}
	return n > 0, nil
}

// Restore shows a deleted job in the job lists again and reports whether the job was deleted.
func (s *Store) Restore(ctx context.Context, id int64) (bool, error) {
	var n int64
	err := s.exec(ctx, func(conn *sqlkit.Conn) error {
		done := conn.Exec(restoreJob, id)
		n = done.RowsAffected
		return done.Error
	})
	if err != nil {
		return false, fmt.Errorf("restore job %d: %w", id, err)
	}
	return n > 0, nil
}
