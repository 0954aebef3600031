package tracker

import (
	"cmp"
	"encoding/json"
	"fmt"
	"time"

	"github.com/nawasara/nawasync/internal/jobrow"
	"github.com/nawasara/nawasync/internal/signature"
)

// Job is a copy of one row of nawasync_jobs; changing it does not change the row. Times are
// UTC, in whole microseconds. The zero time means "not yet".
type Job struct {
	ID int64 `json:"id"`

	Service  string `json:"service"`
	Type     string `json:"type"`
	Action   string `json:"action"`
	Instance string `json:"instance"` // "" if the service has only one
	TargetID string `json:"target_id"`
	Queue    string `json:"queue"`

	Status      Status `json:"status"`
	Epoch       int    `json:"epoch"`        // rises each time the job goes back to the queue; fences off older attempts
	Attempt     int    `json:"attempt"`      // number of attempts consumed, including the running one
	MaxAttempts int    `json:"max_attempts"` // at least 1
	Wrote       bool   `json:"wrote"`        // an attempt announced a write to the remote

	Payload  json.RawMessage `json:"payload,omitempty"` // the arguments, with secrets masked
	Result   json.RawMessage `json:"result,omitempty"`
	Diff     json.RawMessage `json:"diff,omitempty"` // base, desired and remote of a conflict
	Progress json.RawMessage `json:"progress,omitempty"`

	Error      string `json:"error,omitempty"`
	ErrorClass string `json:"error_class,omitempty"`
	// ErrorGroup is the ErrorGroup.ID of a job that failed or ended in conflict. It is "" for other jobs, and
	// for those that ended before errors were grouped.
	ErrorGroup string `json:"error_group,omitempty"`

	TriggeredBy   string `json:"triggered_by"`
	TriggerSource string `json:"trigger_source"`     // manual, scheduled, event, api, retry
	RetryOf       int64  `json:"retry_of,omitempty"` // the job that this job retries, or 0
	// RetriedAs is the job that follows this ended one, or 0: its retry, or the answer to its conflict. It is 0 again
	// when that job is cancelled.
	RetriedAs int64 `json:"retried_as,omitempty"`
	// Original is the first job of the chain of retries that the job belongs to, or 0 if it retries none. It asked
	// for the change: jobs of one target are newer or older by it.
	Original int64  `json:"original,omitempty"`
	CancelBy string `json:"cancel_by,omitempty"`
	Worker   string `json:"worker,omitempty"` // id of the process that ran the job last
	Trace    string `json:"trace,omitempty"`  // W3C traceparent of the dispatch; further headers, such as tracestate, are a line each

	// The snapshot row that the job changes, and the pending state that the dispatch gave the
	// row. All three are zero if the job changes no row. The pending state ends with the job.
	SnapshotTable string    `json:"snapshot_table,omitempty"`
	SnapshotRow   int64     `json:"snapshot_row,omitempty"`
	SnapshotState SyncState `json:"snapshot_state,omitempty"`
	// OwnJob is set for a host's own job on the row, which RepositoryWriter.Dispatch has added. If it does not mark the
	// row, SnapshotState is empty.
	OwnJob bool `json:"own_job,omitempty"`

	CreatedAt  time.Time     `json:"created_at"`
	UpdatedAt  time.Time     `json:"updated_at"`
	DueAt      time.Time     `json:"due_at"`               // when the job was first due
	NotBefore  time.Time     `json:"not_before"`           // when the job is due next
	StartedAt  time.Time     `json:"started_at,omitzero"`  // start of the last attempt
	DeadlineAt time.Time     `json:"deadline_at,omitzero"` // timeout of the last attempt
	FinishedAt time.Time     `json:"finished_at,omitzero"`
	CancelAt   time.Time     `json:"cancel_at,omitzero"`  // when an operator asked to cancel the job
	DeletedAt  time.Time     `json:"deleted_at,omitzero"` // when an operator deleted the job
	Duration   time.Duration `json:"-"`                   // duration of the last attempt; duration_ms in JSON

	// Coalesced is set if the dispatch added no row because this open job has the same unique
	// key.
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

// Stuck reports whether the job still runs past its timeout. That happens when the handler
// ignores its context. The job keeps its worker slot and its lane until the handler returns.
func (j *Job) Stuck(now time.Time) bool {
	return j.Status == StatusRunning && !j.DeadlineAt.IsZero() && now.After(j.DeadlineAt)
}

// OriginalID returns Original, or the id of a job that retries none.
func (j *Job) OriginalID() int64 {
	return cmp.Or(j.Original, j.RetryOf, j.ID) // rows from before schema version 8 have no Original
}

// ArgumentsDropped reports whether the job had sealed arguments that have been removed. Its
// Payload has the secrets masked, so the job cannot run again with it.
func (j *Job) ArgumentsDropped() bool { return j.argumentsDropped }

// ConflictValues holds the conflicting fields by column: the base that the user saw, the
// desired values, and the values of the remote. Values under secret keys are masked.
type ConflictValues struct {
	Base    map[string]json.RawMessage `json:"base"`
	Desired map[string]json.RawMessage `json:"desired"`
	Remote  map[string]json.RawMessage `json:"remote"`
	// Author is who changed the object on the remote; "" if the remote does not tell.
	Author string `json:"author"`
	// Answers is for package mirror, which carries out the answers to a conflict.
	Answers ConflictAnswers `json:"answers"`
}

// ConflictAnswers says which answers to a conflict are possible.
type ConflictAnswers struct {
	// Accept says that the remote's values can be accepted as what was asked for.
	Accept bool `json:"accept,omitempty"`
	// Update is the action of the job that writes the wanted values to an object that the job itself has
	// created. It is empty for other jobs, and if a creation has stored no object in the row.
	Update string `json:"update,omitempty"`
	// Digests allows to compare values that Remote has masked or shortened.
	Digests []ValueDigest `json:"digests,omitempty"`
}

// ValueDigest is a keyed digest of the value that a column had on the remote.
type ValueDigest struct {
	Column string `json:"column"`
	Digest string `json:"digest"`
	Short  bool   `json:"short,omitempty"` // Remote has only the beginning of the value
}

// ConflictValues decodes Diff. It returns an error if the job has no conflict values.
func (j *Job) ConflictValues() (v ConflictValues, err error) {
	if err := json.Unmarshal(j.Diff, &v); err != nil {
		return ConflictValues{}, fmt.Errorf("decode conflict values of job %d: %w", j.ID, err)
	}
	return v, nil
}

// InConflict reports whether the job ended in a conflict over values of a snapshot row, which can be answered.
func (j *Job) InConflict() bool {
	return j.Status == StatusConflict && j.SnapshotState != "" && !j.OwnJob
}

// Overwritable reports whether the wanted values can be written to the object of the job's conflict. After a
// creation that found an object of another client they cannot: nothing but the remote's values can be kept.
func (j *Job) Overwritable() bool {
	if j.SnapshotState != StatePendingCreate {
		return true
	}
	values, err := j.ConflictValues()
	return err == nil && values.Answers.Update != ""
}

// JobOf converts a stored row to a Job. It is for package jobstore.
func JobOf(r *jobrow.Row) Job {
	group := ""
	if r.ErrorSignature.Valid {
		group = signature.ID(r.ErrorSignature.Int64)
	}
	return Job{
		ID: r.ID, Service: r.Service, Type: r.Type, Action: r.Action, Instance: r.Instance, TargetID: r.TargetID, Queue: r.Queue,
		Status: Status(r.Status), Epoch: r.Epoch, Attempt: r.Attempt, MaxAttempts: r.MaxAttempts, Wrote: r.Wrote,
		Payload: r.Payload, Result: r.Result, Diff: r.Diff, Progress: r.Progress, Error: r.Error, ErrorClass: r.ErrorClass, ErrorGroup: group,
		TriggeredBy: r.TriggeredBy, TriggerSource: r.TriggerSource, RetryOf: r.RetryOf, RetriedAs: r.RetriedAs, Original: r.Original,
		CancelBy: r.CancelBy, Worker: r.Worker, Trace: r.Trace,
		SnapshotTable: r.SnapshotTable, SnapshotRow: r.SnapshotRow, SnapshotState: SyncState(r.SnapshotState), OwnJob: r.Bound != "",
		CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt, DueAt: r.DueAt, NotBefore: r.NotBefore, StartedAt: r.StartedAt, DeadlineAt: r.DeadlineAt,
		FinishedAt: r.FinishedAt, CancelAt: r.CancelAt, DeletedAt: r.DeletedAt, Duration: r.Duration,
		argumentsDropped: r.Sealed != nil && len(r.Sealed) == 0,
	}
}
