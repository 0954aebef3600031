package tracker

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"gorm.io/gorm"
)

// Claim is one wish to run a job, as a task from Redis expresses it.
type Claim struct {
	ID    int64
	Epoch int
}

// ClaimFate says what became of a Claim.
type ClaimFate int

// The fates of a Claim.
const (
	// Claimed: the job is running here; Job is set.
	Claimed ClaimFate = iota
	// Stale: the row is gone, has ended, runs already, or is in another epoch.
	Stale
	// Waiting: the row is not due, its lane is taken, its scope is paused, or this
	// process does not serve its kind. It will be rung again.
	Waiting
)

// ClaimResult is the fate of one Claim.
type ClaimResult struct {
	Fate ClaimFate
	Job  *Job
}

// Claimer is on whose behalf jobs are claimed.
type Claimer struct {
	Worker string // id of the process, as in its heartbeat row
	// Timeout tells how long a job may run, and whether this process serves its kind.
	Timeout func(*Job) (time.Duration, bool)
}

// unservedDelay is how soon a job is rung again that came to a process which does
// not serve its kind.
const unservedDelay = time.Second

// Claim runs a batch of claims: at most one wins in each lane, and only the first
// of its lane. The lane is read without locks; that two never run is decided by
// the unique index on running_lane. Fates are in the order of claims.
func (s *Store) Claim(ctx context.Context, who Claimer, claims []Claim) ([]ClaimResult, error) {
	results := make([]ClaimResult, len(claims))
	for i := range results {
		results[i].Fate = Stale
	}
	seen, err := s.look(ctx, claims)
	if err != nil {
		return nil, fmt.Errorf("nawasync: claim: %w", err)
	}
	now := s.Now()
	lanes := map[int64]bool{}
	var win, demote, later []lookRow
	for _, row := range seen {
		timeout, served := who.Timeout(row.job)
		switch {
		case row.job.Status != Queued:
			continue
		case row.job.NotBefore.After(now):
			row.wake = row.job.NotBefore
			later = append(later, row)
		case row.paused > 0:
			row.wake = fromMicros(row.paused)
			later = append(later, row)
		case !served:
			row.wake = now.Add(unservedDelay)
			later = append(later, row)
		case row.behind || row.busy || lanes[row.job.Lane]:
			demote = append(demote, row)
		default:
			lanes[row.job.Lane] = true
			row.deadline = now.Add(timeout)
			win = append(win, row)
		}
	}
	won, err := s.take(ctx, who.Worker, now, win)
	if err != nil {
		return nil, fmt.Errorf("nawasync: claim: %w", err)
	}
	for _, row := range win {
		if won[row.job.ID] {
			s.markClaimed(row, who.Worker, now)
		} else {
			demote = append(demote, row)
		}
	}
	if err := s.postpone(ctx, later); err != nil {
		return nil, fmt.Errorf("nawasync: claim: %w", err)
	}
	if err := s.demote(ctx, demote); err != nil {
		return nil, fmt.Errorf("nawasync: claim: %w", err)
	}
	fates := map[int64]ClaimResult{}
	for _, row := range win {
		if won[row.job.ID] {
			fates[row.job.ID] = ClaimResult{Fate: Claimed, Job: row.job}
		}
	}
	for _, row := range append(demote, later...) {
		fates[row.job.ID] = ClaimResult{Fate: Waiting}
	}
	for i, c := range claims {
		if result, ok := fates[c.ID]; ok && result.fits(c) {
			results[i] = result
			delete(fates, c.ID) // a doubled task gets the job once
		}
	}
	return results, nil
}

func (r ClaimResult) fits(c Claim) bool { return r.Job == nil || r.Job.Epoch == c.Epoch }

func (s *Store) markClaimed(row lookRow, worker string, now time.Time) {
	j := row.job
	j.Status, j.Worker, j.StartedAt, j.DeadlineAt, j.UpdatedAt = Running, worker, now, row.deadline, now
	j.Attempt++
	j.WakeAt = time.Time{}
}

