package jobstore

import (
	"strings"

	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

// maxCalls bounds the calls of an attempt as JSON, in bytes. tracker.MaxCallsKept have less.
const maxCalls = 64 << 10

// insertAttempts adds a row for each attempt, except for a success without log lines and recorded calls:
// the job's own row already holds everything about that attempt. Jobs without a Remote end that way, and cost
// only one row.
func (s *Store) insertAttempts(conn *sqlkit.Conn, outcomes []*Outcome) error {
	const row = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
	var values []string
	var args []any
	var overLimit []*Outcome
	for _, out := range outcomes {
		if out.Job.Status != tracker.StatusRunning || (out.Status == tracker.StatusSuccess && out.Log == "" && out.Calls == "") {
			continue
		}
		values = append(values, row)
		args = append(args, out.Job.ID, out.Job.Epoch, out.Job.Attempt, sqlkit.Micros(out.Job.StartedAt), sqlkit.Micros(out.Now),
			max(0, out.Now.Sub(out.Job.StartedAt)).Milliseconds(),
			string(out.AttemptOutcome()), out.Job.Worker, cleanOutcome(out.ErrorClass, 30), cleanOutcome(out.Error, tracker.MaxError),
			cleanOutcome(out.Stack, tracker.MaxStack), cleanOutcome(out.Log, tracker.MaxLog), cleanOutcome(out.Calls, maxCalls))
		if out.Job.Epoch >= tracker.MaxAttemptsKept {
			overLimit = append(overLimit, out)
		}
	}
	if len(values) == 0 {
		return nil
	}
	if err := conn.Exec("INSERT INTO nawasync_attempts (job_id, epoch, attempt, started_at, ended_at, duration_ms, outcome, worker, error_class, error, stack, log, calls) VALUES "+
		strings.Join(values, ", "), args...).Error; err != nil {
		return err
	}
	for _, out := range overLimit {
		if err := conn.Exec("DELETE FROM nawasync_attempts WHERE job_id = ? AND epoch <= ?", out.Job.ID, out.Job.Epoch-tracker.MaxAttemptsKept).Error; err != nil {
			return err
		}
	}
	return nil
}
