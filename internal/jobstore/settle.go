package jobstore

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

// Settled is the result of writing one Outcome.
type Settled struct {
	// Won reports whether the outcome was written. It is false when the row was deleted or
	// another process changed it first; then nothing was written for this outcome.
	Won bool
	Job *Job // the job as the outcome left it; nil unless Won
	// Next are the streams that have a due job now: jobs that waited in the lanes of the batch.
	Next []Wake
	// locked means that the outcome was not written because another transaction holds the row.
	locked bool
}

// LockedError means that an outcome was not written because another transaction has locked a row.
// Settle does not wait for locks: the caller tries again later, and meanwhile uses no connection.
type LockedError struct {
	Row   string // names the row, for example "job 17"
	table string // quoted
	id    int64
}

// lockedJob returns the LockedError of a job's row.
func lockedJob(id int64) *LockedError {
	return &LockedError{fmt.Sprintf("job %d", id), "nawasync_jobs", id}
}

func (e *LockedError) Error() string { return e.Row + " is locked by another transaction" }

// Settle writes a batch of outcomes in one transaction: the job rows, the attempts, the
// statistics, and the wake-ups of the jobs that waited in the same lanes. results and errs are in the
// order of outcomes. An outcome that the database rejects does not fail the others: Settle
// splits the batch until that outcome is alone. An outcome whose row is locked gets a LockedError.
func (s *Store) Settle(ctx context.Context, outcomes []*Outcome) (results []Settled, errs []error) {
	results, err := s.settleBatch(ctx, outcomes)
	if err == nil {
		errs = make([]error, len(outcomes))
		for i, result := range results {
			if result.locked {
				errs[i] = lockedJob(outcomes[i].Job.ID)
			}
		}
		return results, errs
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
	ctx, cancel := context.WithTimeout(ctx, transactionTimeout)
	defer cancel()
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

// SettleTx writes outcomes in the caller's transaction, which must be one of the Store. Unlike in Settle, one rejected outcome
// fails them all. On SQLite, tx should not have read anything before: SQLite may refuse a write
// in a transaction that began with a read.
func (s *Store) SettleTx(ctx context.Context, tx *gorm.DB, outcomes []*Outcome) ([]Settled, error) {
	conn := sqlkit.Connect(ctx, tx)
	now := s.Now()
	for _, out := range outcomes {
		s.sign(out)
	}
	ids, rows := outcomeRows(outcomes, now)
	if err := s.boundOnSuccess(conn, outcomes); err != nil {
		return nil, err
	}
	if err := s.lockSnapshots(conn, outcomes); err != nil {
		return nil, err
	}
	update := outcomeUpdate
	update.args, update.own = []any{now.UnixMicro()}, true
	won, err := s.batch(conn, update, ids, rows)
	if err != nil {
		return nil, fmt.Errorf("write outcomes: %w", err)
	}
	results, written := settledOutcomes(outcomes, won)
	if err := s.findLocked(conn, outcomes, results); err != nil {
		return nil, err
	}
	if err := keepStates(conn, written); err != nil {
		return nil, fmt.Errorf("write the states of jobs: %w", err)
	}
	if err := unlinkCancelled(conn, written); err != nil {
		return nil, fmt.Errorf("return cancelled retries to their originals: %w", err)
	}
	if err := s.insertAttempts(conn, written); err != nil {
		return nil, fmt.Errorf("write attempts: %w", err)
	}
	if err := s.insertDeltas(conn, written); err != nil {
		return nil, fmt.Errorf("write statistics: %w", err)
	}
	for _, out := range written {
		if out.OnSuccess != nil {
			if err := s.runOnSuccess(ctx, tx, out.OnSuccess); err != nil {
				return nil, err
			}
		}
	}
	if err := s.settleSnapshots(conn, written); err != nil {
		return nil, err
	}
	if err := s.promoteNext(conn, outcomes, results); err != nil {
		return nil, fmt.Errorf("wake the next jobs of the lanes: %w", err)
	}
	return results, s.cancelRequeued(ctx, tx, results)
}

// boundOnSuccess bounds how long the statements of OnSuccess functions wait for locks. If one waits
// for too long, the outcome is written again later. Only PostgreSQL can bound it for a transaction.
func (s *Store) boundOnSuccess(conn *sqlkit.Conn, outcomes []*Outcome) error {
	if s.dialect.Name != "postgres" || !slices.ContainsFunc(outcomes, func(out *Outcome) bool { return out.OnSuccess != nil }) {
		return nil
	}
	return conn.Exec("SET LOCAL lock_timeout = '2s'").Error
}

// findLocked marks the results of outcomes that were not written although the row still is as they
// expect it: another transaction has locked it.
func (s *Store) findLocked(conn *sqlkit.Conn, outcomes []*Outcome, results []Settled) error {
	var lost []int64
	for i, out := range outcomes {
		if !results[i].Won {
			lost = append(lost, out.Job.ID)
		}
	}
	if len(lost) == 0 || s.dialect.Name == "sqlite" {
		return nil
	}
	type state struct {
		epoch  int
		status tracker.Status
	}
	states := map[int64]state{}
	err := sqlkit.Each(conn, func(rows *sql.Rows) error {
		var id int64
		var st state
		err := rows.Scan(&id, &st.epoch, &st.status)
		states[id] = st
		return err
	}, "SELECT id, epoch, status FROM nawasync_jobs WHERE id IN ?", lost)
	for i, out := range outcomes {
		st, found := states[out.Job.ID]
		results[i].locked = !results[i].Won && found && st == state{out.Job.Epoch, out.Job.Status}
	}
	return err
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
// the first result. It runs after all other statements, so that it sees the jobs that were put behind
// the finished ones in the meantime.
func (s *Store) promoteNext(conn *sqlkit.Conn, outcomes []*Outcome, results []Settled) error {
	var lanes []int64
	first := -1
	for i, out := range outcomes {
		if results[i].Won && out.Status.Terminal() {
			lanes = append(lanes, out.Job.Lane)
			if first < 0 {
				first = i
			}
		}
	}
	next, err := s.promote(conn, lanes, s.Now())
	if err == nil && len(next) > 0 {
		results[first].Next = append(results[first].Next, next...)
	}
	return err
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
	requested, err := s.query(sqlkit.Connect(ctx, tx), true, "WHERE j.id IN ? AND j.status = 'queued' AND j.cancel_at IS NOT NULL", slices.Sorted(maps.Keys(byID)))
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
