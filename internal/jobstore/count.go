package jobstore

import (
	"context"
	"fmt"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/sqlkit"
)

// CountOpen counts a service's queued and running jobs. It stops counting at limit. A nil tx
// reads outside of any transaction.
func (s *Store) CountOpen(ctx context.Context, tx *gorm.DB, service string, limit int) (int, error) {
	if tx == nil {
		tx = s.db
	}
	var n int
	err := sqlkit.Connect(ctx, tx).Row("SELECT COUNT(*) FROM (SELECT 1 FROM nawasync_jobs WHERE open_lane IS NOT NULL AND service = ? LIMIT ?) AS r", service,
		limit).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count open jobs: %w", err)
	}
	return n, nil
}
