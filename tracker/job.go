package tracker

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/nawasara/nawasync/internal/jobrow"
)

// Job is one row of nawasync_jobs. Times are UTC, in whole microseconds; the
// zero time stands for "not yet". It is a copy: changing it changes no row.
type Job struct {
	ID int64 `json:"id"`

	Service  string `json:"service"`
	Type     string `json:"type"`
	Action   string `json:"action"`
	Instance string `json:"instance"` // "" where the service has only one
	TargetID string `json:"target_id"`
	Queue    string `json:"queue"`

	Status      Status `json:"status"`
	Epoch       int    `json:"epoch"`        // fences: rises each time the job goes back to the queue
	Attempt     int    `json:"attempt"`      // attempts consumed, the running one included
	MaxAttempts int    `json:"max_attempts"` // at least 1
	Wrote       bool   `json:"wrote"`        // an attempt announced a write to the remote

	Payload  json.RawMessage `json:"payload,omitempty"` // arguments as people may see them
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

	// The snapshot row the job changes, and the pending state it put that into: "" and
	// 0 where it changes none. Whoever ends the job ends the pending state too.
	SnapshotTable string    `json:"snapshot_table,omitempty"`
	SnapshotRow   int64     `json:"snapshot_row,omitempty"`
	SnapshotState SyncState `json:"snapshot_state,omitempty"`

	CreatedAt  time.Time     `json:"created_at"`
	UpdatedAt  time.Time     `json:"updated_at"`
	DueAt      time.Time     `json:"due_at"`              // when it was first due
	NotBefore  time.Time     `json:"not_before"`          // when it is due next
	StartedAt  time.Time     `json:"started_at,omitzero"` // of the last attempt
	DeadlineAt time.Time     `json:"deadline_at,omitzero"`
	FinishedAt time.Time     `json:"finished_at,omitzero"`
	CancelAt   time.Time     `json:"cancel_at,omitzero"`  // when somebody asked for its end
	DeletedAt  time.Time     `json:"deleted_at,omitzero"` // when a person took it off the lists
	Duration   time.Duration `json:"-"`                   // of the last attempt; in JSON duration_ms

	// Coalesced says that the dispatch found this open row under the same unique key and
	// added none.
	Coalesced bool `json:"coalesced,omitempty"`

	argumentsDropped bool
}

// MarshalJSON writes the duration of the last attempt as duration_ms.
func (j Job) MarshalJSON() ([]byte, error) {
	type plain Job
	return json.Marshal(struct {
		plain
		DurationMS int64 `json:"duration_ms,omitempty"`
	}{plain(j), j.Duration.Milliseconds()})
}

// Stuck reports whether the job runs past its timeout: its handler ignores its
// context, and keeps its slot and its lane until it returns.
func (j *Job) Stuck(now time.Time) bool {
	return j.Status == StatusRunning && !j.DeadlineAt.IsZero() && now.After(j.DeadlineAt)
}

// ArgumentsDropped reports whether the job had sealed arguments, which are no
// longer kept: its Payload, with secrets masked, is not what it ran with.
func (j *Job) ArgumentsDropped() bool { return j.argumentsDropped }

// ConflictValues are the values of a conflict's fields, by column: as the user saw them,
// as they were wanted, and as the remote had them. Values under secret keys are masked.
type ConflictValues struct {
	Base    map[string]json.RawMessage `json:"base"`
	Desired map[string]json.RawMessage `json:"desired"`
	Remote  map[string]json.RawMessage `json:"remote"`
}

// ConflictValues decodes Diff. It returns an error where the job keeps no values.
func (j *Job) ConflictValues() (v ConflictValues, err error) {
	if err := json.Unmarshal(j.Diff, &v); err != nil {
		return ConflictValues{}, fmt.Errorf("job %d keeps no values of a conflict: %w", j.ID, err)
	}
	return v, nil
}

// JobOf makes a Job of a stored row, for package jobstore.
func JobOf(r *jobrow.Row) Job {
	return Job{
		ID: r.ID, Service: r.Service, Type: r.Type, Action: r.Action, Instance: r.Instance, TargetID: r.TargetID, Queue: r.Queue,
		Status: Status(r.Status), Epoch: r.Epoch, Attempt: r.Attempt, MaxAttempts: r.MaxAttempts, Wrote: r.Wrote,
		Payload: r.Payload, Result: r.Result, Diff: r.Diff, Progress: r.Progress, Error: r.Error, ErrorClass: r.ErrorClass,
		TriggeredBy: r.TriggeredBy, TriggerSource: r.TriggerSource, RetryOf: r.RetryOf, CancelBy: r.CancelBy, Worker: r.Worker, Trace: r.Trace,
		SnapshotTable: r.SnapshotTable, SnapshotRow: r.SnapshotRow, SnapshotState: SyncState(r.SnapshotState),
		CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt, DueAt: r.DueAt, NotBefore: r.NotBefore, StartedAt: r.StartedAt, DeadlineAt: r.DeadlineAt,
		FinishedAt: r.FinishedAt, CancelAt: r.CancelAt, DeletedAt: r.DeletedAt, Duration: r.Duration,
		argumentsDropped: r.Sealed != nil && len(r.Sealed) == 0,
	}
}
