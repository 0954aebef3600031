package jobstore

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/jobrow"
	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

// takeHeads claims in one statement what may run, where the database can return
// what it changed, and returns the claims that are left. That is how nearly all go.
func (s *Store) takeHeads(ctx context.Context, b *claimBatch, claims []Claim) (rest []Claim, err error) {
	if !s.dialect.Returning || len(b.who.Serves) == 0 {
		return claims, nil
	}
	unlock, err := s.lockWriter(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	text, pin, pinArgs, err := s.fences(claims)
	if err != nil {
		return nil, err
	}
	now := s.Now().UnixMicro()
	args := []any{now, now, b.who.Worker, now}
	kinds := make([]string, len(b.who.Serves))
	for i, served := range b.who.Serves {
		kinds[i] = served.Kind
		args = append(args, served.Kind, served.Timeout.Microseconds())
	}
	args = append(append(args, text, now, kinds, now, now), pinArgs...)
	columns := jobrow.Columns(true)
	if s.dialect.Name == "sqlite" {
		columns = strings.ReplaceAll(columns, "j.", "")
	}
	s.reachMoment(MomentClaiming)
	err = sqlkit.Each(s.DB(ctx), func(rows *sql.Rows) error {
		row, err := jobrow.Scan(rows, true)
		if err == nil {
			b.won(jobOf(row))
		}
		return err
	}, "UPDATE nawasync_jobs AS j SET "+setRunning+", deadline_at = ? + CASE "+s.dialect.KindText()+strings.Repeat(" WHEN ? THEN CAST(? AS BIGINT)", len(kinds))+
		" END"+
		" FROM "+s.dialect.Rowset("id", "epoch")+" WHERE j.id = v_id AND j.epoch = v_epoch AND j.status = 'queued' AND j.not_before <= ? AND "+s.dialect.KindText()+
		" IN ?"+
		" AND "+s.dialect.Behind()+" = 0 AND "+sqlkit.LaneBusy+" = 0 AND "+sqlkit.PausedUntil+" IS NULL"+pin+" RETURNING "+columns, args...)
	if err != nil {
		// One that lost its lane to another process fails them all.
		if s.Ping(ctx) != nil {
			return nil, err
		}
		b.unsure = true
		clear(b.results)
	}
	for _, c := range claims {
		if result, ok := b.results[c.ID]; !ok || !result.sameEpoch(c) {
			rest = append(rest, c)
		}
	}
	return rest, nil
}

// lookAndTake reads the rows, claims what may run, and sees to it that the others
// are rung again when they may.
func (s *Store) lookAndTake(ctx context.Context, b *claimBatch, claims []Claim) error {
	seen, err := s.look(ctx, claims)
	s.reachMoment(MomentPauseRead)
	if err != nil {
		return err
	}
	now := s.Now()
	lanes := map[int64]bool{}
	var win, demote, later []lookRow
	for _, row := range seen {
		timeout, served := b.who.timeout(row.job)
		switch {
		case row.job.Status != tracker.StatusQueued:
			continue
		case row.job.NotBefore.After(now):
			row.wake = row.job.NotBefore
			later = append(later, row)
		case row.paused > 0:
			row.wake = sqlkit.FromMicros(row.paused)
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
	won, err := s.take(ctx, b, now, win)
	if err != nil {
		return err
	}
	for _, row := range win {
		if won[row.job.ID] {
			s.markClaimed(row, b.who.Worker, now)
			b.won(row.job)
		} else {
			demote = append(demote, row)
		}
	}
	for _, row := range append(demote, later...) {
		b.results[row.job.ID] = ClaimResult{Outcome: ClaimDeferred}
	}
	if err := s.postpone(ctx, later); err != nil {
		return err
	}
	return s.demote(ctx, demote)
}

// fences are the claims as a rowset, and what pins a plan to their ids.
func (s *Store) fences(claims []Claim) (text, pin string, pinArgs []any, err error) {
	type fence struct {
		ID    int64 `json:"v_id"`
		Epoch int   `json:"v_epoch"`
	}
	fences := make([]fence, len(claims))
	ids := make([]int64, len(claims))
	for i, c := range claims {
		fences[i], ids[i] = fence(c), c.ID
	}
	pin, pinArgs = s.dialect.Pinned(ids)
	text, err = sqlkit.JSONText(fences)
	return text, pin, pinArgs, err
}

// look reads the rows of a batch of claims, sorted by id.
func (s *Store) look(ctx context.Context, claims []Claim) ([]lookRow, error) {
	text, pin, pinArgs, err := s.fences(claims)
	if err != nil {
		return nil, err
	}
	list, err := s.lookRows(s.DB(ctx), true, " FROM "+s.dialect.Rowset("id", "epoch")+
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
func (s *Store) take(ctx context.Context, b *claimBatch, now time.Time, rows []lookRow) (map[int64]bool, error) {
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
	s.reachMoment(MomentClaiming)
	err := s.singleStatement(ctx, func(tx *gorm.DB) (err error) {
		won, err = s.batch(tx, updateStatement{
			columns: []string{"id", "epoch", "deadline"},
			set:     setRunning + ", deadline_at = v_deadline",
			fence:   queuedFence,
			args:    []any{now.UnixMicro(), now.UnixMicro(), b.who.Worker},
		}, ids, batch)
		return err
	})
	if err == nil {
		return won, nil
	}
	if pingErr := s.Ping(ctx); pingErr != nil {
		return nil, err
	}
	b.unsure = true
	if len(rows) == 1 {
		runs, lookErr := s.laneRuns(ctx, rows[0].job)
		if lookErr != nil || !runs {
			return nil, err
		}
		return map[int64]bool{}, nil
	}
	half := len(rows) / 2
	won, err = s.take(ctx, b, now, rows[:half])
	if err != nil {
		return nil, err
	}
	rest, err := s.take(ctx, b, now, rows[half:])
	for id := range rest {
		won[id] = true
	}
	return won, err
}

func (s *Store) laneRuns(ctx context.Context, j *Job) (bool, error) {
	var n int64
	err := s.DB(ctx).Raw("SELECT COUNT(*) FROM nawasync_jobs WHERE running_lane = ?", j.Lane).Row().Scan(&n)
	return n > 0, err
}

func (s *Store) markClaimed(row lookRow, worker string, now time.Time) {
	j := row.job
	j.Status, j.Worker, j.StartedAt, j.DeadlineAt, j.UpdatedAt = tracker.StatusRunning, worker, now, row.deadline, now
	j.Attempt++
	j.WakeAt = time.Time{}
}
