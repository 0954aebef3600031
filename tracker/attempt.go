package tracker

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/nawasara/nawasync/internal/sqlkit"
)

// Attempt is one run of a job.
type Attempt struct {
	JobID      int64         `json:"job_id"`
	Epoch      int           `json:"epoch"`
	Attempt    int           `json:"attempt"` // from 1; an attempt that was not consumed has the same number as the next one
	StartedAt  time.Time     `json:"started_at"`
	EndedAt    time.Time     `json:"ended_at"`
	Duration   time.Duration `json:"-"` // duration_ms in JSON
	Outcome    Outcome       `json:"outcome"`
	Worker     string        `json:"worker"`
	ErrorClass string        `json:"error_class,omitempty"`
	Error      string        `json:"error,omitempty"`
	Stack      string        `json:"stack,omitempty"`
	Log        string        `json:"log,omitempty"`
	Calls      []Call        `json:"calls,omitempty"`      // of external APIs, at most MaxCallsKept
	MoreCalls  int           `json:"more_calls,omitempty"` // calls that are not stored, in the middle of Calls
}

// MarshalJSON writes the duration as duration_ms.
func (a Attempt) MarshalJSON() ([]byte, error) {
	type plain Attempt
	return json.Marshal(struct {
		plain
		DurationMS int64 `json:"duration_ms"`
	}{plain(a), a.Duration.Milliseconds()})
}

// Outcome says how an attempt ended.
type Outcome string

// The outcomes of an attempt. After the first five the job has ended, after the others it
// goes back to the queue.
const (
	OutcomeSuccess   Outcome = "success"
	OutcomeFailed    Outcome = "failed"
	OutcomeConflict  Outcome = "conflict"
	OutcomeSkipped   Outcome = "skipped"
	OutcomeCancelled Outcome = "cancelled"

	OutcomeRetry      Outcome = "retry"       // the attempt failed and the job has attempts left
	OutcomeRetryAfter Outcome = "retry_after" // the handler asked to run again later
	OutcomeParked     Outcome = "parked"      // the remote refused the credentials, limited the rate or could not be reached
	OutcomeStopped    Outcome = "stopped"     // the process stopped or lost its lease
	OutcomeReaped     Outcome = "reaped"      // the process died
	OutcomeDatabase   Outcome = "database"    // the engine's database was unreachable; the attempt is not consumed
)

// MaxAttemptsKept is how many attempts of one job are stored.
const MaxAttemptsKept = 20

// Attempts lists the stored attempts of a job, oldest first. Only the last MaxAttemptsKept
// are stored. A successful attempt without log lines and calls has no row of its own; Attempts derives
// it from the job. A limited Reader returns ErrNotFound for a job that it does not show.
func (r *Reader) Attempts(ctx context.Context, job *Job) ([]Attempt, error) {
	var list []Attempt
	if !r.limit.shows(job.Service, job.Instance) {
		return nil, fmt.Errorf("attempts of job %d: %w", job.ID, ErrNotFound)
	}
	err := sqlkit.Each(r.session(ctx), func(rows *sql.Rows) error {
		var a Attempt
		var started, ended, ms int64
		var class, text, stack, log, calls sql.NullString
		if err := rows.Scan(&a.JobID, &a.Epoch, &a.Attempt, &started, &ended, &ms, &a.Outcome, &a.Worker, &class, &text, &stack, &log, &calls); err != nil {
			return err
		}
		a.StartedAt, a.EndedAt, a.Duration = sqlkit.FromMicros(started), sqlkit.FromMicros(ended), time.Duration(ms)*time.Millisecond
		a.ErrorClass, a.Error, a.Stack, a.Log = class.String, text.String, stack.String, log.String
		err := a.setCalls(calls.String)
		list = append(list, a)
		return err
	}, "SELECT job_id, epoch, attempt, started_at, ended_at, duration_ms, outcome, worker, error_class, error, stack, log, calls FROM nawasync_attempts WHERE job_id = ? ORDER BY epoch", job.ID)
	if err != nil {
		return nil, fmt.Errorf("list attempts of job %d: %w", job.ID, err)
	}
	stored := len(list) > 0 && list[len(list)-1].Epoch == job.Epoch
	if job.Status == StatusSuccess && !stored && !job.StartedAt.IsZero() {
		list = append(list, Attempt{
			JobID: job.ID, Epoch: job.Epoch, Attempt: job.Attempt, StartedAt: job.StartedAt, EndedAt: job.FinishedAt,
			Duration: job.Duration, Outcome: OutcomeSuccess, Worker: job.Worker,
		})
	}
	return list, nil
}
