package jobstore

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/jobrow"
	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

// snapshotError means that a statement on a job's snapshot row failed.
type snapshotError struct {
	table string
	err   error
}

func (e *snapshotError) Error() string { return "snapshot row in " + e.table + ": " + e.err.Error() }

func (e *snapshotError) Unwrap() error { return e.err }

// snapshotChanges reports whether an outcome of the job changes a snapshot row. It returns false
// if the table was found to be missing less than lostTableRetry ago.
func (s *Store) snapshotChanges(j *Job) bool {
	if j.SnapshotTable == "" || j.SnapshotState == "" {
		return false
	}
	since, lost := s.lostTables.Load(j.SnapshotTable)
	if !lost {
		return true
	}
	age := s.Now().Sub(since.(time.Time))
	return age < 0 || age > lostTableRetry // negative after the clock was set back
}

// lockSnapshots locks the snapshot rows of the jobs, sorted by table and id. It must
// be called before the job rows are locked. Dispatches lock in the same order, so two
// transactions that change the same rows cannot deadlock.
func (s *Store) lockSnapshots(conn *sqlkit.Conn, outcomes []*Outcome) error {
	if s.dialect.Name == "sqlite" {
		return nil
	}
	var jobs []*Job
	for _, out := range outcomes {
		if s.snapshotChanges(out.Job) {
			jobs = append(jobs, out.Job)
		}
	}
	slices.SortFunc(jobs, func(a, b *Job) int {
		return cmp.Or(cmp.Compare(a.SnapshotTable, b.SnapshotTable), cmp.Compare(a.SnapshotRow, b.SnapshotRow))
	})
	for _, j := range jobs {
		if err := s.lockSnapshot(conn, s.quote(j.SnapshotTable), j.SnapshotRow); err != nil {
			return &snapshotError{j.SnapshotTable, err}
		}
	}
	return nil
}

// lockSnapshot locks a row, or returns a LockedError if another transaction has locked it. A row that
// was deleted needs no lock.
func (s *Store) lockSnapshot(conn *sqlkit.Conn, table string, row int64) error {
	const where = " WHERE id = ?"
	lock := "SELECT id FROM " + table + where + s.dialect.SkipLocked()
	if s.limitsIdle {
		lock = "SELECT t.id FROM " + s.idleLimited() + table + " t WHERE t.id = ? FOR UPDATE OF t SKIP LOCKED"
	}
	ids, err := sqlkit.Column[int64](conn, lock, row)
	if err != nil || len(ids) > 0 {
		return err
	}
	ids, err = sqlkit.Column[int64](conn, "SELECT id FROM "+table+where, row)
	if err == nil && len(ids) > 0 {
		err = &LockedError{fmt.Sprintf("row %d of %s", row, table), table, row}
	}
	return err
}

// settleSnapshots moves the snapshot rows of finished jobs out of their pending states, in the
// transaction of the outcomes. Any process can do so, because the kinds of the jobs need not be
// registered. A pending state that a newer job has set stays.
func (s *Store) settleSnapshots(conn *sqlkit.Conn, outcomes []*Outcome) error {
	for _, out := range outcomes {
		if !out.Status.Terminal() || !s.snapshotChanges(out.Job) {
			continue
		}
		if err := s.settleSnapshot(conn, out); err != nil {
			return &snapshotError{out.Job.SnapshotTable, err}
		}
	}
	return nil
}

