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

// Claim is one wish to run a job, as a task from Redis expresses it.
type Claim struct {
	ID    int64
	Epoch int
}

// The fates of a Claim.
const (
	// ClaimWon: the job is running here; Job is set.
	ClaimWon ClaimOutcome = iota
	// ClaimStale: the row is gone, has ended, runs already, or is in another epoch.
	ClaimStale
	// ClaimDeferred: the row is not due, its lane is taken, its scope is paused, or this
	// process does not serve its kind. It will be rung again.
	ClaimDeferred
)

// ClaimOutcome says what became of a Claim.
type ClaimOutcome int

// ClaimResult is the fate of one Claim.
type ClaimResult struct {
	Outcome ClaimOutcome
	Job     *Job
}

func (r ClaimResult) sameEpoch(c Claim) bool { return r.Job == nil || r.Job.Epoch == c.Epoch }

// Claimer is on whose behalf jobs are claimed.
type Claimer struct {
	Worker string   // id of the process, as in its heartbeat row
	Serves []Served // the kinds it runs, in the same order every time
}

func (c Claimer) timeout(j *Job) (time.Duration, bool) {
	i := slices.IndexFunc(c.Serves, func(s Served) bool { return s.Kind == j.Kind() })
	if i < 0 {
		return 0, false
	}
	return c.Serves[i].Timeout, true
}

// Served is a kind, as service/type/action, and how long its jobs may run.
type Served struct {
	Kind    string
	Timeout time.Duration
}

// unservedDelay is how soon a job is rung again that came to a process which does
// not serve its kind.
const unservedDelay = time.Second

// Claim runs a batch of claims: at most one wins in each lane, and only the first
// of its lane. The lane is read without locks; that two never run is decided by
// the unique index on running_lane. Fates are in the order of claims.
func (s *Store) Claim(ctx context.Context, who Claimer, claims []Claim) ([]ClaimResult, error) {
	batch := &claimBatch{who: who, results: map[int64]ClaimResult{}}
	rest, err := s.takeHeads(ctx, batch, claims)
	if err == nil && len(rest) > 0 {
		err = s.lookAndTake(ctx, batch, rest)
	}
	if err == nil && batch.unsure {
		err = s.recoverClaims(ctx, batch, claims)
	}
	if err != nil {
		return nil, fmt.Errorf("claim: %w", err)
	}
	results := make([]ClaimResult, len(claims))
	for i, c := range claims {
		results[i].Outcome = ClaimStale
		if result, ok := batch.results[c.ID]; ok && result.sameEpoch(c) {
			results[i] = result
			delete(batch.results, c.ID) // a doubled task gets the job once
		}
	}
	return results, nil
}

// claimBatch is one Claim on its way.
type claimBatch struct {
	who     Claimer
	results map[int64]ClaimResult
	// unsure: a statement failed, but may have been applied before its answer was lost.
	unsure bool
}

func (b *claimBatch) won(job *Job) { b.results[job.ID] = ClaimResult{Outcome: ClaimWon, Job: job} }

// recoverClaims finds the jobs of a batch that run under their claim although the
// statement that took them seemed to fail.
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

// ClaimedBy returns the job if it runs under that claim on that worker, else nil. A
// claim whose answer was lost may have been committed: only its worker can tell.
func (s *Store) ClaimedBy(ctx context.Context, worker string, c Claim) (*Job, error) {
	list, err := s.query(s.DB(ctx), true, "WHERE j.id = ? AND j.epoch = ? AND j.status = 'running' AND j.worker = ?", c.ID, c.Epoch, worker)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return list[0], nil
}

// lookRow is a queued job with what decides whether it may run.
type lookRow struct {
	job      *Job
	behind   bool  // an earlier job of its lane is open
	busy     bool  // a job of its lane runs
	paused   int64 // until when its scope is paused; 0 when it is not
	deadline time.Time
	wake     time.Time
}

// lookRows reads rows with what decides whether they may run. Without wide it
// reads only what the relay needs.
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
	}, "SELECT "+columns+s.dialect.Standing()+from, append([]any{now.UnixMicro(), now.UnixMicro()}, args...)...)
	return list, err
}
