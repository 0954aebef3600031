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
	Attempt    int           `json:"attempt"` // the number of the attempt; one that was not consumed shares it with the next
	StartedAt  time.Time     `json:"started_at"`
	EndedAt    time.Time     `json:"ended_at"`
	Duration   time.Duration `json:"-"` // in JSON duration_ms
	Outcome    Outcome       `json:"outcome"`
	Worker     string        `json:"worker"`
	ErrorClass string        `json:"error_class,omitempty"`
	Error      string        `json:"error,omitempty"`
	Stack      string        `json:"stack,omitempty"`
	Log        string        `json:"log,omitempty"`
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

// The outcomes of an attempt: those that end the job, and those after which it goes back
// to the queue.
const (
	OutcomeSuccess   Outcome = "success"
	OutcomeFailed    Outcome = "failed"
	OutcomeConflict  Outcome = "conflict"
	OutcomeSkipped   Outcome = "skipped"
	OutcomeCancelled Outcome = "cancelled"

	OutcomeRetry      Outcome = "retry"       // it failed, and has attempts left
	OutcomeRetryAfter Outcome = "retry_after" // the handler asked to run again later
	OutcomeParked     Outcome = "parked"      // the remote refused credentials, or a limit was met
	OutcomeStopped    Outcome = "stopped"     // its process stopped, or lost its lease
	OutcomeReaped     Outcome = "reaped"      // its process died
)

// MaxAttemptsKept is how many attempts of one job are kept.
const MaxAttemptsKept = 20

// Attempts lists what is known of a job's attempts, oldest first, at most the last
// MaxAttemptsKept.
func (r *Reader) Attempts(ctx context.Context, job *Job) ([]Attempt, error) {
	var list []Attempt
	err := sqlkit.Each(r.session(ctx), func(rows *sql.Rows) error {
		var a Attempt
		var started, ended, ms int64
		var class, text, stack, log sql.NullString
		if err := rows.Scan(&a.JobID, &a.Epoch, &a.Attempt, &started, &ended, &ms, &a.Outcome, &a.Worker, &class, &text, &stack, &log); err != nil {
			return err
		}
		a.StartedAt, a.EndedAt, a.Duration = sqlkit.FromMicros(started), sqlkit.FromMicros(ended), time.Duration(ms)*time.Millisecond
		a.ErrorClass, a.Error, a.Stack, a.Log = class.String, text.String, stack.String, log.String
		list = append(list, a)
		return nil
	}, "SELECT job_id, epoch, attempt, started_at, ended_at, duration_ms, outcome, worker, error_class, error, stack, log FROM nawasync_attempts WHERE job_id = ? ORDER BY epoch", job.ID)
	if err != nil {
		return nil, fmt.Errorf("read the attempts of job %d: %w", job.ID, err)
	}
	known := len(list) > 0 && list[len(list)-1].Epoch == job.Epoch
	if job.Status == StatusSuccess && !known && !job.StartedAt.IsZero() {
		list = append(list, Attempt{
			JobID: job.ID, Epoch: job.Epoch, Attempt: job.Attempt, StartedAt: job.StartedAt, EndedAt: job.FinishedAt,
			Duration: job.Duration, Outcome: OutcomeSuccess, Worker: job.Worker,
		})
	}
	return list, nil
}