func (s *Store) settleSnapshot(conn *sqlkit.Conn, out *Outcome) error {
	j := out.Job
	if j.Bound != "" {
		return s.settleOwn(conn, out)
	}
	table := s.quote(j.SnapshotTable)
	if out.Status == tracker.StatusSuccess {
		// The job's OnSuccess function writes all other columns. It has marked the row of a deleted object.
		return conn.Exec("UPDATE "+table+" SET sync_status = ?, sync_error = NULL WHERE id = ? AND sync_job_id = ? AND sync_status <> ?", tracker.StateSynced,
			j.SnapshotRow, j.ID, tracker.StateDeleted).Error
	}
	if err := s.takeBack(conn, table, j); err != nil {
		return err
	}
	if j.Status == tracker.StatusQueued {
		// Another job that changes the row may still be open. The row then waits for that job.
		handed, err := s.handToOpenJob(conn, table, j)
		if handed || err != nil {
			return err
		}
	}
	text := valueOrZero(cleanOutcome(out.Error, tracker.MaxError))
	switch out.Status {
	case tracker.StatusCancelled, tracker.StatusSkipped:
		if !j.Wrote {
			return s.restore(conn, table, j)
		}
		text = "the outcome on the remote is unknown: " + text
	case tracker.StatusConflict:
		return s.fail(conn, j, tracker.StateConflict, text)
	case tracker.StatusFailed, tracker.StatusSuccess, tracker.StatusQueued, tracker.StatusRunning:
	}
	if err := s.fail(conn, j, tracker.StateFailed, text); err != nil {
		return err
	}
	refresh := j.Wrote
	if !refresh && out.ErrorClass == string(fault.ClassGone) { // the refresh marks the row missing, unless it was deleted
		rows, err := sqlkit.Column[int64](conn, "SELECT id FROM "+table+" WHERE id = ? AND sync_job_id = ? AND last_synced_at IS NOT NULL", j.SnapshotRow, j.ID)
		if err != nil {
			return err
		}
		refresh = len(rows) > 0
	}
	if !refresh {
		return nil
	}
	return s.insert(conn, []*Job{refreshJob(j)})
}

// fail puts the snapshot row of a job without success into a state. The row of a failed creation gives
// up its name: it no longer stands for an object that has that name.
func (s *Store) fail(conn *sqlkit.Conn, j *Job, state tracker.SyncState, text any) error {
	table := s.quote(j.SnapshotTable)
	if j.SnapshotState == tracker.StatePendingCreate { // also if a job that waits behind it has marked the row since
		identity := jobrow.RowIdentity(j.SnapshotRow)
		if err := conn.Exec("UPDATE "+table+" SET identity = ? WHERE id = ? AND last_synced_at IS NULL", identity[:], j.SnapshotRow).Error; err != nil {
			return err
		}
	}
	// A row that waits for a newer job stays pending and keeps the error: it shows the error again if the newer
	// job ends without a change.
	return conn.Exec("UPDATE "+table+" SET sync_status = CASE WHEN sync_job_id = ? THEN ? ELSE sync_status END, sync_error = ?"+
		" WHERE id = ? AND (sync_job_id = ? OR sync_status IN ('pending_create', 'pending_update', 'pending_delete'))",
		j.ID, state, text, j.SnapshotRow, j.ID).Error
}

// handToOpenJob makes the snapshot row pending for the newest other open job that changes it. It
// reports whether there is such a job. A host's own job keeps no row whose creation never began.
func (s *Store) handToOpenJob(conn *sqlkit.Conn, table string, j *Job) (bool, error) {
	lane, id := s.dialect.LaneRows()
	var other sql.NullInt64
	var state sql.NullString
	condition := sqlkit.Pick(j.SnapshotState == tracker.StatePendingCreate, " AND h.snap_bound IS NULL", "")
	err := conn.Row("SELECT h.id, h.snap_state FROM "+lane+" WHERE h.open_lane = ? AND h.id <> ? AND h.snap_state IS NOT NULL"+condition+" ORDER BY "+id+" DESC LIMIT 1",
		j.Lane, j.ID).Scan(&other, &state)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, conn.Exec("UPDATE "+table+" SET sync_status = ?, sync_job_id = ? WHERE id = ? AND sync_job_id = ?", state.String, other.Int64, j.SnapshotRow,
		j.ID).Error
}

