package jobstore

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/jobrow"
	"github.com/nawasara/nawasync/internal/sqlkit"
)

// Claim names a job and the epoch in which a worker wants to run the job. Each task in Redis
// carries a Claim.
type Claim struct {
	ID    int64
	Epoch int
}

// The outcomes of a Claim.
const (
	// ClaimWon means that the job now runs in this process. ClaimResult.Job is set.
	ClaimWon ClaimOutcome = iota
	// ClaimStale means that the row was deleted, has finished, already runs, or is in
	// another epoch.
	ClaimStale
	// ClaimDeferred means that the job cannot run yet: it is not due, another job of its
	// lane comes first, its scope is paused, or this process does not serve its kind. A later
	// wake-up leads to a new claim.
	ClaimDeferred
)

// ClaimOutcome is how a Claim ended.
type ClaimOutcome int

// ClaimResult is the result of one Claim.
type ClaimResult struct {
	Outcome ClaimOutcome
	Job     *Job // nil unless Outcome is ClaimWon
}

func (r ClaimResult) sameEpoch(c Claim) bool { return r.Job == nil || r.Job.Epoch == c.Epoch }

// Claimer is the process that claims jobs.
type Claimer struct {
	Worker string   // id of the process, as in its heartbeat row
	Serves []Served // the kinds that it runs, always in the same order
}

func (c Claimer) timeout(j *Job) (time.Duration, bool) {
	i := slices.IndexFunc(c.Serves, func(s Served) bool { return s.Kind == j.Kind() })
	if i < 0 {
		return 0, false
	}
	return c.Serves[i].Timeout, true
}

// Served is a kind that a process runs.
type Served struct {
	Kind    string        // service/type/action
	Timeout time.Duration // how long one attempt may run
}

// unservedDelay is the delay of a job's next wake-up after a process that does not serve the
// job's kind has received its task.
const unservedDelay = time.Second

// Claim tries to start the jobs of a batch of claims. Only the first open job of a lane can
// win its claim. Claim reads the lanes without locks; the unique index on running_lane
// guarantees that two jobs of one lane never run at once. The results are in the order of
// claims.
func (s *Store) Claim(ctx context.Context, claimer Claimer, claims []Claim) ([]ClaimResult, error) {
	batch := &claimBatch{who: claimer, results: map[int64]ClaimResult{}}
	rest, err := s.takeHeads(ctx, batch, claims)
	if err == nil && len(rest) > 0 {
		err = s.lookAndTake(ctx, batch, rest)
	}
	if err == nil && batch.unsure {
		err = s.recoverClaims(ctx, batch, claims)
	}
	if err != nil {
		return nil, fmt.Errorf("claim jobs: %w", err)
	}
	results := make([]ClaimResult, len(claims))
	for i, c := range claims {
		results[i].Outcome = ClaimStale
		if result, ok := batch.results[c.ID]; ok && result.sameEpoch(c) {
			results[i] = result
			delete(batch.results, c.ID) // of two claims with the same id, only the first gets the job
		}
	}
	return results, nil
}

// claimBatch is the state of one call of Claim.
type claimBatch struct {
	who     Claimer
	results map[int64]ClaimResult
	// unsure is set if a statement returned an error but may have been applied, because only
	// the reply may have been lost.
	unsure bool
}

func (b *claimBatch) won(job *Job) { b.results[job.ID] = ClaimResult{Outcome: ClaimWon, Job: job} }

// recoverClaims finds the jobs of a batch that the database has marked as running, although
// the statement that claimed them returned an error.
func (s *Store) recoverClaims(ctx context.Context, b *claimBatch, claims []Claim) error {
	for _, c := range claims {
		if b.results[c.ID].Job != nil {
			continue
		}
		job, err := s.ClaimedBy(ctx, b.who.Worker, c)
		if err != nil {
			return err
		}
		if job != nil {
			b.won(job)
		}
	}
	return nil
}

// ClaimedBy returns the claimed job if its row shows that the claimed epoch runs on worker, and
// nil otherwise. A worker calls it after a claim that returned an error: the claim may have been
// committed and only the response lost.
func (s *Store) ClaimedBy(ctx context.Context, worker string, c Claim) (*Job, error) {
	list, err := s.query(s.DB(ctx), true, "WHERE j.id = ? AND j.epoch = ? AND j.status = 'running' AND j.worker = ?", c.ID, c.Epoch, worker)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return list[0], nil
}

// lookRow is a queued job with the data that decides whether it may run.
type lookRow struct {
	job      *Job
	behind   bool      // an earlier job of its lane is open
	busy     bool      // another job of its lane runs
	paused   int64     // end of its scope's pause in microseconds; 0 when the scope is not paused
	deadline time.Time // when its attempt times out, if it is claimed now
	wake     time.Time // its next wake-up, if it is postponed
}

// lookRows reads jobs with the data that decides whether they may run. from is the rest of
// the query, beginning with FROM. Unless wide is set, it reads only relayColumns.
func (s *Store) lookRows(tx *gorm.DB, wide bool, from string, now time.Time, args ...any) ([]lookRow, error) {
	columns := relayColumns
	if wide {
		columns = jobrow.Columns(true)
	}
	var list []lookRow
	err := sqlkit.Each(tx, func(rows *sql.Rows) (err error) {
		var row lookRow
		var behind, busy int
		var paused sql.NullInt64
		if wide {
			var stored *jobrow.Row
			if stored, err = jobrow.Scan(rows, true, &behind, &busy, &paused); err != nil {
				return err
			}
			row.job = jobOf(stored)
		} else {
			row.job, err = scanRelay(rows, &behind, &busy, &paused)
		}
		row.behind, row.busy, row.paused = behind != 0, busy != 0, paused.Int64
		list = append(list, row)
		return err
	}, "SELECT "+columns+s.dialect.RunnableColumns()+from, append([]any{now.UnixMicro(), now.UnixMicro()}, args...)...)
	return list, err
}
