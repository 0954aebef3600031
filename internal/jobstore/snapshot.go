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

	"github.com/nawasara/nawasync/internal/jobrow"
	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

// snapshotError says that the statements on a job's snapshot row failed.
type snapshotError struct {
	table string
	err   error
}

func (e *snapshotError) Error() string { return "snapshot row in " + e.table + ": " + e.err.Error() }

func (e *snapshotError) Unwrap() error { return e.err }

// snapshotChanges reports whether the ending of the job changes a snapshot row.
func (s *Store) snapshotChanges(j *Job) bool {
	if j.SnapshotTable == "" || j.SnapshotState == "" {
		return false
	}
	since, lost := s.lostTables.Load(j.SnapshotTable)
	return !lost || s.Now().Sub(since.(time.Time)) > lostTableRetry
}

// lockSnapshots takes the rows before the jobs, in one order, as a dispatch does:
// two endings of one row would otherwise wait for each other.
func (s *Store) lockSnapshots(tx *gorm.DB, outcomes []*Outcome) error {
	if s.dialect.Name == "sqlite" {
		return nil
	}
	var jobs []*Job
	for _, v := range outcomes {
		if s.snapshotChanges(v.Job) {
			jobs = append(jobs, v.Job)
		}
	}
	slices.SortFunc(jobs, func(a, b *Job) int {
		return cmp.Or(cmp.Compare(a.SnapshotTable, b.SnapshotTable), cmp.Compare(a.SnapshotRow, b.SnapshotRow))
	})
	for _, j := range jobs {
		err := sqlkit.Each(tx, func(*sql.Rows) error { return nil }, "SELECT id FROM "+s.quote(j.SnapshotTable)+" WHERE id = ? FOR UPDATE", j.SnapshotRow)
		if err != nil {
			return &snapshotError{j.SnapshotTable, err}
		}
	}
	return nil
}

// settleSnapshots takes the rows out of their pending states, in the transaction
// of the outcomes: no registered kind is needed, so whoever ends a job can. A
// newer job's pending state stays.
func (s *Store) settleSnapshots(ctx context.Context, tx *gorm.DB, ended []*Outcome) error {
	for _, v := range ended {
		if !v.Status.Terminal() || !s.snapshotChanges(v.Job) {
			continue
		}
		if err := s.settleSnapshot(ctx, tx, v); err != nil {
			return &snapshotError{v.Job.SnapshotTable, err}
		}
	}
	return nil
}

func (s *Store) settleSnapshot(ctx context.Context, tx *gorm.DB, v *Outcome) error {
	j := v.Job
	table := s.quote(j.SnapshotTable)
	if v.Status == tracker.StatusSuccess {
		// What was written besides is the job's own affair, in OnSuccess.
		return tx.Exec("UPDATE "+table+" SET sync_status = ?, sync_error = NULL WHERE id = ? AND sync_job_id = ?", tracker.StateSynced, j.SnapshotRow, j.ID).Error
	}
	if j.Status == tracker.StatusQueued {
		// An earlier job of the row may be open still: then the row waits for that one.
		handed, err := s.returnToDesired(tx, table, j)
		if handed || err != nil {
			return err
		}
	}
	text := valueOrZero(cleanOutcome(v.Error, tracker.MaxError))
	switch v.Status {
	case tracker.StatusCancelled, tracker.StatusSkipped:
		if !j.Wrote {
			return s.restore(tx, table, j)
		}
		text = "its outcome at the remote is not known: " + text
	case tracker.StatusConflict:
		return tx.Exec("UPDATE "+table+" SET sync_status = ?, sync_error = ? WHERE id = ? AND sync_job_id = ?", tracker.StateConflict, text, j.SnapshotRow,
			j.ID).Error
	case tracker.StatusFailed, tracker.StatusSuccess, tracker.StatusQueued, tracker.StatusRunning:
	}
	err := tx.Exec("UPDATE "+table+" SET sync_status = ?, sync_error = ? WHERE id = ? AND sync_job_id = ?", tracker.StateFailed, text, j.SnapshotRow, j.ID).Error
	if err != nil || !j.Wrote {
		return err
	}
	return s.Insert(ctx, tx, []*Job{refreshJob(j)}, 0)
}