// restore gives the snapshot row the state that it had before a change that was never started.
// A row that only waited for its creation is deleted.
func (s *Store) restore(conn *sqlkit.Conn, table string, j *Job) error {
	if j.SnapshotState != tracker.StatePendingCreate {
		return conn.Exec("UPDATE "+table+" SET sync_status = CASE WHEN last_synced_at IS NULL OR sync_error IS NOT NULL THEN ? WHEN missing_since IS NOT NULL THEN ? ELSE ? END WHERE id = ? AND sync_job_id = ?",
			tracker.StateFailed, tracker.StateMissing, tracker.StateSynced, j.SnapshotRow, j.ID).Error
	}
	if err := conn.Exec("DELETE FROM "+table+" WHERE id = ? AND sync_job_id = ? AND last_synced_at IS NULL", j.SnapshotRow, j.ID).Error; err != nil {
		return err
	}
	return conn.Exec("UPDATE "+table+" SET sync_status = ? WHERE id = ? AND sync_job_id = ?", tracker.StateMissing, j.SnapshotRow, j.ID).Error
}

// refreshJob returns a job that reads the remote object again, after a write whose outcome is
// unknown.
func refreshJob(j *Job) *Job {
	return &Job{
		Job: tracker.Job{
			Service: j.Service, Type: j.Type, Action: tracker.RefreshAction, Instance: j.Instance, TargetID: j.TargetID,
			Queue: j.Queue, MaxAttempts: 3, TriggeredBy: "nawasync", TriggerSource: "event", Payload: []byte(fmt.Sprintf(`{"row":%d}`, j.SnapshotRow)),
			SnapshotTable: j.SnapshotTable, SnapshotRow: j.SnapshotRow,
		},
		Private: jobrow.Private{TargetKey: j.TargetKey, Lane: j.Lane},
	}
}

// MarkPending puts the job's snapshot row into the job's pending state. It keeps the error of the
// row: if the job is cancelled, the row shows that error again. A deleted row stays as it is.
func (s *Store) MarkPending(ctx context.Context, tx *gorm.DB, j *Job) error {
	if !s.snapshotChanges(j) {
		return nil
	}
	if j.Bound != "" {
		return s.markOwn(sqlkit.Connect(ctx, tx), j)
	}
	return sqlkit.Connect(ctx, tx).Exec("UPDATE "+s.quote(j.SnapshotTable)+" SET sync_status = ?, sync_job_id = ? WHERE id = ? AND sync_status <> ?", j.SnapshotState, j.ID,
		j.SnapshotRow, tracker.StateDeleted).Error
}

// LockRow locks a snapshot row until tx ends and returns its state, or "" when there is no such
// row. Call it before adding a job that changes the row. The locking statement also reads the
// state: in the host's transaction, a plain read may return an older one.
func (s *Store) LockRow(ctx context.Context, tx *gorm.DB, table string, row int64) (state tracker.SyncState, err error) {
	err = sqlkit.Each(sqlkit.Connect(ctx, tx), func(rows *sql.Rows) error { return rows.Scan(&state) },
		"SELECT sync_status FROM "+s.quote(table)+" WHERE id = ?"+sqlkit.Pick(s.dialect.Name == "sqlite", "", " FOR UPDATE"), row)
	if err != nil {
		return "", fmt.Errorf("lock row %d of %s: %w", row, table, err)
	}
	return state, nil
}

// OpenOn lists the open jobs of a lane that change a snapshot row, oldest first and with their
// arguments. The jobs that change one snapshot row share a lane.
func (s *Store) OpenOn(ctx context.Context, tx *gorm.DB, lane int64) ([]*Job, error) {
	list, err := s.query(sqlkit.Connect(ctx, tx), true, "WHERE j.open_lane = ? AND j.snap_state IS NOT NULL ORDER BY j.id"+
		sqlkit.Pick(s.dialect.Name == "mysql", " FOR UPDATE", ""), lane)
	if err != nil {
		return nil, fmt.Errorf("list open jobs of a snapshot row: %w", err)
	}
	return list, nil
}

// forgetLostTable reports whether err means that a snapshot table or one of its columns no longer
// exists. It then has later outcomes ignore the table for lostTableRetry, so that jobs can
// finish without it.
func (s *Store) forgetLostTable(err error) bool {
	var failed *snapshotError
	if !errors.As(err, &failed) || !sqlkit.IsUndefined(failed.err) {
		return false
	}
	s.lostTables.Store(failed.table, s.Now())
	return true
}

// lostTableRetry is how long a missing snapshot table is ignored before it is tried again.
const lostTableRetry = time.Minute
