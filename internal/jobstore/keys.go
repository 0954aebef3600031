package jobstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

// Unique keys are rows of nawasync_keys, which name the job that holds the key. The ending of a job
// does not touch its key: the next dispatch takes over the key of a job that has ended, and the
// pruner deletes what is left. A unique index on nawasync_jobs would decide as well, but MariaDB
// locks the gaps of such an index: an open transaction of the host would stop all dispatches.

// ErrKeyBusy means that another open transaction dispatches a job with the same unique key.
var ErrKeyBusy = errors.New("another open transaction dispatches a job with the same unique key; dispatch again after it has ended")

// UniqueKey returns the stored form of a key, for a hash of what must be unique. The job holds the key
// until it finishes or, with untilRunning, only until it starts.
func UniqueKey(hash string, untilRunning bool) string {
	return sqlkit.Pick(untilRunning, keyUntilRunning, keyUntilEnded) + hash
}

const (
	keyUntilRunning = "r:"
	keyUntilEnded   = "e:"
)

// maxKeyTries is how many times an insert looks again after another transaction has changed the key.
const maxKeyTries = 10

// insertUnique inserts the job unless another open job holds its UniqueKey. It returns the job that
// holds the key, which may be the new one. If the new job would be due earlier than the one that
// waits, that one is brought forward.
func (s *Store) insertUnique(conn *sqlkit.Conn, job *Job) (*Job, error) {
	job.ID = 0 // an earlier try may have been rolled back
	// Look without a lock first: usually the key is free, or its holder is open.
	lock := ""
	for range maxKeyTries {
		holder, err := s.keyHolder(conn, job.UniqueKey, lock)
		if err != nil {
			return nil, busyKey(err)
		}
		held, holds, err := s.lockHolder(conn, holder, job)
		if err != nil {
			return nil, busyKey(err)
		}
		if holds {
			if job.ID != 0 {
				err = conn.Exec("DELETE FROM nawasync_jobs WHERE id = ?", job.ID).Error
			}
			return held, err
		}
		if job.ID == 0 {
			if err := s.insertMany(conn, []*Job{job}); err != nil {
				return nil, err
			}
		}
		taken, err := s.takeKey(conn, job, holder)
		if taken || err != nil {
			return job, busyKey(err)
		}
		// Another transaction has taken the key. A plain read in the caller's transaction may not see
		// what it has committed, a locking one does.
		lock = s.shareLock()
	}
	return nil, fmt.Errorf("%w (tried %d times)", ErrKeyBusy, maxKeyTries)
}

// keyHolder returns the id of the job that holds the key, or 0 if there is none.
func (s *Store) keyHolder(conn *sqlkit.Conn, key, lock string) (int64, error) {
	var holder int64
	err := conn.Row("SELECT job_id FROM nawasync_keys WHERE unique_key = ?"+lock, key).Scan(&holder)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return holder, err
}

func (s *Store) shareLock() string {
	return map[string]string{"postgres": " FOR SHARE", "mysql": " LOCK IN SHARE MODE"}[s.dialect.Name]
}

// lockHolder locks the job that holds a key until the caller's transaction ends, so that it neither
// starts nor ends before what the caller writes is committed. holds is false if there is no such job
// or it no longer holds its key.
func (s *Store) lockHolder(conn *sqlkit.Conn, id int64, replaced *Job) (held *Job, holds bool, err error) {
	if id == 0 {
		return nil, false, nil
	}
	list, err := s.query(conn, true, "WHERE j.id = ?"+sqlkit.Pick(s.dialect.Name == "sqlite", "", " FOR UPDATE"), id)
	if err != nil || len(list) == 0 {
		return nil, false, err
	}
	held = list[0]
	if held.Status.Terminal() || (held.Status != tracker.StatusQueued && strings.HasPrefix(held.UniqueKey, keyUntilRunning)) {
		return nil, false, nil
	}
	held.Coalesced = true
	if held.Status == tracker.StatusQueued && replaced.NotBefore.Before(held.NotBefore) && held.Epoch == 0 {
		at := replaced.NotBefore.UnixMicro()
		if err := conn.Exec(bringForward, at, at, at, at, at, id, at).Error; err != nil {
			return nil, false, err
		}
		held.NotBefore = replaced.NotBefore
		held.DueAt = earlier(held.DueAt, held.NotBefore)
		if !held.WakeAt.IsZero() {
			held.WakeAt = held.NotBefore
		}
	}
	return held, true, nil
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// takeKey gives the key to the job, if it is free or its holder is still the given one.
func (s *Store) takeKey(conn *sqlkit.Conn, job *Job, holder int64) (bool, error) {
	if holder != 0 {
		done := conn.Exec("UPDATE nawasync_keys SET job_id = ? WHERE unique_key = ? AND job_id = ?", job.ID, job.UniqueKey, holder)
		return done.RowsAffected > 0, done.Error
	}
	done := conn.Exec(s.insertIgnore()+" nawasync_keys (unique_key, job_id) VALUES (?, ?)"+s.onConflict(), job.UniqueKey, job.ID)
	return done.RowsAffected > 0, done.Error
}

// busyKey returns ErrKeyBusy for a lock that another transaction held for too long.
func busyKey(err error) error {
	if sqlkit.IsLockTimeout(err) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w: %w", ErrKeyBusy, err)
	}
	return err
}
