package mirror

import (
	"context"
	"encoding/json"
	"fmt"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/bitmap"
	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/tracker"
)

// hold marks the missing rows, deletes only those that an operator has released, and adds a hold
// for an operator to decide on. If the open hold already contains the same rows, it stays
// open and the sync succeeds.
func (s *reconcile) hold(ctx context.Context, missing *missingRows, open *tracker.Hold, undecided int64) error {
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
	arguments, err := json.Marshal(heldArgs{Action: s.args.kind.Action, Target: s.args.target.ID, Queue: s.args.queue, Scope: s.args.Scope, Detail: s.args.Detail})
	if err != nil {
		return err
	}
	hold := &tracker.Hold{
		Service: s.repo.service, Type: s.repo.typ, Instance: s.args.target.Instance, JobID: s.attempt.Job().ID, Table: s.repo.model.table,
		Rows: missing.everSynced, Missing: undecided, Limit: s.repo.limit(missing.everSynced), Arguments: arguments,
	}
	if err := s.replaceHold(ctx, open, hold, rows); err != nil {
		return err
	}
	s.result.Held = hold.ID
	return fault.WithClass(fault.ClassHeld, fmt.Errorf("held: %d of %d rows are not in the listing, over the limit of %d; nothing was deleted; release or reject held sync %d",
		undecided, missing.everSynced, hold.Limit, hold.ID))
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
	held := jobstore.HeldRows{Scope: s.holdScope(), Status: tracker.HoldOpen, Hold: open.ID}
	err := s.repo.engine.Store().EachHeldRow(ctx, held, func(row int64) {
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
// missing_runs, and deletes the rows that have been missing long enough. It always deletes rows
// whose deletion an operator has released, and never those whose deletion an operator has
// rejected.
func (s *reconcile) applyMissing(ctx context.Context, missing *missingRows, withinLimit bool) error {
	now := nawasync.Timestamp{Time: s.repo.engine.Store().Now()}
	return s.eachBatch(ctx, &missing.rows, func(ids []int64) error {
		before := cloneResult(&s.result)
		var changes []tracker.Change
		err := s.fenced(ctx, func(tx *gorm.DB) error {
			s.result, changes = cloneResult(&before), nil // discard the counts of a transaction that is retried
			rows, finishedAt, err := s.lockRows(ctx, tx, ids, true)
			if err != nil {
				return err
			}
			var remove, mark []int64
			for i := range rows.Len() {
				row := rows.Index(i)
				id, status := s.repo.model.idOf(row), s.repo.status(row)
				if s.changedByJob(status, finishedAt, s.startedAt) {
					s.result.InFlight++
					continue
				}
				s.result.Missing++
				longEnough := status.MissingRuns+1 >= s.repo.missingRuns && status.State != nawasync.StateConflict
				kind := tracker.ChangeVanished
				switch {
				case missing.kept.Has(id):
					s.result.Kept++
					mark = append(mark, id)
				case missing.released.Has(id), withinLimit && longEnough:
					remove, kind = append(remove, id), tracker.ChangeDeleted
				default:
					mark = append(mark, id)
				}
				if kind == tracker.ChangeDeleted || status.MissingSince.IsZero() {
					s.record(&changes, row, kind, nil)
				}
			}
			s.result.Deleted += int64(len(remove))
			if err := s.deleteRows(tx, remove); err != nil {
				return err
			}
			if err := s.markMissing(tx, mark, now, withinLimit); err != nil {
				return err
			}
			return s.repo.engine.Store().AddChanges(ctx, tx, changes)
		})
		s.recordedCount.Add(int64(len(changes)))
		return err
	})
}

func (s *reconcile) deleteRows(tx *gorm.DB, ids []int64) error {
	if len(ids) == 0 {
		return nil
	}
	if err := tx.Exec("DELETE FROM "+s.repo.quoted+" WHERE id IN ?", ids).Error; err != nil {
		return fmt.Errorf("delete from %s: %w", s.repo.model.table, err)
	}
	return nil
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
	err := tx.Exec("UPDATE "+s.repo.quoted+" SET sync_status = CASE WHEN sync_status = 'conflict' THEN 'conflict' ELSE 'missing' END, missing_since = COALESCE(missing_since, ?), missing_runs = missing_runs + ? WHERE id IN ?",
		now, runs, ids).Error
	if err != nil {
		return fmt.Errorf("write %s: %w", s.repo.model.table, err)
	}
	return nil
}
