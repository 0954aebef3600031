package mirror

import (
	"context"
	"encoding/json"
	"fmt"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/bitmap"
	"github.com/nawasara/nawasync/tracker"
)

// hold marks the missing rows, has only those confirmed that an operator has released, and adds a
// hold for an operator to decide on. If the open hold already contains the same rows, it stays
// open and the sync succeeds.
func (s *reconcile) hold(ctx context.Context, missing *missingRows, open *tracker.Hold, reason string) error {
	if err := s.applyMissing(ctx, missing, false); err != nil {
		return err
	}
	rows, err := s.rowsToHold(ctx, missing)
	if err != nil {
		return err
	}
	if open != nil {
		same, err := s.sameRows(ctx, open, rows)
		if err != nil {
			return err
		}
		if same {
			s.result.Held = open.ID
			s.attempt.Logf("held sync %d still waits for a decision; nothing was deleted", open.ID)
			return nil
		}
	}
	arguments, err := json.Marshal(
		heldArgs{Action: s.args.kind.Action, Target: s.args.target.ID, Queue: s.args.queue, Max: s.repo.sync.max, Scope: s.args.Scope, Detail: s.args.Detail},
	)
	if err != nil {
		return err
	}
	limit := s.repo.limit(missing.everSynced)
	if missing.emptied() {
		limit = min(limit, missing.undecided()-1) // not all of them may be missing
	}
	hold := &tracker.Hold{
		Service: s.repo.service, Type: s.repo.typ, Instance: s.args.target.Instance, JobID: s.attempt.Job().ID, Table: s.repo.model.table,
		Rows: missing.everSynced, Missing: missing.undecided(), Limit: limit, Arguments: arguments,
	}
	if err := s.replaceHold(ctx, open, hold, rows); err != nil {
		return err
	}
	s.result.Held = hold.ID
	return fault.WithClass(fault.ClassHeld, fmt.Errorf("held: %s; nothing was deleted; release or reject held sync %d", reason, hold.ID))
}

// rowsToHold returns the missing rows that no operator has decided on.
func (s *reconcile) rowsToHold(ctx context.Context, missing *missingRows) (list []tracker.HeldRow, err error) {
	err = s.eachBatch(ctx, &missing.rows, func(ids []int64) error {
		rows, _, err := s.lockRows(ctx, s.repo.db(ctx), ids, false)
		if err != nil {
			return err
		}
		for i := range rows.Len() {
			if id := s.repo.model.idOf(rows.Index(i)); !missing.kept.Has(id) && !missing.released.Has(id) {
				list = append(list, tracker.HeldRow{Row: id, TargetID: s.repo.model.target(rows.Index(i))})
			}
		}
		return nil
	})
	return list, err
}

// sameRows reports whether an open hold contains exactly the given rows.
func (s *reconcile) sameRows(ctx context.Context, open *tracker.Hold, rows []tracker.HeldRow) (bool, error) {
	ids := bitmap.Bitmap{}
	for _, row := range rows {
		ids.Add(row.Row)
	}
	same, n := true, int64(0)
	err := s.eachOpenHeldRow(ctx, open.ID, func(row int64) {
		n++
		same = same && ids.Has(row)
	})
	return same && n == ids.Len(), err
}

// replaceHold withdraws the open hold, if any, and adds a new one with its rows.
func (s *reconcile) replaceHold(ctx context.Context, open, hold *tracker.Hold, rows []tracker.HeldRow) error {
	store := s.repo.engine.Store()
	return s.fenced(ctx, func(tx *gorm.DB) error {
		if open != nil {
			if err := store.CloseHold(ctx, tx, open.ID, tracker.HoldWithdrawn, "nawasync"); err != nil {
				return err
			}
		}
		if err := store.AddHold(ctx, tx, hold); err != nil {
			return err
		}
		return store.AddHeldRows(ctx, tx, hold.ID, rows)
	})
}

// applyMissing marks the missing rows. If withinLimit is set, it also counts the listing in
// missing_runs. Then it dispatches the job that asks the remote for the objects that have been
// missing for long enough, or whose deletion an operator has released.
func (s *reconcile) applyMissing(ctx context.Context, missing *missingRows, withinLimit bool) error {
	now := nawasync.Timestamp{Time: s.repo.engine.Store().Now()}
	err := s.eachBatch(ctx, &missing.rows, func(ids []int64) error {
		before := cloneResult(&s.result)
		var changes []tracker.Change
		err := s.fenced(ctx, func(tx *gorm.DB) error {
			s.result, changes = cloneResult(&before), nil // discard the counts of a transaction that is retried
			rows, finishedAt, err := s.lockRows(ctx, tx, ids, true)
			if err != nil {
				return err
			}
			var mark []int64
			for i := range rows.Len() {
				row := rows.Index(i)
				id, status := s.repo.model.idOf(row), s.repo.status(row)
				if s.changedByJob(status, finishedAt, s.startedAt) {
					s.result.InFlight++
					continue
				}
				s.result.Missing++
				mark = append(mark, id)
				longEnough := status.MissingRuns+1 >= s.repo.missingRuns && status.State != nawasync.StateConflict
				switch {
				case missing.kept.Has(id):
					s.result.Kept++
				case missing.released.Has(id), withinLimit && longEnough:
					s.result.Confirming++
				}
				if status.MissingSince.IsZero() {
					s.record(&changes, row, tracker.ChangeVanished, nil)
				}
			}
			if err := s.markMissing(tx, mark, now, withinLimit); err != nil {
				return err
			}
			return s.repo.engine.Store().AddChanges(ctx, tx, changes)
		})
		s.recordedCount.Add(int64(len(changes)))
		return err
	})
	if err != nil || s.result.Confirming == 0 {
		return err
	}
	return s.dispatchConfirm(ctx)
}

// markMissing marks rows as missing. If countRun is set, it also adds 1 to missing_runs.
func (s *reconcile) markMissing(tx *gorm.DB, ids []int64, now nawasync.Timestamp, countRun bool) error {
	if len(ids) == 0 {
		return nil
	}
	runs := 0
	if countRun {
		runs = 1
	}
	err := tx.Exec(
		"UPDATE "+s.repo.quoted+" SET sync_status = CASE WHEN sync_status = 'conflict' THEN 'conflict' ELSE 'missing' END, missing_since = COALESCE(missing_since, ?), missing_runs = missing_runs + ? WHERE id IN ?",
		now,
		runs,
		ids,
	).Error
	if err != nil {
		return fmt.Errorf("write %s: %w", s.repo.model.table, err)
	}
	return nil
}
