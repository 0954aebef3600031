package jobstore

import (
	"context"
	"fmt"
	"time"

	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

// PruneErrors deletes the counts of errors that are older than the given times, and the texts of errors that
// have not occurred since texts: a text must not outlive the jobs that it is of, because Forget finds it by them.
func (s *Store) PruneErrors(ctx context.Context, minutes, hours, days, texts time.Time) error {
	err := s.exec(ctx, func(conn *sqlkit.Conn) error {
		for period, before := range map[tracker.Period]time.Time{tracker.PeriodMinute: minutes, tracker.PeriodHour: hours, tracker.PeriodDay: days} {
			if err := conn.Exec("DELETE FROM nawasync_error_stats WHERE period = ? AND bucket < ?", string(period), before.UnixMicro()).Error; err != nil {
				return err
			}
		}
		return conn.Exec("DELETE FROM nawasync_errors WHERE last_at < ?", texts.UnixMicro()).Error
	})
	if err != nil {
		return fmt.Errorf("prune the counts of errors: %w", err)
	}
	return nil
}

// forgetErrors clears the texts of errors that no job has any more, in a transaction that has called
// holdRollup: a rollup could add the text of a job that has just ended. The signatures are those of the jobs
// whose texts were cleared.
func forgetErrors(conn *sqlkit.Conn, signatures []int64) error {
	var gone []int64
	for _, hash := range signatures {
		kept, err := sqlkit.Column[int64](conn, "SELECT id FROM nawasync_jobs WHERE error_signature = ? AND error IS NOT NULL LIMIT 1", hash)
		if err != nil {
			return err
		}
		if len(kept) == 0 {
			gone = append(gone, hash)
		}
	}
	if len(gone) == 0 {
		return nil
	}
	// Plain reads find the rows: an UPDATE would on MySQL lock other rows and wait for them.
	deltas, err := sqlkit.Column[int64](conn, "SELECT id FROM nawasync_stat_deltas WHERE error_signature IN ?", gone)
	if err == nil && len(deltas) > 0 {
		err = conn.Exec("UPDATE nawasync_stat_deltas SET error_text = '' WHERE id IN ?", deltas).Error
	}
	if err != nil {
		return err
	}
	return conn.Exec("UPDATE nawasync_errors SET text = '' WHERE signature IN ?", gone).Error
}
