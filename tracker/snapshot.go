package tracker

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"
)

// SyncState is where a snapshot row stands against the remote.
type SyncState string

// The states of a snapshot row.
const (
	StateSynced        SyncState = "synced"         // as the remote last said
	StatePendingCreate SyncState = "pending_create" // a job is to make it there
	StatePendingUpdate SyncState = "pending_update" // a job is to change it there
	StatePendingDelete SyncState = "pending_delete" // a job is to delete it there
	StateFailed        SyncState = "failed"         // its last change failed; sync_error says why
	StateConflict      SyncState = "conflict"       // somebody else changed it there; a person decides
	StateMissing       SyncState = "missing"        // the last complete listing did not have it
)

// Pending reports whether a job is open that changes the row.
func (s SyncState) Pending() bool {
	return s == StatePendingCreate || s == StatePendingUpdate || s == StatePendingDelete
}

// RefreshAction is the action of jobs that read one object anew.
const RefreshAction = "refresh"

// snapshotError says that the statements on a job's snapshot row failed.
type snapshotError struct {
	table string
	err   error
}

func (e *snapshotError) Error() string { return "snapshot row in " + e.table + ": " + e.err.Error() }

func (e *snapshotError) Unwrap() error { return e.err }

// changes reports whether the ending of the job changes a snapshot row.
func (s *Store) changes(j *Job) bool {
	if j.SnapshotTable == "" || j.SnapshotState == "" {
		return false
	}
	since, lost := s.lostTables.Load(j.SnapshotTable)
	return !lost || s.Now().Sub(since.(time.Time)) > lostFor
}

// lockSnapshots takes the rows before the jobs, in one order, as a dispatch does:
// two endings of one row would otherwise wait for each other.
func (s *Store) lockSnapshots(tx *gorm.DB, verdicts []*Verdict) error {
	if s.dialect.name == "sqlite" {
		return nil
	}
	var jobs []*Job
	for _, v := range verdicts {
		if s.changes(v.Job) {
			jobs = append(jobs, v.Job)
		}
	}
	slices.SortFunc(jobs, func(a, b *Job) int {
		return cmp.Or(cmp.Compare(a.SnapshotTable, b.SnapshotTable), cmp.Compare(a.SnapshotRow, b.SnapshotRow))
	})
	for _, j := range jobs {
		err := each(tx, func(*sql.Rows) error { return nil }, "SELECT id FROM "+s.quote(j.SnapshotTable)+" WHERE id = ? FOR UPDATE", j.SnapshotRow)
		if err != nil {
			return &snapshotError{j.SnapshotTable, err}
		}
	}
	return nil
}

// settleSnapshots takes the rows out of their pending states, in the transaction
// of the verdicts: no registered kind is needed, so whoever ends a job can. A
// newer job's pending state stays.
func (s *Store) settleSnapshots(ctx context.Context, tx *gorm.DB, ended []*Verdict) error {
	for _, v := range ended {
		if !v.Status.Terminal() || !s.changes(v.Job) {
			continue
		}
		if err := s.settle(ctx, tx, v); err != nil {
			return &snapshotError{v.Job.SnapshotTable, err}
		}
	}
	return nil
}

func (s *Store) settle(ctx context.Context, tx *gorm.DB, v *Verdict) error {
	j := v.Job
	table := s.quote(j.SnapshotTable)
	if v.Status == Success {
		// What was written besides is the job's own affair, in OnSuccess.
		return tx.Exec("UPDATE "+table+" SET sync_status = ?, sync_error = NULL WHERE id = ? AND sync_job_id = ?", StateSynced, j.SnapshotRow, j.ID).Error
	}
	if j.Status == Queued {
		// An earlier job of the row may be open still: then the row waits for that one.
		handed, err := s.handBack(tx, table, j)
		if handed || err != nil {
			return err
		}
	}
	text := deref(clean(v.Error, MaxError))
	switch v.Status {
	case Cancelled, Skipped:
		if !j.Wrote {
			return s.restore(tx, table, j)
		}
		text = "its outcome at the remote is not known: " + text
	case Conflict:
		return tx.Exec("UPDATE "+table+" SET sync_status = ?, sync_error = ? WHERE id = ? AND sync_job_id = ?", StateConflict, text, j.SnapshotRow, j.ID).Error
	case Failed, Success, Queued, Running:
	}
	err := tx.Exec("UPDATE "+table+" SET sync_status = ?, sync_error = ? WHERE id = ? AND sync_job_id = ?", StateFailed, text, j.SnapshotRow, j.ID).Error
	if err != nil || !j.Wrote {
		return err
	}
	return s.Insert(ctx, tx, []*Job{refreshJob(j)}, 0)
}

