package jobstore

import (
	"context"
	"fmt"
	"time"

	"github.com/nawasara/nawasync/internal/sqlkit"
)

// DatabaseTime returns the time of the database server's clock. On SQLite, which has no server,
// it returns the zero time.
func (s *Store) DatabaseTime(ctx context.Context) (time.Time, error) {
	query := map[string]string{
		"postgres": "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)",
		"mysql":    "SELECT CAST(UNIX_TIMESTAMP(SYSDATE(6)) * 1000000 AS SIGNED)",
	}[s.dialect.Name]
	if query == "" {
		return time.Time{}, nil
	}
	var us int64
	if err := s.DB(ctx).Row(query).Scan(&us); err != nil {
		return time.Time{}, fmt.Errorf("read the database's clock: %w", err)
	}
	return sqlkit.FromMicros(us), nil
}
