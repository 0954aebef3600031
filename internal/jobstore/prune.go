package jobstore

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"time"

	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

// Prune deletes up to limit jobs that have the given status and finished before the given time.
// It also deletes their attempts and returns the number of jobs. Statistics and last successes stay.
func (s *Store) Prune(ctx context.Context, status tracker.Status, before time.Time, limit int) (int, error) {
	ids, err := sqlkit.Column[int64](s.DB(ctx), "SELECT id FROM nawasync_jobs WHERE status = ? AND finished_at < ? AND finished_at IS NOT NULL ORDER BY finished_at LIMIT ?",
		string(status), before.UnixMicro(), limit)
	if err != nil {
		return 0, fmt.Errorf("prune %s jobs: %w", status, err)
	}
	if len(ids) == 0 {
		return 0, nil
	}
	err = s.transaction(ctx, func(conn *sqlkit.Conn) error {
		if err := conn.Exec("DELETE FROM nawasync_attempts WHERE job_id IN ?", ids).Error; err != nil {
			return err
		}
		if err := conn.Exec("DELETE FROM nawasync_bulk_jobs WHERE run_id IN ?", ids).Error; err != nil {
			return err
		}
		return conn.Exec("DELETE FROM nawasync_jobs WHERE id IN ?", ids).Error
	})
	if err != nil {
		return 0, fmt.Errorf("prune %s jobs: %w", status, err)
	}
	return len(ids), nil
}

// PruneStats deletes the minute rows and the hour rows of the statistics that are older than the
// given times.
func (s *Store) PruneStats(ctx context.Context, minutes, hours time.Time) error {
	return s.exec(ctx, func(conn *sqlkit.Conn) error {
		for period, before := range map[tracker.Period]time.Time{tracker.PeriodMinute: minutes, tracker.PeriodHour: hours} {
			if err := conn.Exec("DELETE FROM nawasync_stats WHERE period = ? AND bucket < ?", string(period), before.UnixMicro()).Error; err != nil {
				return fmt.Errorf("prune statistics: %w", err)
			}
		}
		return nil
	})
}

// settingArguments is the name of a setting. Its value is the time, in microseconds, up to which
// DropArguments has dropped the arguments of finished jobs.
const settingArguments = "arguments_dropped_until"

const finishedWithArguments = "SELECT id FROM nawasync_jobs WHERE status IN ? AND finished_at IS NOT NULL AND finished_at >= ? AND finished_at < ?" +
	" AND sealed IS NOT NULL AND sealed <> ''"

// DropArguments drops the sealed arguments of jobs that finished without success before the
// given time. A successful job drops its arguments when it finishes.
func (s *Store) DropArguments(ctx context.Context, before time.Time) error {
	from, err := s.Setting(ctx, settingArguments, "0")
	if err != nil {
		return err
	}
	since, err := strconv.ParseInt(from, 10, 64)
	if err != nil {
		return fmt.Errorf("setting %s: %w", settingArguments, err)
	}
	// A plain read finds the jobs: an UPDATE with this condition would on MySQL also lock rows and gaps
	// beside those that it changes, and wait for them.
	ids, err := sqlkit.Column[int64](s.DB(ctx), finishedWithArguments,
		[]tracker.Status{tracker.StatusFailed, tracker.StatusConflict, tracker.StatusSkipped, tracker.StatusCancelled}, since, before.UnixMicro())
	for _, id := range ids {
		if err == nil {
			err = s.exec(ctx, func(conn *sqlkit.Conn) error { return conn.Exec(dropArguments, id).Error })
		}
	}
	if err != nil {
		return fmt.Errorf("drop arguments: %w", err)
	}
	return s.SetSetting(ctx, settingArguments, strconv.FormatInt(before.UnixMicro(), 10))
}

// Expired lists up to limit queued jobs that first came due before the given time. The time in which
// their scopes were paused or parked does not count.
func (s *Store) Expired(ctx context.Context, before time.Time, limit int) ([]*Job, error) {
	now := s.Now().UnixMicro()
	list, err := s.query(s.background(ctx), false, "WHERE j.open_lane IS NOT NULL AND j.status = 'queued' AND j.due_at < ? AND j.due_at + "+s.pausedTime()+" < ? LIMIT ?",
		before.UnixMicro(), now, now, now, before.UnixMicro(), limit)
	if err != nil {
		return nil, fmt.Errorf("list expired jobs: %w", err)
	}
	return list, nil
}

// PruneKeys looks at up to limit unique keys after the given one and deletes those whose job has
// ended or is gone. It returns the last key that it looked at, or "" at the end.
func (s *Store) PruneKeys(ctx context.Context, after string, limit int) (last string, err error) {
	type held struct {
		key string
		job int64
	}
	var stale []held
	n := 0
	err = sqlkit.Each(s.DB(ctx), func(rows *sql.Rows) error {
		var h held
		var open bool
		n++
		err := rows.Scan(&h.key, &h.job, &open)
		if last = h.key; !open {
			stale = append(stale, h)
		}
		return err
	}, "SELECT k.unique_key, k.job_id, EXISTS (SELECT 1 FROM nawasync_jobs j WHERE j.id = k.job_id AND j.finished_at IS NULL)"+
		" FROM nawasync_keys k WHERE k.unique_key > ? ORDER BY k.unique_key LIMIT ?", after, limit)
	for _, h := range stale {
		if err == nil { // a dispatch may have taken over the key
			err = s.exec(ctx, func(conn *sqlkit.Conn) error {
				return conn.Exec("DELETE FROM nawasync_keys WHERE unique_key = ? AND job_id = ?", h.key, h.job).Error
			})
		}
	}
	if err != nil {
		return "", fmt.Errorf("prune unique keys: %w", err)
	}
	if n < limit {
		return "", nil
	}
	return last, nil
}
