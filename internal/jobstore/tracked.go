package jobstore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/jobrow"
	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

// A tracked row shows what happens to a task of a host's own asynq queue. asynq delivers the task
// and decides about its attempts; the row only follows. Therefore no worker may claim the row (its
// wake_at is NULL), no reaper may take it back (its running_lane is NULL), and it has no place in a
// lane (its in_lane is FALSE). Its open_lane has a value while it is open, so that lists find it.

// Delivery says how asynq delivers a task to a handler.
type Delivery struct {
	Key         string // see TrackedKey
	Row         int64  // the row that AddTracked added for the task, or 0
	Again       bool   // asynq has delivered the task before
	Attempt     int    // from 1
	MaxAttempts int
	Worker      string
	StartedAt   time.Time
	DeadlineAt  time.Time // zero if the attempt has no deadline
}

// TrackedKey returns the unique key of the row of a task.
func TrackedKey(queue, task string) string {
	sum := sha256.Sum256([]byte(queue + "\x00" + task))
	return "a:" + hex.EncodeToString(sum[:16])
}

var (
	// errDeliveredTwice means that another process has taken the key of a task at the same moment.
	errDeliveredTwice = errors.New("asynq delivers the task to two handlers at once")
	// errLateDelivery means that a later attempt of the task has begun while this one waited for the
	// database.
	errLateDelivery = errors.New("asynq has delivered the task again in the meantime")
)

// lateDelivery is by how much another attempt must have started later to count as later. Clocks of two
// machines may differ by less.
const lateDelivery = time.Second

