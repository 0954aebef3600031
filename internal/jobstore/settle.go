package jobstore

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

// AttemptOutcome returns the outcome that the list of attempts shows.
func (out *Outcome) AttemptOutcome() tracker.Outcome {
	return cmp.Or(out.Attempt, tracker.Outcome(out.Status))
}

// Outcome is how one attempt ended, or how a queued job ends. It is written only if the row
// still has the epoch and the status of Job.
type Outcome struct {
	Job    *Job           // as claimed or read
	Status tracker.Status // a terminal status, or Queued to go back to the queue

	NotBefore   time.Time // with Queued: when the job is due again; zero means now
	KeepAttempt bool      // with Queued: the attempt is not consumed

	Attempt    tracker.Outcome // what the list of attempts shows; "" means Status
	Result     json.RawMessage
	Error      string
	ErrorClass string
	Stack      string
	Diff       json.RawMessage
	Log        string
	CancelBy   string
	Now        time.Time // when the attempt ended; zero means the Store's time

	// OnSuccess runs in the transaction of the outcome. Settle such an outcome alone: an error
	// of OnSuccess rolls back its whole batch.
	OnSuccess func(tx *gorm.DB) error
}

func (out *Outcome) row() outcomeRow {
	row := outcomeRow{
		ID: out.Job.ID, Epoch: out.Job.Epoch, From: out.Job.Status, Status: out.Status,
		Result: cleanOutcome(string(out.Result), tracker.MaxResult), Error: cleanOutcome(out.Error, tracker.MaxError), Class: cleanOutcome(out.ErrorClass, 30),
		Diff: cleanOutcome(string(out.Diff), tracker.MaxResult), CancelBy: cleanOutcome(out.CancelBy, 255),
	}
	if out.Job.Status == tracker.StatusRunning {
		ms := max(0, out.Now.Sub(out.Job.StartedAt)).Milliseconds()
		row.Duration = &ms
	}
	if out.Status.Terminal() {
		at := out.Now.UnixMicro()
		row.Finished = &at
		return row
	}
	due := out.due().UnixMicro()
	row.Bump, row.NotBefore = 1, &due
	if out.KeepAttempt {
		row.Refund = 1
	}
	return row
}

// due returns when a requeued job is due again: NotBefore, but not before Now.
func (out *Outcome) due() time.Time {
	if out.NotBefore.Before(out.Now) {
		return out.Now
	}
	return out.NotBefore.UTC().Truncate(time.Microsecond)
}

// resultJob returns the job as the outcome leaves it.
func (out *Outcome) resultJob() *Job {
	row, j := out.row(), *out.Job
	j.Status, j.UpdatedAt = out.Status, out.Now
	j.Error, j.ErrorClass, j.Diff = valueOrZero(row.Error), valueOrZero(row.Class), json.RawMessage(valueOrZero(row.Diff))
	j.WakeAt, j.RungAt = time.Time{}, time.Time{}
	if row.Result != nil {
		j.Result = json.RawMessage(*row.Result)
	}
	if row.CancelBy != nil {
		j.CancelBy = *row.CancelBy
	}
	if row.Duration != nil {
		j.Duration = time.Duration(*row.Duration) * time.Millisecond
	}
	if out.Status.Terminal() {
		j.FinishedAt, j.ActiveKey = out.Now, ""
		j.CancelAt = time.Time{}
		if out.Status == tracker.StatusSuccess && j.Sealed != nil {
			j.Sealed = []byte{}
		}
		return &j
	}
	j.Epoch++
	j.Ring = 0
	j.Attempt -= row.Refund
	j.NotBefore = out.due()
	j.WakeAt = j.NotBefore
	return &j
}

// Settled is the result of writing one Outcome.
type Settled struct {
	// Won reports whether the outcome was written. It is false when the row was deleted or
	// another process changed it first; then nothing was written for this outcome.
	Won bool
	Job *Job // the job as the outcome left it; nil unless Won
	// Next are the wake-ups to send for jobs that waited for this one.
	Next []Bell
}

