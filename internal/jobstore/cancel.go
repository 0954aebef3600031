package jobstore

import (
	"context"

	"github.com/nawasara/nawasync/internal/sqlkit"
)

// RequestCancel records that by wants to cancel a running job. The job's process cancels its
// context at the next heartbeat. It reports whether the job runs.
func (s *Store) RequestCancel(ctx context.Context, id int64, by string) (bool, error) {
	var n int64
	err := s.exec(ctx, func(conn *sqlkit.Conn) error {
		done := conn.Exec(requestCancel, s.Now().UnixMicro(), sqlkit.CleanText(by, 255), id)
		n = done.RowsAffected
		return done.Error
	})
	return n > 0, err
}
