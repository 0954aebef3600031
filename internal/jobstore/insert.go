package jobstore

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

// insertColumns are the columns that an INSERT sets. All others are NULL or have their default.
var insertColumns = []string{
	"target_key", "lane", "open_lane", "wake_at", "not_before", "due_at", "rung_at", "created_at", "updated_at", "retry_of",
	"epoch", "ring", "attempt", "max_attempts", "status", "service", "type", "action", "instance", "target_id", "queue",
	"active_key", "triggered_by", "trigger_source", "trace", "payload", "sealed",
	"snap_table", "snap_row", "snap_state",
}

var insertRow = "(" + strings.Repeat("?, ", len(insertColumns)-1) + "?)"

// insertChunk is how many rows one INSERT adds. It keeps the statement below SQLite's limit of
// 32,766 parameters.
const insertChunk = 500

// Insert adds new rows in tx, which is the caller's transaction or the Store's own database. It
// fills in ID, Status and times. Up to wakeUps due rows are inserted as already woken: after
// the commit, the caller puts their tasks into Redis. A row whose ActiveKey another open job
// holds is not added. Insert puts that other job into the slice instead and marks it Coalesced.
func (s *Store) Insert(ctx context.Context, tx *gorm.DB, jobs []*Job, wakeUps int) error {
	tx = sqlkit.Session(ctx, tx)
	now := s.Now()
	s.setNewRows(jobs, now, wakeUps)
	var plain []*Job
	for i, job := range jobs {
		if job.ActiveKey == "" {
			plain = append(plain, job)
			continue
		}
		held, err := s.insertUnique(tx, job)
		if err != nil {
			return fmt.Errorf("insert job: %w", err)
		}
		jobs[i] = held
	}
	for len(plain) > 0 {
		n := min(len(plain), insertChunk)
		if err := s.insertMany(tx, plain[:n]); err != nil {
			return fmt.Errorf("insert jobs: %w", err)
		}
		plain = plain[n:]
	}
	return nil
}

// InsertOwn is Insert outside of any caller's transaction. It commits all rows or none.
func (s *Store) InsertOwn(ctx context.Context, jobs []*Job, wakeUps int) error {
	if len(jobs) == 1 && (jobs[0].ActiveKey == "" || s.dialect.Name != "mysql") {
		unlock, err := s.lockWriter(ctx)
		if err != nil {
			return err
		}
		defer unlock()
		return s.Insert(ctx, s.db, jobs, wakeUps)
	}
	return s.RetryTx(ctx, func(tx *gorm.DB) error {
		again := slices.Clone(jobs) // each try needs the original jobs: Insert replaces coalesced ones
		err := s.Insert(ctx, tx, again, wakeUps)
		copy(jobs, again)
		return err
	})
}

// setNewRows sets the status, times and wake-ups of new rows. Of several due rows of one lane,
// only the first gets a wake-up. Its completion wakes the next one: all rows become visible in
// the same commit, so no completion can miss them.
func (s *Store) setNewRows(jobs []*Job, now time.Time, wakeUps int) {
	heads := map[int64]bool{}
	for _, job := range jobs {
		job.Status, job.CreatedAt, job.UpdatedAt = tracker.StatusQueued, now, now
		if job.NotBefore.Before(now) {
			job.NotBefore = now
		}
		job.NotBefore = job.NotBefore.UTC().Truncate(time.Microsecond)
		job.DueAt = job.NotBefore
		due := !job.NotBefore.After(now)
		switch {
		case !due:
			job.WakeAt = job.NotBefore
		case heads[job.Lane] && job.ActiveKey == "":
			job.WakeAt = time.Time{}
		case wakeUps > 0:
			wakeUps--
			job.WakeAt, job.RungAt, job.Ring = now.Add(s.recheck), now, 1
		default:
			job.WakeAt = now
		}
		// A row with an ActiveKey might turn out to be a duplicate and not be inserted, so no
		// other row can rely on its completion.
		if due && job.ActiveKey == "" {
			heads[job.Lane] = true
		}
	}
}

func insertValues(j *Job) []any {
	return []any{
		j.TargetKey, j.Lane, j.Lane, sqlkit.Micros(j.WakeAt), sqlkit.Micros(j.NotBefore), sqlkit.Micros(j.DueAt), sqlkit.Micros(j.RungAt), sqlkit.Micros(j.CreatedAt),
		sqlkit.Micros(j.UpdatedAt), sqlkit.NullID(j.RetryOf),
		j.Epoch, j.Ring, j.Attempt, j.MaxAttempts, string(j.Status), j.Service, j.Type, j.Action, j.Instance, j.TargetID, j.Queue,
		sqlkit.NullText(j.ActiveKey), j.TriggeredBy, j.TriggerSource, sqlkit.NullText(j.Trace), sqlkit.NullText(string(j.Payload)), sqlkit.NullBytes(j.Sealed),
		sqlkit.NullText(j.SnapshotTable), sqlkit.NullID(j.SnapshotRow), sqlkit.NullText(string(j.SnapshotState)),
	}
}

