package tracker

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"gorm.io/gorm"
)

// Attempt is one run of a job.
type Attempt struct {
	JobID      int64         `json:"job_id"`
	Epoch      int           `json:"epoch"`
	Attempt    int           `json:"attempt"` // which burned attempt it was, or would have been
	StartedAt  time.Time     `json:"started_at"`
	EndedAt    time.Time     `json:"ended_at"`
	Duration   time.Duration `json:"duration"`
	Outcome    string        `json:"outcome"` // success, failed, retry, stopped, parked, reaped, conflict, skipped, cancelled
	Worker     string        `json:"worker"`
	ErrorClass string        `json:"error_class,omitempty"`
	Error      string        `json:"error,omitempty"`
	Stack      string        `json:"stack,omitempty"`
	Log        string        `json:"log,omitempty"`
}

// KeepAttempts is how many attempts of one job are kept.
const KeepAttempts = 20

// insertAttempts writes what the job's own row does not say. Of a success without
// log lines it says all, and most jobs end so: they cost no second row.
func (s *Store) insertAttempts(tx *gorm.DB, verdicts []*Verdict) error {
	const row = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
	var values []string
	var args []any
	var crowded []*Verdict
	for _, v := range verdicts {
		if v.Job.Status != Running || (v.Status == Success && v.Log == "") {
			continue
		}
		values = append(values, row)
		args = append(args, v.Job.ID, v.Job.Epoch, v.Job.Attempt, micros(v.Job.StartedAt), micros(v.Now), max(0, v.Now.Sub(v.Job.StartedAt)).Milliseconds(),
			v.outcome(), v.Job.Worker, clean(v.ErrorClass, 30), clean(v.Error, MaxError), clean(v.Stack, MaxStack), clean(v.Log, MaxLog))
		if v.Job.Epoch >= KeepAttempts {
			crowded = append(crowded, v)
		}
	}
	if len(values) == 0 {
		return nil
	}
	if err := tx.Exec("INSERT INTO nawasync_attempts (job_id, epoch, attempt, started_at, ended_at, duration_ms, outcome, worker, error_class, error, stack, log) VALUES "+
		strings.Join(values, ", "), args...).Error; err != nil {
		return err
	}
	for _, v := range crowded {
		if err := tx.Exec("DELETE FROM nawasync_attempts WHERE job_id = ? AND epoch <= ?", v.Job.ID, v.Job.Epoch-KeepAttempts).Error; err != nil {
			return err
		}
	}
	return nil
}

func (v *Verdict) outcome() string {
	if v.Outcome != "" {
		return v.Outcome
	}
	return string(v.Status)
}

// Attempts lists what is known of a job's attempts, oldest first, at most the last
// KeepAttempts.
func (s *Store) Attempts(ctx context.Context, job *Job) ([]Attempt, error) {
	var list []Attempt
	err := each(s.DB(ctx), func(rows *sql.Rows) error {
		var a Attempt
		var started, ended, ms int64
		var class, text, stack, log sql.NullString
		if err := rows.Scan(&a.JobID, &a.Epoch, &a.Attempt, &started, &ended, &ms, &a.Outcome, &a.Worker, &class, &text, &stack, &log); err != nil {
			return err
		}
		a.StartedAt, a.EndedAt, a.Duration = fromMicros(started), fromMicros(ended), time.Duration(ms)*time.Millisecond
		a.ErrorClass, a.Error, a.Stack, a.Log = class.String, text.String, stack.String, log.String
		list = append(list, a)
		return nil
	}, "SELECT job_id, epoch, attempt, started_at, ended_at, duration_ms, outcome, worker, error_class, error, stack, log FROM nawasync_attempts WHERE job_id = ? ORDER BY epoch", job.ID)
	if err != nil {
		return nil, fmt.Errorf("nawasync: read the attempts of job %d: %w", job.ID, err)
	}
	known := len(list) > 0 && list[len(list)-1].Epoch == job.Epoch
	if job.Status == Success && !known && !job.StartedAt.IsZero() {
		list = append(list, Attempt{
			JobID: job.ID, Epoch: job.Epoch, Attempt: job.Attempt, StartedAt: job.StartedAt, EndedAt: job.FinishedAt,
			Duration: job.Duration, Outcome: string(Success), Worker: job.Worker,
		})
	}
	return list, nil
}