// returnToDesired gives the row to the newest of the other open jobs that change it.
func (s *Store) returnToDesired(tx *gorm.DB, table string, j *Job) (bool, error) {
	lane, id := s.dialect.LaneRows()
	var other sql.NullInt64
	var state sql.NullString
	err := tx.Raw("SELECT h.id, h.snap_state FROM "+lane+" WHERE h.open_lane = ? AND h.id <> ? AND h.snap_state IS NOT NULL ORDER BY "+id+" DESC LIMIT 1", j.Lane,
		j.ID).
		Row().Scan(&other, &state)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, tx.Exec("UPDATE "+table+" SET sync_status = ?, sync_job_id = ? WHERE id = ? AND sync_job_id = ?", state.String, other.Int64, j.SnapshotRow,
		j.ID).Error
}

// restore undoes a change that never began: the row is what it was before. One
// that was to be created never was.
func (s *Store) restore(tx *gorm.DB, table string, j *Job) error {
	if j.SnapshotState != tracker.StatePendingCreate {
		return tx.Exec("UPDATE "+table+" SET sync_status = CASE WHEN last_synced_at IS NULL OR sync_error IS NOT NULL THEN ? WHEN missing_since IS NOT NULL THEN ? ELSE ? END WHERE id = ? AND sync_job_id = ?",
			tracker.StateFailed, tracker.StateMissing, tracker.StateSynced, j.SnapshotRow, j.ID).Error
	}
	if err := tx.Exec("DELETE FROM "+table+" WHERE id = ? AND sync_job_id = ? AND last_synced_at IS NULL", j.SnapshotRow, j.ID).Error; err != nil {
		return err
	}
	return tx.Exec("UPDATE "+table+" SET sync_status = ? WHERE id = ? AND sync_job_id = ?", tracker.StateMissing, j.SnapshotRow, j.ID).Error
}

// refreshJob looks what became of a write whose outcome is not known.
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

// MarkPending puts the job's snapshot row into its pending state. What was wrong with
// it before is kept, for the case that the job is called off.
func (s *Store) MarkPending(ctx context.Context, tx *gorm.DB, j *Job) error {
	if !s.snapshotChanges(j) {
		return nil
	}
	return sqlkit.Session(ctx, tx).Exec("UPDATE "+s.quote(j.SnapshotTable)+" SET sync_status = ?, sync_job_id = ? WHERE id = ?", j.SnapshotState, j.ID,
		j.SnapshotRow).Error
}

// LockRow locks a snapshot row until the end of tx, before a job is added that
// changes it, and returns its state, "" where there is no such row. The state is read
// with the lock: in a host's transaction a plain read may see an older one.
func (s *Store) LockRow(ctx context.Context, tx *gorm.DB, table string, row int64) (state tracker.SyncState, err error) {
	err = sqlkit.Each(sqlkit.Session(ctx, tx), func(rows *sql.Rows) error { return rows.Scan(&state) },
		"SELECT sync_status FROM "+s.quote(table)+" WHERE id = ?"+sqlkit.Pick(s.dialect.Name == "sqlite", "", " FOR UPDATE"), row)
	if err != nil {
		return "", fmt.Errorf("lock row %d of %s: %w", row, table, err)
	}
	return state, nil
}

// OpenOn lists the open jobs that change a snapshot row, oldest first, with their
// arguments.
func (s *Store) OpenOn(ctx context.Context, tx *gorm.DB, lane int64) ([]*Job, error) {
	list, err := s.query(sqlkit.Session(ctx, tx), true, "WHERE j.open_lane = ? AND j.snap_state IS NOT NULL ORDER BY j.id"+
		sqlkit.Pick(s.dialect.Name == "mysql", " FOR UPDATE", ""), lane)
	if err != nil {
		return nil, fmt.Errorf("look for open jobs of a row: %w", err)
	}
	return list, nil
}

// forgetLostTable notes that a snapshot table is gone, or has not the columns any more: a
// job must be able to end all the same. It reports whether that was it.
func (s *Store) forgetLostTable(err error) bool {
	var failed *snapshotError
	if !errors.As(err, &failed) || !sqlkit.IsUndefined(failed.err) {
		return false
	}
	s.lostTables.Store(failed.table, s.Now())
	return true
}

// lostTableRetry is how long a table that was not there is not asked for again.
const lostTableRetry = time.Minute
