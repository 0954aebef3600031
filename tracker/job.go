package tracker

import (
	"database/sql"
	"encoding/json"
	"time"
)

// Job is one row of nawasync_jobs. Times are UTC, in whole microseconds; the
// zero time stands for "not yet". It is a copy: changing it changes no row.
type Job struct {
	ID        int64 `json:"id"`
	TargetKey int64 `json:"-"` // hash of service, type, instance and target id
	Lane      int64 `json:"-"` // jobs of one lane run one at a time, in order of id

	Service  string `json:"service"`
	Type     string `json:"type"`
	Action   string `json:"action"`
	Instance string `json:"instance"` // "" where the service has only one
	TargetID string `json:"target_id"`
	Queue    string `json:"queue"`

	Status      Status `json:"status"`
	Epoch       int    `json:"epoch"`        // fences: rises each time the job goes back to the queue
	Ring        int    `json:"ring"`         // how often this epoch was put into Redis
	Attempt     int    `json:"attempt"`      // attempts burned, the running one included
	MaxAttempts int    `json:"max_attempts"` // at least 1
	Wrote       bool   `json:"wrote"`        // an attempt announced a write to the remote

	Payload  json.RawMessage `json:"payload,omitempty"` // arguments as people may see them
	Sealed   []byte          `json:"-"`                 // encrypted arguments; nil when there never were any, empty when they are gone
	Result   json.RawMessage `json:"result,omitempty"`
	Diff     json.RawMessage `json:"diff,omitempty"` // of a conflict: base, desired, remote
	Progress json.RawMessage `json:"progress,omitempty"`

	Error      string `json:"error,omitempty"`
	ErrorClass string `json:"error_class,omitempty"`

	TriggeredBy   string `json:"triggered_by"`
	TriggerSource string `json:"trigger_source"`     // manual, scheduled, event, api, retry
	RetryOf       int64  `json:"retry_of,omitempty"` // 0 when it is no retry
	CancelBy      string `json:"cancel_by,omitempty"`
	Worker        string `json:"worker,omitempty"` // id of the process that ran it last
	Trace         string `json:"trace,omitempty"`  // W3C traceparent of the dispatch
	ActiveKey     string `json:"-"`

	// The snapshot row the job changes, and the pending state it put that into: "" and
	// 0 where it changes none. Whoever ends the job ends the pending state too.
	SnapshotTable string    `json:"snapshot_table,omitempty"`
	SnapshotRow   int64     `json:"snapshot_row,omitempty"`
	SnapshotState SyncState `json:"snapshot_state,omitempty"`

	CreatedAt  time.Time     `json:"created_at"`
	UpdatedAt  time.Time     `json:"updated_at"`
	DueAt      time.Time     `json:"due_at"`              // when it was first due
	NotBefore  time.Time     `json:"not_before"`          // when it is due next
	WakeAt     time.Time     `json:"-"`                   // when the relay looks at it next
	RungAt     time.Time     `json:"rung_at,omitzero"`    // when it was put into Redis
	StartedAt  time.Time     `json:"started_at,omitzero"` // of the last attempt
	DeadlineAt time.Time     `json:"deadline_at,omitzero"`
	FinishedAt time.Time     `json:"finished_at,omitzero"`
	CancelAt   time.Time     `json:"cancel_at,omitzero"`  // when somebody asked for its end
	DeletedAt  time.Time     `json:"deleted_at,omitzero"` // when a person took it off the lists
	Duration   time.Duration `json:"duration,omitempty"`  // of the last attempt

	// Coalesced says that Insert found this open row under the same unique key
	// and added none.
	Coalesced bool `json:"coalesced,omitempty"`
}

// Stuck reports whether the job runs past its timeout: its handler ignores its
// context, and keeps its slot and its lane until it returns.
func (j *Job) Stuck(now time.Time) bool {
	return j.Status == Running && !j.DeadlineAt.IsZero() && now.After(j.DeadlineAt)
}

func (j *Job) kind() string { return j.Service + "/" + j.Type + "/" + j.Action }

// ArgumentsDropped reports whether the job had sealed arguments, which are no
// longer kept: its Payload, with secrets masked, is not what it ran with.
func (j *Job) ArgumentsDropped() bool { return j.Sealed != nil && len(j.Sealed) == 0 }

// Joined reports whether the job has taken its place in its lane: it has come
// due once. A job dispatched with a delay has not, until it is due.
func (j *Job) Joined(now time.Time) bool {
	return j.Epoch > 0 || !j.NotBefore.After(now)
}