// ClaimedBy returns the job if it runs under that claim on that worker, else nil. A
// claim whose answer was lost may have been committed: only its worker can tell.
func (s *Store) ClaimedBy(ctx context.Context, worker string, c Claim) (*Job, error) {
	list, err := s.jobs(s.DB(ctx), true, "WHERE j.id = ? AND j.epoch = ? AND j.status = 'running' AND j.worker = ?", c.ID, c.Epoch, worker)
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
		columns = narrowColumns + wideColumns
	}
	var list []lookRow
	var scan jobScan
	err := each(tx, func(rows *sql.Rows) (err error) {
		var row lookRow
		var behind, busy int
		var paused sql.NullInt64
		if wide {
			row.job, err = scan.scan(rows, true, &behind, &busy, &paused)
		} else {
			row.job, err = scanRelay(rows, &behind, &busy, &paused)
		}
		row.behind, row.busy, row.paused = behind != 0, busy != 0, paused.Int64
		list = append(list, row)
		return err
	}, "SELECT "+columns+s.dialect.standing()+from, append([]any{now.UnixMicro(), now.UnixMicro()}, args...)...)
	return list, err
}

// look reads the rows of a batch of claims, sorted by id.
func (s *Store) look(ctx context.Context, claims []Claim) ([]lookRow, error) {
	type fence struct {
		ID    int64 `json:"v_id"`
		Epoch int   `json:"v_epoch"`
	}
	fences := make([]fence, len(claims))
	ids := make([]int64, len(claims))
	for i, c := range claims {
		fences[i], ids[i] = fence(c), c.ID
	}
	pin, pinArgs := s.dialect.pinned(ids)
	text, err := jsonText(fences)
	if err != nil {
		return nil, err
	}
	list, err := s.lookRows(s.DB(ctx), true, " FROM "+s.dialect.rowset("id", "epoch")+
		" JOIN nawasync_jobs j ON j.id = v_id AND j.epoch = v_epoch WHERE j.status = 'queued'"+pin, s.Now(), append([]any{text}, pinArgs...)...)
	slices.SortFunc(list, func(a, b lookRow) int { return cmp.Compare(a.job.ID, b.job.ID) })
	// A task that came twice gives its row twice.
	return slices.CompactFunc(list, func(a, b lookRow) bool { return a.job.ID == b.job.ID }), err
}

type claimRow struct {
	ID       int64 `json:"v_id"`
	Epoch    int   `json:"v_epoch"`
	Deadline int64 `json:"v_deadline"`
}

// take marks the rows running. One refused by the unique index fails its whole
// statement: the batch is then taken apart until the refused row stands alone.
func (s *Store) take(ctx context.Context, worker string, now time.Time, rows []lookRow) (map[int64]bool, error) {
	if len(rows) == 0 {
		return map[int64]bool{}, nil
	}
	batch := make([]claimRow, len(rows))
	ids := make([]int64, len(rows))
	for i, row := range rows {
		ids[i] = row.job.ID
		batch[i] = claimRow{row.job.ID, row.job.Epoch, row.deadline.UnixMicro()}
	}
	var won map[int64]bool
	err := s.alone(ctx, func(tx *gorm.DB) (err error) {
		won, err = s.batch(tx, update{
			columns: []string{"id", "epoch", "deadline"},
			set: "status = 'running', attempt = attempt + 1, running_lane = lane, wake_at = NULL, started_at = ?, updated_at = ?, deadline_at = v_deadline, worker = ?, progress = NULL, " +
				"active_key = CASE WHEN active_key LIKE '" + keyUntilRunning + "%' THEN NULL ELSE active_key END",
			fence: "j.epoch = v_epoch AND j.status = 'queued'",
			args:  []any{now.UnixMicro(), now.UnixMicro(), worker},
		}, ids, batch)
		return err
	})
	if err == nil {
		return won, nil
	}
	if pingErr := s.Ping(ctx); pingErr != nil {
		return nil, err
	}
	if len(rows) == 1 {
		busy, lookErr := s.laneRuns(ctx, rows[0].job)
		if lookErr != nil || !busy {
			return nil, err
		}
		return map[int64]bool{}, nil
	}
	half := len(rows) / 2
	won, err = s.take(ctx, worker, now, rows[:half])
	if err != nil {
		return nil, err
	}
	rest, err := s.take(ctx, worker, now, rows[half:])
	for id := range rest {
		won[id] = true
	}
	return won, err
}

// alone runs one batch statement: by itself where it is atomic, in a transaction
// where it takes two.
func (s *Store) alone(ctx context.Context, fn func(tx *gorm.DB) error) error {
	if s.dialect.returning {
		unlock, err := s.lock(ctx)
		if err != nil {
			return err
		}
		defer unlock()
		return fn(s.DB(ctx))
	}
	return s.Transaction(ctx, fn)
}

func (s *Store) laneRuns(ctx context.Context, j *Job) (bool, error) {
	var n int64
	err := s.DB(ctx).Raw("SELECT COUNT(*) FROM nawasync_jobs WHERE running_lane = ?", j.Lane).Row().Scan(&n)
	return n > 0, err
}
