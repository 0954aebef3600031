package jobstore

import (
	"context"
	"fmt"
	"time"

	"github.com/nawasara/nawasync/internal/sqlkit"
)

// PruneAudit deletes entries of the audit log written before the given time and returns how many it
// deleted. It looks at no more than limit entries, those with the lowest ids. They are the oldest,
// because ids grow with time.
func (s *Store) PruneAudit(ctx context.Context, before time.Time, limit int) (int, error) {
	ids, err := sqlkit.Column[int64](s.DB(ctx), "SELECT id FROM (SELECT id, at FROM nawasync_acts ORDER BY id LIMIT ?) oldest WHERE at < ?", limit,
		before.UnixMicro())
	if err == nil && len(ids) > 0 {
		err = s.exec(ctx, func(conn *sqlkit.Conn) error { return conn.Exec("DELETE FROM nawasync_acts WHERE id IN ?", ids).Error })
	}
	if err != nil {
		return 0, fmt.Errorf("prune the audit log: %w", err)
	}
	return len(ids), nil
}

// forgetAudit removes the target, the reason and the detail from the audit entries of a target: from
// those that name the target, and from those that only name one of its jobs. where selects the jobs.
func forgetAudit(conn *sqlkit.Conn, key int64, where string, target []any) error {
	const clearEntries = "UPDATE nawasync_acts SET target_id = '', target_key = NULL, reason = '', detail = '' WHERE "
	if err := conn.Exec(clearEntries+"job_id IN (SELECT id FROM nawasync_jobs"+where+")", target...).Error; err != nil {
		return err
	}
	return conn.Exec(clearEntries+"target_key = ?", key).Error
}
