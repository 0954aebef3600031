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

// AttemptOutcome is what the list of attempts says.
func (v *Outcome) AttemptOutcome() tracker.Outcome {
	return cmp.Or(v.Attempt, tracker.Outcome(v.Status))
}

// Outcome ends one attempt, or a job that waits. It is fenced by the job's id and
// epoch and by the status the caller knows (Job.Status).
type Outcome struct {
	Job    *Job           // as claimed or read
	Status tracker.Status // a terminal status, or Queued to go back to the queue

	NotBefore   time.Time // with Queued: when it is due again; zero is now
	KeepAttempt bool      // with Queued: the attempt does not count

	Attempt    tracker.Outcome // what the list of attempts says; "" is the status
	Result     json.RawMessage
	Error      string
	ErrorClass string
	Stack      string
	Diff       json.RawMessage
	Log        string
	CancelBy   string
	Now        time.Time // zero: the Store's clock

	// OnSuccess runs in the transaction of the outcome. Such an outcome has a
	// transaction of its own.
	OnSuccess func(tx *gorm.DB) error
}

func (v *Outcome) row() outcomeRow {
	row := outcomeRow{
		ID: v.Job.ID, Epoch: v.Job.Epoch, From: v.Job.Status, Status: v.Status,
		Result: cleanOutcome(string(v.Result), tracker.MaxResult), Error: cleanOutcome(v.Error, tracker.MaxError), Class: cleanOutcome(v.ErrorClass, 30),
		Diff: cleanOutcome(string(v.Diff), tracker.MaxResult), CancelBy: cleanOutcome(v.CancelBy, 255),
	}
	if v.Job.Status == tracker.StatusRunning {
		ms := max(0, v.Now.Sub(v.Job.StartedAt)).Milliseconds()
		row.Duration = &ms
	}
	if v.Status.Terminal() {
		at := v.Now.UnixMicro()
		row.Finished = &at
		return row
	}
	due := v.due().UnixMicro()
	row.Bump, row.NotBefore = 1, &due
	if v.KeepAttempt {
		row.Refund = 1
	}
	return row
}

func (v *Outcome) due() time.Time {
	if v.NotBefore.Before(v.Now) {
		return v.Now
	}
	return v.NotBefore.UTC().Truncate(time.Microsecond)
}

// resultJob is the job as the outcome leaves it.
func (v *Outcome) resultJob() *Job {
	row, j := v.row(), *v.Job
	j.Status, j.Error, j.ErrorClass, j.Diff, j.UpdatedAt = v.Status, valueOrZero(row.Error), valueOrZero(row.Class), json.RawMessage(valueOrZero(row.Diff)), v.Now
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
	if v.Status.Terminal() {
		j.FinishedAt, j.ActiveKey = v.Now, ""
		j.CancelAt = time.Time{}
		if v.Status == tracker.StatusSuccess && j.Sealed != nil {
			j.Sealed = []byte{}
		}
		return &j
	}
	j.Epoch++
	j.Ring = 0
	j.Attempt -= row.Refund
	j.NotBefore = v.due()
	j.WakeAt = j.NotBefore
	return &j
}

// Settled is the fate of one Outcome.
type Settled struct {
	// Won is false when the fence failed: the row is another's by now, or gone, and
	// nothing was written.
	Won bool
	Job *Job // the row as the outcome left it, where Won
	// Next are the bells of jobs that were waiting for this one.
	Next []Bell
}

// clockSlack is how far the clocks of two processes may be apart, each corrected by
// its database's. A row rung so much too early is put off by its claim; one that
// seemed not due yet would wait for the sweep.
const clockSlack = 100 * time.Millisecond

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