// handBack gives the row to the newest of the other open jobs that change it.
func (s *Store) handBack(tx *gorm.DB, table string, j *Job) (bool, error) {
	lane, id := s.dialect.laneRows()
	var other sql.NullInt64
	var state sql.NullString
	err := tx.Raw("SELECT h.id, h.snap_state FROM "+lane+" WHERE h.open_lane = ? AND h.id <> ? AND h.snap_state IS NOT NULL ORDER BY "+id+" DESC LIMIT 1", j.Lane, j.ID).
		Row().Scan(&other, &state)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, tx.Exec("UPDATE "+table+" SET sync_status = ?, sync_job_id = ? WHERE id = ? AND sync_job_id = ?", state.String, other.Int64, j.SnapshotRow, j.ID).Error
}

// restore undoes a change that never began: the row is what it was before. One
// that was to be created never was.
func (s *Store) restore(tx *gorm.DB, table string, j *Job) error {
	if j.SnapshotState != StatePendingCreate {
		return tx.Exec("UPDATE "+table+" SET sync_status = CASE WHEN last_synced_at IS NULL OR sync_error IS NOT NULL THEN ? WHEN missing_since IS NOT NULL THEN ? ELSE ? END WHERE id = ? AND sync_job_id = ?",
			StateFailed, StateMissing, StateSynced, j.SnapshotRow, j.ID).Error
	}
	if err := tx.Exec("DELETE FROM "+table+" WHERE id = ? AND sync_job_id = ? AND last_synced_at IS NULL", j.SnapshotRow, j.ID).Error; err != nil {
		return err
	}
	return tx.Exec("UPDATE "+table+" SET sync_status = ? WHERE id = ? AND sync_job_id = ?", StateMissing, j.SnapshotRow, j.ID).Error
}

// refreshJob looks what became of a write whose outcome is not known.
func refreshJob(j *Job) *Job {
	return &Job{
		TargetKey: j.TargetKey, Lane: j.Lane, Service: j.Service, Type: j.Type, Action: RefreshAction, Instance: j.Instance, TargetID: j.TargetID,
		Queue: j.Queue, MaxAttempts: 3, TriggeredBy: "nawasync", TriggerSource: "event", Payload: []byte(fmt.Sprintf(`{"row":%d}`, j.SnapshotRow)),
		SnapshotTable: j.SnapshotTable, SnapshotRow: j.SnapshotRow,
	}
}

// MarkPending puts the job's snapshot row into its pending state. What was wrong with
// it before is kept, for the case that the job is called off.
func (s *Store) MarkPending(ctx context.Context, tx *gorm.DB, j *Job) error {
	if !s.changes(j) {
		return nil
	}
	return session(ctx, tx).Exec("UPDATE "+s.quote(j.SnapshotTable)+" SET sync_status = ?, sync_job_id = ? WHERE id = ?", j.SnapshotState, j.ID, j.SnapshotRow).Error
}

// LockRow locks a snapshot row until the end of tx, before a job is added that
// changes it, and returns its state, "" where there is no such row. The state is read
// with the lock: in a host's transaction a plain read may see an older one.
func (s *Store) LockRow(ctx context.Context, tx *gorm.DB, table string, row int64) (state SyncState, err error) {
	err = each(session(ctx, tx), func(rows *sql.Rows) error { return rows.Scan(&state) },
		"SELECT sync_status FROM "+s.quote(table)+" WHERE id = ?"+pick(s.dialect.name == "sqlite", "", " FOR UPDATE"), row)
	if err != nil {
		return "", fmt.Errorf("nawasync: lock row %d of %s: %w", row, table, err)
	}
	return state, nil
}

// OpenOn lists the open jobs that change a snapshot row, oldest first, with their
// arguments.
func (s *Store) OpenOn(ctx context.Context, tx *gorm.DB, lane int64) ([]*Job, error) {
	list, err := s.jobs(session(ctx, tx), true, "WHERE j.open_lane = ? AND j.snap_state IS NOT NULL ORDER BY j.id"+pick(s.dialect.name == "mysql", " FOR UPDATE", ""), lane)
	if err != nil {
		return nil, fmt.Errorf("nawasync: look for open jobs of a row: %w", err)
	}
	return list, nil
}

// dropLost notes that a snapshot table is gone, or has not the columns any more: a
// job must be able to end all the same. It reports whether that was it.
func (s *Store) dropLost(err error) bool {
	var failed *snapshotError
	if !errors.As(err, &failed) || !undefined(failed.err) {
		return false
	}
	s.lostTables.Store(failed.table, s.Now())
	return true
}

// lostFor is how long a table that was not there is not asked for again.
const lostFor = time.Minute

// undefined reports that a table or a column does not exist.
func undefined(err error) bool {
	var state interface{ SQLState() string }
	if errors.As(err, &state) {
		return state.SQLState() == "42P01" || state.SQLState() == "42703"
	}
	text := err.Error()
	for _, known := range []string{"Error 1146 ", "Error 1054 ", "no such table", "no such column"} {
		if strings.Contains(text, known) {
			return true
		}
	}
	return false
}

func (s *Store) quote(table string) string { return s.db.Statement.Quote(table) }
