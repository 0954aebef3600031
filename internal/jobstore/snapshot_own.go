package jobstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/jobrow"
	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

// A host's own job on a row changes no column of the row, so it says less about the row than a change does. It marks
// a row only if no change has failed, and gives the row back when a change that ran before it ends without success:
// the row then shows what the change left. Nothing follows its end.

// markOwn makes a row pending for an own job, unless the row shows how a change ended. tx must hold the row's lock.
func (s *Store) markOwn(conn *sqlkit.Conn, j *Job) error {
	table := s.quote(j.SnapshotTable)
	holder, err := s.ownHolder(conn, table, j.SnapshotRow)
	if err != nil {
		return err
	}
	return conn.Exec("UPDATE "+table+" SET sync_status = ?, sync_job_id = ? WHERE id = ? AND sync_status <> ? AND (sync_job_id = ? OR "+
		"(sync_error IS NULL AND sync_status IN ('synced', 'missing', 'pending_create', 'pending_update')))", j.SnapshotState, j.ID, j.SnapshotRow, tracker.StateDeleted,
		holder).Error
}

// ownHolder returns the own job that marked a row last, or 0 if another job did.
func (s *Store) ownHolder(conn *sqlkit.Conn, table string, row int64) (id int64, err error) {
	err = conn.Row("SELECT j.id FROM "+table+" t JOIN nawasync_jobs j ON j.id = t.sync_job_id WHERE t.id = ? AND j.snap_bound IS NOT NULL", row).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return id, err
}

// takeBack takes a row from the own job that holds it, for a change of the row that ends without success: for the
// newest open change or, without one, for the change itself.
func (s *Store) takeBack(conn *sqlkit.Conn, table string, j *Job) error {
	holder, err := s.ownHolder(conn, table, j.SnapshotRow)
	if holder == 0 || err != nil {
		return err
	}
	next, state := sql.NullInt64{Int64: j.ID}, sql.NullString{String: string(j.SnapshotState)}
	lane, id := s.dialect.LaneRows()
	err = conn.Row("SELECT h.id, h.snap_state FROM "+lane+" WHERE h.open_lane = ? AND h.id <> ? AND h.snap_state IS NOT NULL AND h.snap_bound IS NULL ORDER BY "+id+
		" DESC LIMIT 1", j.Lane, j.ID).Scan(&next, &state)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	return conn.Exec("UPDATE "+table+" SET sync_status = ?, sync_job_id = ? WHERE id = ? AND sync_job_id = ? AND sync_status <> ?", state.String, next.Int64,
		j.SnapshotRow, holder, tracker.StateDeleted).Error
}

// settleOwn moves the row of an own job out of the pending state that the job gave it.
func (s *Store) settleOwn(conn *sqlkit.Conn, out *Outcome) error {
	j, table := out.Job, s.quote(out.Job.SnapshotTable)
	handed, err := s.handToOpenJob(conn, table, j)
	if handed || err != nil {
		return err
	}
	text := valueOrZero(cleanOutcome(out.Error, tracker.MaxError))
	switch out.Status {
	case tracker.StatusSuccess: // an error of the row is one of an earlier own job
		err := conn.Exec("UPDATE "+table+" SET sync_error = NULL WHERE id = ? AND sync_job_id = ? AND sync_status <> ?", j.SnapshotRow, j.ID, tracker.StateDeleted).Error
		if err != nil {
			return err
		}
		return s.restore(conn, table, j)
	case tracker.StatusCancelled, tracker.StatusSkipped:
		if !j.Wrote {
			return s.restore(conn, table, j)
		}
		text = "the outcome on the remote is unknown: " + text
	case tracker.StatusFailed, tracker.StatusConflict, tracker.StatusQueued, tracker.StatusRunning:
	}
	return conn.Exec("UPDATE "+table+" SET sync_status = ?, sync_error = ? WHERE id = ? AND sync_job_id = ? AND sync_status <> ?", tracker.StateFailed, text, j.SnapshotRow,
		j.ID, tracker.StateDeleted).Error
}

// CreationOf returns the open job that creates the object of a snapshot row. Without one, it returns the newest ended
// one with a target key, or 0 if there is none.
func (s *Store) CreationOf(ctx context.Context, tx *gorm.DB, targetKey int64, table string, row int64) (id int64, err error) {
	conn := sqlkit.Connect(ctx, tx)
	lane, order := s.dialect.LaneRows()
	lock := sqlkit.Pick(s.dialect.Name == "mysql", " FOR UPDATE", "") // in the host's transaction, a plain read may miss the job
	err = conn.Row("SELECT h.id FROM "+lane+" WHERE h.open_lane = ? AND h.snap_state = 'pending_create' ORDER BY "+order+" DESC LIMIT 1"+lock,
		jobrow.RowLane(table, row)).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		var ended sql.NullInt64
		err = conn.Row("SELECT MAX(id) FROM nawasync_jobs WHERE target_key = ? AND finished_at IS NOT NULL AND snap_table = ? AND snap_row = ? AND snap_state = 'pending_create'",
			targetKey, table, row).Scan(&ended)
		id = ended.Int64
	}
	if err != nil {
		return 0, fmt.Errorf("look for the job that creates row %d of %s: %w", row, table, err)
	}
	return id, nil
}