// Settle writes a batch of outcomes in one transaction: the rows, what is told of
// the attempts, the statistics, and the rings of the jobs that waited for these.
// Results are in the order of outcomes. an outcome that the database refuses takes
// no other with it: the batch is taken apart until it stands alone, and its
// error is in its place of errs.
func (s *Store) Settle(ctx context.Context, outcomes []*Outcome) (results []Settled, errs []error) {
	results, err := s.settleOwn(ctx, outcomes)
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

func (s *Store) settleOwn(ctx context.Context, outcomes []*Outcome) (results []Settled, err error) {
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

// SettleTx is Finish in the caller's transaction, without taking apart. On SQLite
// the transaction should not have read before it.
func (s *Store) SettleTx(ctx context.Context, tx *gorm.DB, outcomes []*Outcome) ([]Settled, error) {
	tx = sqlkit.Session(ctx, tx)
	now := s.Now()
	rows := make([]outcomeRow, len(outcomes))
	ids := make([]int64, len(outcomes))
	for i, v := range outcomes {
		ids[i] = v.Job.ID
		if v.Now.IsZero() {
			v.Now = now
		}
		rows[i] = v.row()
	}
	slices.SortFunc(rows, func(a, b outcomeRow) int { return int(a.ID - b.ID) })
	if err := s.lockSnapshots(tx, outcomes); err != nil {
		return nil, err
	}
	u := outcomeUpdate
	u.args = []any{now.UnixMicro()}
	won, err := s.batch(tx, u, ids, rows)
	if err != nil {
		return nil, fmt.Errorf("finish: %w", err)
	}
	results := make([]Settled, len(outcomes))
	var kept []*Outcome
	var lanes []int64
	for i, v := range outcomes {
		if !won[v.Job.ID] {
			continue
		}
		delete(won, v.Job.ID) // the first of two outcomes on one row
		results[i] = Settled{Won: true, Job: v.resultJob()}
		kept = append(kept, v)
		if v.Status.Terminal() {
			lanes = append(lanes, v.Job.Lane)
		}
	}
	if err := s.insertAttempts(tx, kept); err != nil {
		return nil, fmt.Errorf("write attempts: %w", err)
	}
	if err := s.insertDeltas(tx, kept); err != nil {
		return nil, fmt.Errorf("write statistics: %w", err)
	}
	for i, v := range outcomes {
		if results[i].Won && v.OnSuccess != nil {
			if err := s.runOnSuccess(tx, v.OnSuccess); err != nil {
				return nil, err
			}
		}
	}
	if err := s.settleSnapshots(ctx, tx, kept); err != nil {
		return nil, err
	}
	// Last, and by the clock of now: what has joined these lanes meanwhile is seen.
	next, err := s.promote(tx, lanes, s.Now().Add(clockSlack))
	if err != nil {
		return nil, fmt.Errorf("ring the next of the lane: %w", err)
	}
	for i, v := range outcomes {
		if results[i].Won && v.Status.Terminal() {
			results[i].Next = next[v.Job.Lane]
			delete(next, v.Job.Lane)
		}
	}
	return results, s.cancelRequeued(ctx, tx, results)
}

// cancelRequeued ends the jobs that went back to the queue although their end had
// been asked for while they ran.
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
	asked, err := s.query(tx, true, "WHERE j.id IN ? AND j.status = 'queued' AND j.cancel_at IS NOT NULL", slices.Sorted(maps.Keys(byID)))
	if err != nil {
		return fmt.Errorf("look for cancelled jobs: %w", err)
	}
	if len(asked) == 0 {
		return nil
	}
	cancelled := make([]*Outcome, len(asked))
	for i, job := range asked {
		text := "cancelled while it ran"
		if job.Error != "" {
			text += "; the attempt had ended with: " + job.Error
		}
		cancelled[i] = &Outcome{Job: job, Status: tracker.StatusCancelled, Error: text, ErrorClass: "cancelled"}
	}
	ended, err := s.SettleTx(ctx, tx, cancelled)
	for i, job := range asked {
		if err == nil && ended[i].Won {
			*byID[job.ID] = ended[i]
		}
	}
	return err
}

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
