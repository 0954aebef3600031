package jobstore

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"

	"go.opentelemetry.io/otel/trace"
	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/signature"
	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

// Outcome is how one attempt ended, or how a queued job ends. It is written only if the row
// still has the epoch and the status of Job.
type Outcome struct {
	Job    *Job           // as claimed or read
	Status tracker.Status // a terminal status, or Queued to go back to the queue

	NotBefore   time.Time // with Queued: when the job is due again; zero means now
	KeepAttempt bool      // with Queued: the attempt is not consumed
	LeaseLost   bool      // with Queued: the process lost its lease during the attempt

	// State replaces, with Queued, what the job has stored for its next attempt. Nil keeps that, and
	// an empty State deletes it.
	State []byte

	Attempt    tracker.Outcome // what the list of attempts shows; "" means Status
	Result     json.RawMessage
	Error      string
	ErrorClass string
	Stack      string
	Diff       json.RawMessage
	Log        string
	Calls      string // of external APIs, as tracker.Attempt reads them; "" for none
	CancelBy   string
	Now        time.Time // when the attempt ended; zero means the Store's time

	Span trace.SpanContext // of the attempt, for the exemplars of metrics; it is not stored

	// OnSuccess runs in the transaction of the outcome. Settle such an outcome alone: an error
	// of OnSuccess rolls back its whole batch.
	OnSuccess func(tx *gorm.DB) error

	signature *signature.Signature // of the error by which the job is counted; nil if it neither failed nor ended in conflict
}

// AttemptOutcome returns the outcome that the list of attempts shows.
func (out *Outcome) AttemptOutcome() tracker.Outcome {
	return cmp.Or(out.Attempt, tracker.Outcome(out.Status))
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
		if out.signature != nil {
			row.Signature = &out.signature.Hash
		}
		return row
	}
	due := out.due().UnixMicro()
	row.Bump, row.NotBefore = 1, &due
	if out.LeaseLost {
		row.Lost = 1
	}
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
	j.WakeAt = time.Time{}
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
		j.FinishedAt, j.CancelAt = out.Now, time.Time{}
		if out.signature != nil {
			j.ErrorGroup = signature.ID(out.signature.Hash)
		}
		if out.Status == tracker.StatusSuccess && j.Sealed != nil {
			j.Sealed = []byte{}
		}
		return &j
	}
	j.Epoch++
	j.Attempt -= row.Refund
	j.LeasesLost += row.Lost
	j.NotBefore = out.due()
	j.WakeAt = j.NotBefore
	return &j
}

// outcomeRow is one row of the rowset of outcomeUpdate.
type outcomeRow struct {
	ID        int64          `json:"v_id"`
	Epoch     int            `json:"v_epoch"`
	From      tracker.Status `json:"v_from"`
	Status    tracker.Status `json:"v_status"`
	Bump      int            `json:"v_bump"`
	Refund    int            `json:"v_refund"`
	Lost      int            `json:"v_lost"`
	NotBefore *int64         `json:"v_not_before,omitempty"`
	Finished  *int64         `json:"v_finished,omitempty"`
	Duration  *int64         `json:"v_duration,omitempty"`
	Result    *string        `json:"v_result,omitempty"`
	Error     *string        `json:"v_error,omitempty"`
	Class     *string        `json:"v_class,omitempty"`
	Diff      *string        `json:"v_diff,omitempty"`
	CancelBy  *string        `json:"v_cancel_by,omitempty"`
	Signature *int64         `json:"v_signature,omitempty"`
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
