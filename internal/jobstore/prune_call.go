package jobstore

import (
	"context"
	"fmt"
	"time"

	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

// PruneCalls deletes the oldest minute and hour rows of the statistics of calls that are older than the given
// times, and up to limit endpoints that were not called since endpoints. It reports whether there may be more.
// The totals stay.
func (s *Store) PruneCalls(ctx context.Context, minutes, hours, endpoints time.Time, limit int) (more bool, err error) {
	for _, p := range []struct {
		period tracker.Period
		width  time.Duration
		before time.Time
	}{{tracker.PeriodMinute, time.Minute, minutes}, {tracker.PeriodHour, time.Hour, hours}} {
		found, err := s.pruneCallBuckets(ctx, p.period, p.before, 5*p.width)
		if err != nil {
			return false, fmt.Errorf("prune the statistics of calls: %w", err)
		}
		more = more || found
	}
	ids, err := sqlkit.Column[int64](s.DB(ctx), "SELECT endpoint FROM nawasync_endpoints WHERE quota = 0 AND last_at < ? ORDER BY last_at LIMIT ?", endpoints.UnixMicro(), limit)
	if err == nil && len(ids) > 0 {
		err = s.exec(ctx, func(conn *sqlkit.Conn) error {
			return conn.Exec("DELETE FROM nawasync_endpoints WHERE endpoint IN ? AND last_at < ?", ids, endpoints.UnixMicro()).Error
		})
	}
	if err != nil {
		return false, fmt.Errorf("prune endpoints: %w", err)
	}
	return more || len(ids) == limit, nil
}

// pruneCallBuckets deletes the oldest buckets of a period, as many as begin within span.
func (s *Store) pruneCallBuckets(ctx context.Context, period tracker.Period, before time.Time, span time.Duration) (more bool, err error) {
	oldest, err := sqlkit.Column[int64](s.DB(ctx), "SELECT bucket FROM nawasync_calls WHERE period = ? AND bucket < ? ORDER BY bucket LIMIT 1", string(period), before.UnixMicro())
	if err != nil || len(oldest) == 0 {
		return false, err
	}
	end := oldest[0] + span.Microseconds()
	return end < before.UnixMicro(), s.exec(ctx, func(conn *sqlkit.Conn) error {
		return conn.Exec("DELETE FROM nawasync_calls WHERE period = ? AND bucket < ?", string(period), min(end, before.UnixMicro())).Error
	})
}
