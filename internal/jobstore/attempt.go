package jobstore

import (
	"strings"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

// insertAttempts writes what the job's own row does not say. Of a success without
// log lines it says all, and most jobs end so: they cost no second row.
func (s *Store) insertAttempts(tx *gorm.DB, outcomes []*Outcome) error {
	const row = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
	var values []string
	var args []any
	var crowded []*Outcome
	for _, v := range outcomes {
		if v.Job.Status != tracker.StatusRunning || (v.Status == tracker.StatusSuccess && v.Log == "") {
			continue
		}
		values = append(values, row)
		args = append(args, v.Job.ID, v.Job.Epoch, v.Job.Attempt, sqlkit.Micros(v.Job.StartedAt), sqlkit.Micros(v.Now),
			max(0, v.Now.Sub(v.Job.StartedAt)).Milliseconds(),
			string(v.AttemptOutcome()), v.Job.Worker, cleanOutcome(v.ErrorClass, 30), cleanOutcome(v.Error, tracker.MaxError), cleanOutcome(v.Stack, tracker.MaxStack),
			cleanOutcome(v.Log, tracker.MaxLog))
		if v.Job.Epoch >= tracker.MaxAttemptsKept {
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
		if err := tx.Exec("DELETE FROM nawasync_attempts WHERE job_id = ? AND epoch <= ?", v.Job.ID, v.Job.Epoch-tracker.MaxAttemptsKept).Error; err != nil {
			return err
		}
	}
	return nil
}