func (s *Store) insertMany(tx *gorm.DB, jobs []*Job) error {
	query := "INSERT INTO nawasync_jobs (" + strings.Join(insertColumns, ", ") + ") VALUES " +
		strings.TrimSuffix(strings.Repeat(insertRow+", ", len(jobs)), ", ")
	args := make([]any, 0, len(jobs)*len(insertColumns))
	for _, job := range jobs {
		args = append(args, insertValues(job)...)
	}
	if !s.dialect.Returning {
		first, err := execID(tx, query, args)
		if err != nil {
			return err
		}
		step := int64(1)
		if len(jobs) > 1 {
			if err := tx.Raw("SELECT @@auto_increment_increment").Row().Scan(&step); err != nil {
				return err
			}
		}
		for i, job := range jobs {
			job.ID = first + int64(i)*step
		}
		return nil
	}
	i := 0
	err := sqlkit.Each(tx, func(rows *sql.Rows) error {
		if i >= len(jobs) {
			return fmt.Errorf("the database returned more than %d ids", len(jobs))
		}
		i++
		return rows.Scan(&jobs[i-1].ID)
	}, query+" RETURNING id", args...)
	if err == nil && i != len(jobs) {
		err = fmt.Errorf("the database returned %d ids for %d rows", i, len(jobs))
	}
	return err
}

// execID runs an INSERT and returns the id of its first row, which gorm's Exec does not return.
// MySQL numbers the rows of one INSERT consecutively because it knows their count in advance.
func execID(tx *gorm.DB, query string, args []any) (int64, error) {
	result, err := tx.Statement.ConnPool.ExecContext(tx.Statement.Context, query, args...)
	if err != nil {
		return 0, err
	}
	return result.LastInsertId()
}

// insertUnique inserts the job unless another open job holds its ActiveKey. The unique index
// decides. It returns the job that holds the key, which may be the new one.
func (s *Store) insertUnique(tx *gorm.DB, job *Job) (*Job, error) {
	query := "INSERT INTO nawasync_jobs (" + strings.Join(insertColumns, ", ") + ") VALUES " + insertRow
	for range 10 {
		if s.dialect.Returning {
			found := false
			err := sqlkit.Each(tx, func(rows *sql.Rows) error {
				found = true
				return rows.Scan(&job.ID)
			}, query+" ON CONFLICT DO NOTHING RETURNING id", insertValues(job)...)
			if err != nil {
				return nil, err
			}
			if found {
				return job, nil
			}
		} else {
			// For a duplicate, the UPDATE must change the row: MySQL then reports 2 affected
			// rows, and 1 for an insert. Without a change, it reports 1 as well if clientFoundRows=true.
			result, err := tx.Statement.ConnPool.ExecContext(tx.Statement.Context,
				query+" ON DUPLICATE KEY UPDATE updated_at = updated_at + 1", insertValues(job)...)
			if err != nil {
				return nil, err
			}
			if added, err := result.RowsAffected(); err != nil {
				return nil, err
			} else if added == 1 {
				job.ID, err = result.LastInsertId()
				return job, err
			}
		}
		// On MySQL the read must lock: a plain read in the caller's transaction may not see
		// a row that another transaction has just committed.
		held, err := s.query(tx, true, "WHERE j.active_key = ?"+sqlkit.Pick(s.dialect.Name == "mysql", " FOR UPDATE", ""), job.ActiveKey)
		if err != nil {
			return nil, err
		}
		if len(held) == 1 {
			held[0].Coalesced = true
			return held[0], nil
		}
		// The job that held the key finished between the two statements. Try again.
	}
	return nil, fmt.Errorf("unique key %q: other jobs held and released the key 10 times during the insert; dispatch again", job.ActiveKey)
}

// UniqueKey returns the ActiveKey for a hash of what must be unique. The job holds the key
// until it finishes or, with untilRunning, only until it starts.
func UniqueKey(hash string, untilRunning bool) string {
	if untilRunning {
		return keyUntilRunning + hash
	}
	return keyUntilEnded + hash
}

const (
	keyUntilRunning = "r:"
	keyUntilEnded   = "e:"
)