// BeginTracked starts an attempt of a task's row and returns it. If the task has no row yet, or only
// one that has ended, it adds fresh. If the row is still running, the process of that attempt has
// died, or could not write how the attempt ended: that attempt ends as reaped. If the row was
// cancelled, BeginTracked starts nothing and returns it with that status.
func (s *Store) BeginTracked(ctx context.Context, fresh *Job, d Delivery) (job *Job, err error) {
	err = s.RetryTx(ctx, func(tx *gorm.DB) error {
		added := *fresh
		job, err = s.beginTracked(ctx, tx, &added, d)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("track a task: %w", err)
	}
	return job, nil
}

func (s *Store) beginTracked(ctx context.Context, tx *gorm.DB, fresh *Job, d Delivery) (*Job, error) {
	conn := sqlkit.Connect(ctx, tx)
	job, holder, err := s.trackedJob(conn, fresh.TargetKey, d)
	switch {
	case err != nil:
		return nil, err
	case job != nil && job.StartedAt.Sub(d.StartedAt) > lateDelivery:
		return nil, errLateDelivery
	case job == nil || job.Status.Terminal():
		if job != nil && (d.Again || job.ID == d.Row) {
			if job.Status == tracker.StatusCancelled {
				return job, nil
			}
			fresh.RetryOf, fresh.Original = job.ID, job.OriginalID()
		}
		job, err = fresh, s.insertTracked(conn, fresh, d, holder)
		if err == nil && fresh.RetryOf != 0 {
			err = conn.Exec(setRetriedAs, fresh.ID, fresh.RetryOf).Error
		}
	case job.Status == tracker.StatusRunning:
		job, err = s.endLostAttempt(ctx, tx, job, d.StartedAt)
	}
	if err != nil || job.Status.Terminal() {
		return job, err
	}
	job.Status, job.Attempt, job.MaxAttempts, job.Worker = tracker.StatusRunning, d.Attempt, d.MaxAttempts, d.Worker
	job.StartedAt, job.DeadlineAt, job.WakeAt, job.InLane = d.StartedAt.UTC().Truncate(time.Microsecond), d.DeadlineAt, time.Time{}, false
	return job, conn.Exec(startTracked, job.Attempt, job.MaxAttempts, job.StartedAt.UnixMicro(), sqlkit.Micros(job.DeadlineAt), s.Now().UnixMicro(), job.Worker,
		job.ID).Error
}

// endLostAttempt ends an attempt of which nobody has written an outcome, and returns the job as it is
// then.
func (s *Store) endLostAttempt(ctx context.Context, tx *gorm.DB, job *Job, now time.Time) (*Job, error) {
	results, err := s.SettleTx(ctx, tx, []*Outcome{{
		Job: job, Status: tracker.StatusQueued, Attempt: tracker.OutcomeReaped, ErrorClass: "worker_died", Now: now,
		Error: fmt.Sprintf("asynq delivered the task again although %s has not recorded how this attempt ended: the process died, or could not reach the database", job.Worker),
	}})
	if err != nil {
		return nil, err
	}
	if !results[0].Won {
		return nil, lockedJob(job.ID)
	}
	return results[0].Job, nil
}

// trackedJob returns the row of a task and locks it if it is open, or nil if the task has none.
// holder is the job that has the task's key, or 0.
func (s *Store) trackedJob(conn *sqlkit.Conn, targetKey int64, d Delivery) (job *Job, holder int64, err error) {
	if holder, err = s.keyHolder(conn, d.Key, ""); err != nil {
		return nil, 0, err
	}
	id := holder
	if id == 0 {
		id = d.Row
	}
	if id == 0 && d.Again {
		// The pruner deletes the keys of ended jobs.
		if id, err = s.endedTracked(conn, targetKey, d.Key); err != nil {
			return nil, 0, err
		}
	}
	if id == 0 {
		return nil, 0, nil
	}
	list, err := s.query(conn, true, "WHERE j.id = ?"+sqlkit.Pick(s.dialect.Name == "sqlite", "", " FOR UPDATE"), id)
	if err != nil || len(list) == 0 {
		return nil, holder, err
	}
	return list[0], holder, nil
}

// endedTracked looks for the ended row of a task among the last rows of its target.
func (s *Store) endedTracked(conn *sqlkit.Conn, targetKey int64, key string) (id int64, err error) {
	ids, err := sqlkit.Column[int64](conn, "SELECT id FROM (SELECT id, unique_key FROM nawasync_jobs WHERE target_key = ? AND finished_at IS NOT NULL ORDER BY id DESC LIMIT 100) t"+
		" WHERE unique_key = ? ORDER BY id DESC LIMIT 1", targetKey, key)
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	return ids[0], nil
}

func (s *Store) insertTracked(conn *sqlkit.Conn, job *Job, d Delivery, holder int64) error {
	s.prepareTracked(job, d.StartedAt)
	job.UniqueKey = d.Key
	if err := s.insertMany(conn, []*Job{job}); err != nil {
		return err
	}
	taken, err := s.takeKey(conn, job, holder)
	if err == nil && !taken {
		err = errDeliveredTwice
	}
	if err != nil || job.Sealed == nil || len(job.Sealed) > 0 {
		return err
	}
	return conn.Exec(markDropped, job.ID).Error // an INSERT stores empty bytes as NULL
}

// prepareTracked sets the columns that keep a new row away from workers, reapers and lanes.
func (s *Store) prepareTracked(job *Job, now time.Time) {
	now = now.UTC().Truncate(time.Microsecond)
	job.Lane = jobrow.NamedLane(job.Service, "\x00asynq") // no job can name this lane
	job.Status, job.CreatedAt, job.UpdatedAt, job.NotBefore, job.DueAt = tracker.StatusQueued, now, now, now, now
	job.WakeAt, job.InLane = time.Time{}, false
}

// AddTracked adds the row of a task that the caller is about to enqueue and that follows an ended job. If
// an open job already does, or holds the row's UniqueKey, it returns that job, with Coalesced set, and adds
// no row.
func (s *Store) AddTracked(ctx context.Context, job *Job, f FollowUp) (added *Job, err error) {
	err = s.RetryTx(ctx, func(tx *gorm.DB) error {
		if added, err = s.CheckFollowUp(ctx, tx, f); err != nil || added != nil {
			return err
		}
		fresh := *job
		s.prepareTracked(&fresh, s.Now())
		if added, err = s.insertUnique(sqlkit.Connect(ctx, tx), &fresh); err != nil {
			return err
		}
		return s.LinkFollowUp(ctx, tx, f, added)
	})
	return added, err
}

// SettleTracked writes the outcome of an attempt of a tracked row, like Settle. The row of a task
// that asynq delivers again waits for that and stays invisible to workers.
func (s *Store) SettleTracked(ctx context.Context, out *Outcome) (settled Settled, err error) {
	err = s.RetryTx(ctx, func(tx *gorm.DB) error {
		results, err := s.SettleTx(ctx, tx, []*Outcome{out})
		if err != nil {
			return err
		}
		if settled = results[0]; settled.Won {
			settled.Job.WakeAt = time.Time{}
			return sqlkit.Connect(ctx, tx).Exec(hideTracked, out.Job.ID).Error
		}
		return nil
	})
	if err == nil && settled.locked {
		err = lockedJob(out.Job.ID)
	}
	return settled, err
}