// clockSlack is the largest expected difference between the clocks of two processes, after each
// has corrected its clock by the database's. A completion also wakes jobs that are due
// within clockSlack; a claim that comes too early postpones its job. Without the slack, a job
// that is due by another process's clock could wait for the next sweep of the lanes.
const clockSlack = 100 * time.Millisecond

// outcomeRow is one row of the rowset of outcomeUpdate.
type outcomeRow struct {
	ID        int64          `json:"v_id"`
	Epoch     int            `json:"v_epoch"`
	From      tracker.Status `json:"v_from"`
	Status    tracker.Status `json:"v_status"`
	Bump      int            `json:"v_bump"`
	Refund    int            `json:"v_refund"`
	NotBefore *int64         `json:"v_not_before,omitempty"`
	Finished  *int64         `json:"v_finished,omitempty"`
	Duration  *int64         `json:"v_duration,omitempty"`
	Result    *string        `json:"v_result,omitempty"`
	Error     *string        `json:"v_error,omitempty"`
	Class     *string        `json:"v_class,omitempty"`
	Diff      *string        `json:"v_diff,omitempty"`
	CancelBy  *string        `json:"v_cancel_by,omitempty"`
}

// Settle writes a batch of outcomes in one transaction: the job rows, the attempts, the
// statistics, and the wake-ups of the jobs that waited in the same lanes. results and errs are in the
// order of outcomes. An outcome that the database rejects does not fail the others: Settle
// splits the batch until that outcome is alone.
func (s *Store) Settle(ctx context.Context, outcomes []*Outcome) (results []Settled, errs []error) {
	results, err := s.settleBatch(ctx, outcomes)
	if err == nil {
		return results, make([]error, len(outcomes))
	}
	if len(outcomes) == 1 || s.Ping(ctx) != nil {
		errs = make([]error, len(outcomes))
		for i := range errs {
			errs[i] = err
		}
		return make([]Settled, len(outcomes)), errs
	}
	half := len(outcomes) / 2
	results, errs = s.Settle(ctx, outcomes[:half])
	restResults, restErrs := s.Settle(ctx, outcomes[half:])
	return append(results, restResults...), append(errs, restErrs...)
}

// settleBatch writes outcomes in one transaction. When a snapshot table turns out to be missing,
// it writes them again without that table.
func (s *Store) settleBatch(ctx context.Context, outcomes []*Outcome) (results []Settled, err error) {
	for {
		err = s.Transaction(ctx, func(tx *gorm.DB) error {
			results, err = s.SettleTx(ctx, tx, outcomes)
			return err
		})
		if err == nil || !s.forgetLostTable(err) {
			return results, err
		}
	}
}

// SettleTx writes outcomes in the caller's transaction. Unlike in Settle, one rejected outcome
// fails them all. On SQLite, tx should not have read anything before: SQLite may refuse a write
// in a transaction that began with a read.
func (s *Store) SettleTx(ctx context.Context, tx *gorm.DB, outcomes []*Outcome) ([]Settled, error) {
	tx = sqlkit.Session(ctx, tx)
	now := s.Now()
	ids, rows := outcomeRows(outcomes, now)
	if err := s.lockSnapshots(tx, outcomes); err != nil {
		return nil, err
	}
	update := outcomeUpdate
	update.args = []any{now.UnixMicro()}
	won, err := s.batch(tx, update, ids, rows)
	if err != nil {
		return nil, fmt.Errorf("write outcomes: %w", err)
	}
	results, written := settledOutcomes(outcomes, won)
	if err := s.insertAttempts(tx, written); err != nil {
		return nil, fmt.Errorf("write attempts: %w", err)
	}
	if err := s.insertDeltas(tx, written); err != nil {
		return nil, fmt.Errorf("write statistics: %w", err)
	}
	for _, out := range written {
		if out.OnSuccess != nil {
			if err := s.runOnSuccess(tx, out.OnSuccess); err != nil {
				return nil, err
			}
		}
	}
	if err := s.settleSnapshots(ctx, tx, written); err != nil {
		return nil, err
	}
	if err := s.promoteNext(tx, outcomes, results); err != nil {
		return nil, fmt.Errorf("wake the next jobs of the lanes: %w", err)
	}
	return results, s.cancelRequeued(ctx, tx, results)
}