// Wide columns (arguments, texts) are read only where they are needed.
const (
	narrowColumns = `j.id, j.target_key, j.lane, j.service, j.type, j.action, j.instance, j.target_id, j.queue,
 j.status, j.epoch, j.ring, j.attempt, j.max_attempts, j.wrote, j.error_class, j.triggered_by, j.trigger_source,
 j.retry_of, j.cancel_by, j.worker, j.trace, j.active_key, j.created_at, j.updated_at, j.due_at, j.not_before,
 j.wake_at, j.rung_at, j.started_at, j.deadline_at, j.finished_at, j.cancel_at, j.duration_ms, j.error,
 j.snap_table, j.snap_row, j.snap_state, j.deleted_at`
	relayColumns = `j.id, j.lane, j.service, j.type, j.action, j.instance, j.queue, j.epoch, j.ring, j.created_at, j.not_before, j.rung_at`
	wideColumns  = `, j.payload, j.sealed, j.result, j.diff, j.progress`
)

// jobScan receives one row; extra takes columns selected after the job's own.
type jobScan struct {
	job                                           Job
	errorClass, cancelBy, worker, trace, key, err sql.NullString
	snapTable, snapState                          sql.NullString
	snapRow                                       sql.NullInt64
	retryOf, durationMS                           sql.NullInt64
	created, updated, due, notBefore              int64
	wake, rung, started, deadline, finished, ccl  sql.NullInt64
	deleted                                       sql.NullInt64
	payload, result, diff, progress               sql.NullString
}

func (s *jobScan) scan(rows *sql.Rows, wide bool, extra ...any) (*Job, error) {
	*s = jobScan{}
	j := &s.job
	into := []any{
		&j.ID, &j.TargetKey, &j.Lane, &j.Service, &j.Type, &j.Action, &j.Instance, &j.TargetID, &j.Queue,
		&j.Status, &j.Epoch, &j.Ring, &j.Attempt, &j.MaxAttempts, &j.Wrote, &s.errorClass, &j.TriggeredBy, &j.TriggerSource,
		&s.retryOf, &s.cancelBy, &s.worker, &s.trace, &s.key, &s.created, &s.updated, &s.due, &s.notBefore,
		&s.wake, &s.rung, &s.started, &s.deadline, &s.finished, &s.ccl, &s.durationMS, &s.err,
		&s.snapTable, &s.snapRow, &s.snapState, &s.deleted,
	}
	if wide {
		into = append(into, &s.payload, &j.Sealed, &s.result, &s.diff, &s.progress)
	}
	if err := rows.Scan(append(into, extra...)...); err != nil {
		return nil, err
	}
	j.ErrorClass, j.CancelBy, j.Worker, j.Trace, j.ActiveKey, j.Error = s.errorClass.String, s.cancelBy.String, s.worker.String, s.trace.String, s.key.String, s.err.String
	j.SnapshotTable, j.SnapshotRow, j.SnapshotState = s.snapTable.String, s.snapRow.Int64, SyncState(s.snapState.String)
	j.RetryOf, j.Duration = s.retryOf.Int64, time.Duration(s.durationMS.Int64)*time.Millisecond
	j.CreatedAt, j.UpdatedAt, j.DueAt, j.NotBefore = fromMicros(s.created), fromMicros(s.updated), fromMicros(s.due), fromMicros(s.notBefore)
	j.WakeAt, j.RungAt, j.StartedAt = fromMicros(s.wake.Int64), fromMicros(s.rung.Int64), fromMicros(s.started.Int64)
	j.DeadlineAt, j.FinishedAt, j.CancelAt = fromMicros(s.deadline.Int64), fromMicros(s.finished.Int64), fromMicros(s.ccl.Int64)
	j.DeletedAt = fromMicros(s.deleted.Int64)
	j.Payload, j.Result, j.Diff, j.Progress = rawJSON(s.payload), rawJSON(s.result), rawJSON(s.diff), rawJSON(s.progress)
	out := *j
	return &out, nil
}

// scanRelay reads relayColumns.
func scanRelay(rows *sql.Rows, extra ...any) (*Job, error) {
	j := &Job{Status: Queued}
	var created, notBefore int64
	var rung sql.NullInt64
	into := []any{&j.ID, &j.Lane, &j.Service, &j.Type, &j.Action, &j.Instance, &j.Queue, &j.Epoch, &j.Ring, &created, &notBefore, &rung}
	err := rows.Scan(append(into, extra...)...)
	j.CreatedAt, j.NotBefore, j.RungAt = fromMicros(created), fromMicros(notBefore), fromMicros(rung.Int64)
	return j, err
}

func rawJSON(s sql.NullString) json.RawMessage {
	if s.String == "" {
		return nil
	}
	return json.RawMessage(s.String)
}

// micros is how a time stands in the database; the zero time is NULL.
func micros(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

func fromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

func nullable(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// UniqueKey is the ActiveKey for a hash of what is unique: it is freed when the
// job ends, or already when it starts.
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
