package jobstore

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

// FinishTimes returns when each of the jobs finished. An open job has the zero time. A job
// that was pruned is not in the map.
func (s *Store) FinishTimes(ctx context.Context, tx *gorm.DB, ids []int64) (map[int64]time.Time, error) {
	found := map[int64]time.Time{}
	if len(ids) == 0 {
		return found, nil
	}
	err := sqlkit.Each(sqlkit.Connect(ctx, tx), func(rows *sql.Rows) error {
		var id int64
		var finished sql.NullInt64
		err := rows.Scan(&id, &finished)
		found[id] = sqlkit.FromMicros(finished.Int64)
		return err
	}, "SELECT id, finished_at FROM nawasync_jobs WHERE id IN ?", ids)
	if err != nil {
		return nil, fmt.Errorf("read when jobs finished: %w", err)
	}
	return found, nil
}

// AnyEndedSince reports whether any job of a service and type that changes a snapshot row
// finished at or after since.
func (s *Store) AnyEndedSince(ctx context.Context, tx *gorm.DB, service, typ string, since time.Time) (found bool, err error) {
	err = sqlkit.Each(
		sqlkit.Connect(ctx, tx),
		func(*sql.Rows) error {
			found = true
			return nil
		},
		"SELECT id FROM nawasync_jobs WHERE status IN ? AND finished_at IS NOT NULL AND finished_at >= ? AND service = ? AND type = ? AND snap_state IS NOT NULL LIMIT 1",
		[]tracker.Status{
			tracker.StatusSuccess,
			tracker.StatusFailed,
			tracker.StatusConflict,
			tracker.StatusSkipped,
			tracker.StatusCancelled,
		},
		since.UnixMicro(),
		service,
		typ,
	)
	if err != nil {
		return false, fmt.Errorf("look for jobs that finished: %w", err)
	}
	return found, nil
}

// EndedSince returns the target keys for which a job that changes a snapshot row finished at
// or after since.
func (s *Store) EndedSince(ctx context.Context, tx *gorm.DB, targetKeys []int64, since time.Time) (map[int64]bool, error) {
	found := map[int64]bool{}
	if len(targetKeys) == 0 {
		return found, nil
	}
	err := sqlkit.Each(sqlkit.Connect(ctx, tx), func(rows *sql.Rows) error {
		var key int64
		err := rows.Scan(&key)
		found[key] = true
		return err
	}, "SELECT DISTINCT target_key FROM nawasync_jobs WHERE target_key IN ? AND finished_at IS NOT NULL AND finished_at >= ? AND snap_state IS NOT NULL", targetKeys,
		since.UnixMicro())
	if err != nil {
		return nil, fmt.Errorf("look for jobs that finished: %w", err)
	}
	return found, nil
}

// LastWrite returns when a job with one of the target keys last finished that has written to the
// remote, if that is not before since. It does not count the job with the given id. Without such a
// job it returns the zero time.
func (s *Store) LastWrite(ctx context.Context, targetKeys []int64, except int64, since time.Time) (time.Time, error) {
	last, err := sqlkit.Column[sql.NullInt64](s.DB(ctx),
		"SELECT MAX(finished_at) FROM nawasync_jobs WHERE target_key IN ? AND finished_at IS NOT NULL AND finished_at >= ? AND wrote = ? AND id <> ?", targetKeys,
		since.UnixMicro(), true, except)
	if err != nil {
		return time.Time{}, fmt.Errorf("look for the last write: %w", err)
	}
	if len(last) == 0 || !last[0].Valid {
		return time.Time{}, nil
	}
	return sqlkit.FromMicros(last[0].Int64), nil
}

// Fence locks the row of a running job until tx ends and reports whether the attempt of that
// epoch still runs. While the lock is held, no other process can end the attempt, so a late
// attempt cannot write through tx, which must be a transaction of the Store.
func (s *Store) Fence(ctx context.Context, tx *gorm.DB, job int64, epoch int) (running bool, err error) {
	lock := map[string]string{"postgres": " FOR SHARE OF j", "mysql": " LOCK IN SHARE MODE"}[s.dialect.Name] // shared: one job may write several batches at once
	err = sqlkit.Each(sqlkit.Connect(ctx, tx), func(*sql.Rows) error {
		running = true
		return nil
	}, "SELECT j.id FROM "+s.idleLimited()+"nawasync_jobs j WHERE j.id = ? AND j.epoch = ? AND j.status = 'running'"+lock, job, epoch)
	return running, err
}
