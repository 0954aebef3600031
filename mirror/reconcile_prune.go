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

// hold marks the rows missing, deletes none, and keeps them for a person to decide.
// A hold that waits for the same rows already stays, and the run is a success.
func (s *reconcile) hold(ctx context.Context, absent *missingRows, open *tracker.Hold, doubtful int64) error {
	store := s.repo.engine.Store()
	if err := s.prune(ctx, absent, false); err != nil {
		return err
	}
	var held []tracker.HeldRow
	err := s.eachBatch(ctx, &absent.rows, func(ids []int64) error {
		rows, _, err := s.lockRows(ctx, s.repo.db(ctx), ids, false)
		if err != nil {
			return err
		}
		for i := range rows.Len() {
			if id := s.repo.model.idOf(rows.Index(i)); !absent.kept.Has(id) && !absent.released.Has(id) {
				held = append(held, tracker.HeldRow{Row: id, TargetID: s.repo.model.target(rows.Index(i))})
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if open != nil {
		same, n := true, int64(0)
		mine := bitmap.Bitmap{}
		for _, row := range held {
			mine.Add(row.Row)
		}
		err := store.EachHeldRow(ctx, jobstore.HeldRows{Scope: s.holdScope(), Status: tracker.HoldOpen, Hold: open.ID}, func(row int64) {
			n++
			same = same && mine.Has(row)
		})
		if err != nil {
			return err
		}
		if same && n == mine.Len() {
			s.result.Held = open.ID
			s.attempt.Logf("held sync %d still waits for a person; nothing was deleted", open.ID)
			return nil
		}
	}
	arguments, err := json.Marshal(heldArgs{Action: s.args.kind.Action, Target: s.args.target.ID, Queue: s.args.queue, Scope: s.args.Scope, Detail: s.args.Detail})
	if err != nil {
		return err
	}
	hold := &tracker.Hold{
		Service: s.repo.service, Type: s.repo.typ, Instance: s.args.target.Instance, JobID: s.attempt.Job().ID, Table: s.repo.model.table,
		Rows: absent.everSynced, Missing: doubtful, Limit: s.repo.limit(absent.everSynced), Arguments: arguments,
	}
	err = s.fenced(ctx, func(tx *gorm.DB) error {
		if open != nil {
			if err := store.CloseHold(ctx, tx, open.ID, tracker.HoldWithdrawn, "nawasync"); err != nil {
				return err
			}
		}
		if err := store.AddHold(ctx, tx, hold); err != nil {
			return err
		}
		return store.AddHeldRows(ctx, tx, hold.ID, held)
	})
	if err != nil {
		return err
	}
	s.result.Held = hold.ID
	return fault.WithClass(fault.ClassHeld, fmt.Errorf("held: %d of %d rows are not in the listing, over the limit of %d; nothing was deleted. Release or reject held sync %d", doubtful, absent.everSynced, hold.Limit, hold.ID))
}

// prune marks absent rows missing and, where so much absence is believed, deletes
// those that have been missing long enough or were released.
func (s *reconcile) prune(ctx context.Context, absent *missingRows, believed bool) error {
	now := nawasync.Timestamp{Time: s.repo.engine.Store().Now()}
	return s.eachBatch(ctx, &absent.rows, func(ids []int64) error {
		before := cloneResult(&s.result)
		var changes []tracker.Change
		err := s.fenced(ctx, func(tx *gorm.DB) error {
			s.result, changes = cloneResult(&before), nil
			rows, last, err := s.lockRows(ctx, tx, ids, true)
			if err != nil {
				return err
			}
			var remove, mark []int64
			for i := range rows.Len() {
				row := rows.Index(i)
				id, status := s.repo.model.idOf(row), s.repo.status(row)
				if s.changedByJob(status, last, s.startedAt) {
					s.result.InFlight++
					continue
				}
				s.result.Missing++
				long := status.MissingRuns+1 >= s.repo.missingRuns && status.State != nawasync.StateConflict
				what := tracker.ChangeVanished
				switch {
				case absent.kept.Has(id):
					s.result.Kept++
					mark = append(mark, id)
				case absent.released.Has(id), believed && long:
					remove, what = append(remove, id), tracker.ChangeDeleted
				default:
					mark = append(mark, id)
				}
				if what == tracker.ChangeDeleted || status.MissingSince.IsZero() {
					s.record(&changes, row, what, nil)
				}
			}
			s.result.Deleted += int64(len(remove))
			if err := s.applyMissing(tx, remove, mark, now, believed); err != nil {
				return err
			}
			return s.repo.engine.Store().AddChanges(ctx, tx, changes)
		})
		s.recordedCount.Add(int64(len(changes)))
		return err
	})
}

func (s *reconcile) applyMissing(tx *gorm.DB, remove, mark []int64, now nawasync.Timestamp, believed bool) error {
	if len(remove) > 0 {
		if err := tx.Exec("DELETE FROM "+s.repo.quoted+" WHERE id IN ?", remove).Error; err != nil {
			return fmt.Errorf("delete from %s: %w", s.repo.model.table, err)
		}
	}
	if len(mark) == 0 {
		return nil
	}
	more := 0
	if believed {
		more = 1
	}
	err := tx.Exec("UPDATE "+s.repo.quoted+" SET sync_status = CASE WHEN sync_status = 'conflict' THEN 'conflict' ELSE 'missing' END, missing_since = COALESCE(missing_since, ?), missing_runs = missing_runs + ? WHERE id IN ?",
		now, more, mark).Error
	if err != nil {
		return fmt.Errorf("write %s: %w", s.repo.model.table, err)
	}
	return nil
}