// outcomeRows sets the missing times of the outcomes to now. It returns the ids of their jobs
// and their rows, which are sorted by id.
func outcomeRows(outcomes []*Outcome, now time.Time) (ids []int64, rows []outcomeRow) {
	rows = make([]outcomeRow, len(outcomes))
	ids = make([]int64, len(outcomes))
	for i, out := range outcomes {
		ids[i] = out.Job.ID
		if out.Now.IsZero() {
			out.Now = now
		}
		rows[i] = out.row()
	}
	slices.SortFunc(rows, func(a, b outcomeRow) int { return cmp.Compare(a.ID, b.ID) })
	return ids, rows
}

// settledOutcomes returns a result for each outcome, and the outcomes that were written. won has
// the ids of the jobs whose rows were updated.
func settledOutcomes(outcomes []*Outcome, won map[int64]bool) (results []Settled, written []*Outcome) {
	results = make([]Settled, len(outcomes))
	for i, out := range outcomes {
		if !won[out.Job.ID] {
			continue
		}
		delete(won, out.Job.ID) // of two outcomes for one job, only the first counts
		results[i] = Settled{Won: true, Job: out.resultJob()}
		written = append(written, out)
	}
	return results, written
}

// promoteNext wakes the next job of each lane whose job has finished and adds the wake-ups to
// the results. It runs last and reads the clock again, so that it sees jobs that joined the
// lanes in the meantime.
func (s *Store) promoteNext(tx *gorm.DB, outcomes []*Outcome, results []Settled) error {
	var lanes []int64
	for i, out := range outcomes {
		if results[i].Won && out.Status.Terminal() {
			lanes = append(lanes, out.Job.Lane)
		}
	}
	next, err := s.promote(tx, lanes, s.Now().Add(clockSlack))
	if err != nil {
		return err
	}
	for i, out := range outcomes {
		if results[i].Won && out.Status.Terminal() {
			results[i].Next = next[out.Job.Lane]
			delete(next, out.Job.Lane)
		}
	}
	return nil
}

// cancelRequeued cancels the jobs that went back to the queue although an operator requested
// their cancellation while they ran. It updates results.
func (s *Store) cancelRequeued(ctx context.Context, tx *gorm.DB, results []Settled) error {
	byID := map[int64]*Settled{}
	for i := range results {
		if results[i].Won && results[i].Job.Status == tracker.StatusQueued {
			byID[results[i].Job.ID] = &results[i]
		}
	}
	if len(byID) == 0 {
		return nil
	}
	requested, err := s.query(tx, true, "WHERE j.id IN ? AND j.status = 'queued' AND j.cancel_at IS NOT NULL", slices.Sorted(maps.Keys(byID)))
	if err != nil {
		return fmt.Errorf("list requeued jobs to cancel: %w", err)
	}
	if len(requested) == 0 {
		return nil
	}
	cancelled := make([]*Outcome, len(requested))
	for i, job := range requested {
		text := "cancelled while it ran"
		if job.Error != "" {
			text += "; the attempt ended with: " + job.Error
		}
		cancelled[i] = &Outcome{Job: job, Status: tracker.StatusCancelled, Error: text, ErrorClass: "cancelled"}
	}
	ended, err := s.SettleTx(ctx, tx, cancelled)
	for i, job := range requested {
		if err == nil && ended[i].Won {
			*byID[job.ID] = ended[i]
		}
	}
	return err
}

// cleanOutcome returns text without invalid characters and cut to limit, or nil for "".
func cleanOutcome(text string, limit int) *string {
	if text == "" {
		return nil
	}
	text = sqlkit.CleanText(text, limit)
	return &text
}

func valueOrZero(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
