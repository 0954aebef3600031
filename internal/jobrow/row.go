// Package jobrow reads the rows of nawasync_jobs with all their columns. Package tracker
// converts them to its public Job, package jobstore to the Job that the engine uses.
package jobrow

import (
	"database/sql"
	"encoding/json"
	"strings"
	"time"

	"github.com/nawasara/nawasync/internal/sqlkit"
)

// Private holds the columns that only the engine uses.
type Private struct {
	TargetKey  int64     // hash of service, type, instance and target id
	Lane       int64     // jobs of one lane run one at a time, in order of id
	InLane     bool      // the job has taken its place in its lane: it has been due once
	LeasesLost int       // how many attempts ended because their process lost its lease
	Sealed     []byte    // encrypted arguments; nil if the job never had any, empty if they were removed
	UniqueKey  string    // unique among open jobs; "" if the job has no unique key
	Bound      string    // of a host's own job on a snapshot row: the object that the row stood for, as JSON; "" for other jobs
	WakeAt     time.Time // from when the job may be claimed; zero if it may not, for example because another job of its lane is open
}

// Row is one row of nawasync_jobs. Times are UTC. The zero time stands for NULL.
type Row struct {
	Private

	ID                                                     int64
	Service, Type, Action, Instance, TargetID              string
	Queue, Status                                          string
	Epoch, Attempt, MaxAttempts                            int
	Wrote                                                  bool
	Payload, Result, Diff, Progress                        json.RawMessage
	Error, ErrorClass                                      string
	ErrorSignature                                         sql.NullInt64 // see package signature
	TriggeredBy, TriggerSource, CancelBy                   string
	RetryOf, RetriedAs, Original                           int64
	Worker, Trace                                          string
	SnapshotTable                                          string
	SnapshotRow                                            int64
	SnapshotState                                          string
	CreatedAt, UpdatedAt, DueAt, NotBefore                 time.Time
	StartedAt, DeadlineAt, FinishedAt, CancelAt, DeletedAt time.Time
	Duration                                               time.Duration
}

// The columns of a job j. The wide columns can be large and are read only if needed.
const (
	narrowColumns = `j.id, j.target_key, j.lane, j.service, j.type, j.action, j.instance, j.target_id, j.queue,
 j.status, j.epoch, j.in_lane, j.leases_lost, j.attempt, j.max_attempts, j.wrote, j.error_class, j.triggered_by, j.trigger_source,
 j.retry_of, j.retried_as, j.original, j.cancel_by, j.worker, j.trace, j.unique_key, j.created_at, j.updated_at, j.due_at, j.not_before,
 j.wake_at, j.started_at, j.deadline_at, j.finished_at, j.cancel_at, j.duration_ms, j.error,
 j.snap_table, j.snap_row, j.snap_state, j.snap_bound, j.deleted_at,
 j.error_signature`
	wideColumns = `, j.payload, j.sealed, j.result, j.diff, j.progress`
)

// Columns returns the columns of a job j that Scan reads, with or without the wide ones.
func Columns(wide bool) string {
	if wide {
		return narrowColumns + wideColumns
	}
	return narrowColumns
}

// Query returns the jobs that clause selects. The clause begins with WHERE or JOIN; in it, j is
// the alias of nawasync_jobs. If wide is false, the large columns are not read.
func Query(conn *sqlkit.Conn, wide bool, clause string, args ...any) ([]*Row, error) {
	var list []*Row
	err := sqlkit.Each(conn, func(rows *sql.Rows) error {
		row, err := Scan(rows, wide)
		list = append(list, row)
		return err
	}, "SELECT "+Columns(wide)+" FROM nawasync_jobs j "+clause, args...)
	return list, err
}

// Scan reads the current row, which must have the columns of Columns. Columns selected after
// them are read into extra.
func Scan(rows *sql.Rows, wide bool, extra ...any) (*Row, error) {
	var n struct { // a struct needs one allocation for all values that are converted
		errorClass, cancelBy, worker, trace, key, text, table, state, bound, payload, result, diff, progress sql.NullString

		row, retryOf, retriedAs, original, duration, wake, started, deadline, finished, cancel, deleted sql.NullInt64

		created, updated, due, notBefore int64
	}
	r := &Row{}
	into := []any{
		&r.ID, &r.TargetKey, &r.Lane, &r.Service, &r.Type, &r.Action, &r.Instance, &r.TargetID, &r.Queue,
		&r.Status, &r.Epoch, &r.InLane, &r.LeasesLost, &r.Attempt, &r.MaxAttempts, &r.Wrote, &n.errorClass, &r.TriggeredBy, &r.TriggerSource,
		&n.retryOf, &n.retriedAs, &n.original, &n.cancelBy, &n.worker, &n.trace, &n.key, &n.created, &n.updated, &n.due, &n.notBefore,
		&n.wake, &n.started, &n.deadline, &n.finished, &n.cancel, &n.duration, &n.text,
		&n.table, &n.row, &n.state, &n.bound, &n.deleted,
		&r.ErrorSignature,
	}
	if wide {
		into = append(into, &n.payload, &r.Sealed, &n.result, &n.diff, &n.progress)
	}
	if err := rows.Scan(append(into, extra...)...); err != nil {
		return nil, err
	}
	r.ErrorClass, r.CancelBy, r.Worker, r.Trace, r.UniqueKey, r.Error = n.errorClass.String, n.cancelBy.String, n.worker.String, n.trace.String, n.key.String,
		n.text.String
	r.SnapshotTable, r.SnapshotRow, r.SnapshotState = n.table.String, n.row.Int64, n.state.String
	r.Bound = n.bound.String
	r.RetryOf, r.RetriedAs, r.Original = n.retryOf.Int64, n.retriedAs.Int64, n.original.Int64
	r.Duration = time.Duration(n.duration.Int64) * time.Millisecond
	r.CreatedAt, r.UpdatedAt = sqlkit.FromMicros(n.created), sqlkit.FromMicros(n.updated)
	r.DueAt, r.NotBefore = sqlkit.FromMicros(n.due), sqlkit.FromMicros(n.notBefore)
	r.WakeAt = sqlkit.FromMicros(n.wake.Int64)
	r.StartedAt, r.DeadlineAt = sqlkit.FromMicros(n.started.Int64), sqlkit.FromMicros(n.deadline.Int64)
	r.FinishedAt, r.CancelAt, r.DeletedAt = sqlkit.FromMicros(n.finished.Int64), sqlkit.FromMicros(n.cancel.Int64), sqlkit.FromMicros(n.deleted.Int64)
	r.Payload, r.Result, r.Diff, r.Progress = sqlkit.RawJSON(n.payload), sqlkit.RawJSON(n.result), sqlkit.RawJSON(n.diff), sqlkit.RawJSON(n.progress)
	return r, nil
}

// ScanExtra reads only the columns selected after those of Columns into extra. The row of the job
// may then be NULL, as in an outer join. Scan can be called for the same row afterwards.
func ScanExtra(rows *sql.Rows, wide bool, extra ...any) error {
	into := make([]any, 0, 64)
	for range strings.Count(Columns(wide), ",") + 1 {
		into = append(into, ignored{})
	}
	return rows.Scan(append(into, extra...)...)
}

// ignored is the destination of a column that is not needed.
type ignored struct{}

// Scan does nothing.
func (ignored) Scan(any) error { return nil }
