package nawasync

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/bitmap"
	"github.com/nawasara/nawasync/tracker"
)

// absentRows is what a listing did not have, of the rows that were there when it
// began.
type absentRows struct {
	known    int64 // rows that the remote once had
	rows     bitmap.Bitmap
	kept     bitmap.Bitmap // a person has rejected their deletion
	released bitmap.Bitmap // a person has allowed it
	back     []int64       // kept rows that are there again
}

// absence judges what the listing did not have: first whether so much can be
// believed, then row by row.
func (s *reconcile) absence(ctx context.Context) error {
	if s.proof.Level == Unproven {
		return nil
	}
	absent, err := s.absent(ctx)
	if err != nil {
		return err
	}
	doubtful := absent.doubtful()
	over := doubtful > s.r.limit(absent.known)
	if s.proof.Level == Exhausted && !over {
		if err := s.ask(ctx, absent); err != nil {
			return err
		}
	}
	if s.a == nil {
		s.result.Missing = absent.rows.Len()
		s.result.Kept = overlap(&absent.rows, &absent.kept)
		if over {
			s.result.Held = -1
		}
		return nil
	}
	if err := s.comeBack(ctx, absent); err != nil {
		return err
	}
	open, err := s.r.engine.store.OpenHold(ctx, s.r.service, s.r.typ, s.args.target.Instance)
	if err != nil {
		return err
	}
	if over {
		return s.hold(ctx, absent, open, doubtful)
	}
	if open != nil {
		err := s.fenced(ctx, func(tx *gorm.DB) error {
			return s.r.engine.store.CloseHold(ctx, tx, open.ID, tracker.HoldWithdrawn, "nawasync")
		})
		if err != nil {
			return err
		}
		s.a.Logf("held sync %d is withdrawn: its rows are back", open.ID)
	}
	return s.prune(ctx, absent, true)
}

// doubtful are the absent rows that no person has decided on.
func (a *absentRows) doubtful() int64 {
	return a.rows.Len() - overlap(&a.rows, &a.kept) - overlap(&a.rows, &a.released)
}

func overlap(a, b *bitmap.Bitmap) (n int64) {
	if b.Len() == 0 {
		return 0
	}
	for id := range a.All() {
		if b.Has(id) {
			n++
		}
	}
	return n
}

// absent scans the scope by primary key, without what came after the beginning.
func (s *reconcile) absent(ctx context.Context) (*absentRows, error) {
	out, m, store := &absentRows{}, s.r.model, s.r.engine.store
	instance := s.args.target.Instance
	if err := store.EachHeldRow(ctx, s.r.service, s.r.typ, instance, tracker.HoldRejected, 0, func(row int64) { out.kept.Add(row) }); err != nil {
		return nil, err
	}
	if s.args.Release != 0 {
		if err := store.EachHeldRow(ctx, s.r.service, s.r.typ, instance, tracker.HoldReleased, s.args.Release, func(row int64) { out.released.Add(row) }); err != nil {
			return nil, err
		}
	}
	where, args := s.inScope()
	columns := []string{"id", "sync_status", "sync_job_id", "last_synced_at"}
	if len(s.skipped) > 0 {
		columns = s.r.columns() // it may ask for anything
	}
	for after := int64(0); ; {
		rows := reflect.New(reflect.SliceOf(m.schema.ModelType))
		err := s.r.db(ctx).Table(m.table).Select(columns).
			Where(where+"id > ? AND id <= ?", append(slices.Clone(args), after, s.maxID)...).Order("id").Limit(5000).Find(rows.Interface()).Error
		if err != nil {
			return nil, fmt.Errorf("nawasync: read %s: %w", m.table, err)
		}
		list := rows.Elem()
		var candidates []reflect.Value
		var jobs []int64
		for i := range list.Len() {
			row := list.Index(i)
			id, status := m.idOf(row), s.r.status(row)
			after = id
			if status.LastSyncedAt.IsZero() {
				continue // the remote never had it
			}
			if s.uncovered(row) {
				continue
			}
			out.known++
			if s.seen.Has(id) {
				if out.kept.Has(id) {
					out.back = append(out.back, id)
				}
				continue
			}
			candidates = append(candidates, row)
			if status.SyncJobID != nil {
				jobs = append(jobs, *status.SyncJobID)
			}
		}
		last, err := store.Endings(ctx, s.r.db(ctx), jobs)
		if err != nil {
			return nil, err
		}
		s.sift(candidates, last, &out.rows)
		if list.Len() < 5000 {
			return out, nil
		}
	}
}

// uncovered reports whether the listing could not have had the row.
func (s *reconcile) uncovered(row reflect.Value) bool {
	return slices.ContainsFunc(s.skipped, func(skipped func(reflect.Value) bool) bool { return skipped(row) })
}

// sift adds the rows that no job changes, or has changed since the beginning.
func (s *reconcile) sift(candidates []reflect.Value, last map[int64]time.Time, into *bitmap.Bitmap) {
	for _, row := range candidates {
		if s.busy(s.r.status(row), last, s.began) {
			s.result.InFlight++
		} else {
			into.Add(s.r.model.idOf(row))
		}
	}
}

// each calls fn with up to 500 absent rows at a time, whole.
func (s *reconcile) each(ctx context.Context, absent *bitmap.Bitmap, fn func(ids []int64) error) error {
	ids := make([]int64, 0, absent.Len())
	for id := range absent.All() {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for chunk := range slices.Chunk(ids, 500) {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if err := fn(chunk); err != nil {
			return err
		}
	}
	return nil
}

// ask has Get say of each absent row whether it is gone: a listing without a total
// proves nothing by itself. What is there after all is taken as listed.
func (s *reconcile) ask(ctx context.Context, absent *absentRows) error {
	gone := bitmap.Bitmap{}
	err := s.each(ctx, &absent.rows, func(ids []int64) error {
		b := batch{asked: s.r.engine.store.Now(), first: s.listed + 1}
		rows, _, err := s.locked(ctx, s.r.db(ctx), ids, false)
		if err != nil {
			return err
		}
		for i := range rows.Len() {
			row := rows.Index(i)
			if absent.kept.Has(s.r.model.idOf(row)) {
				gone.Add(s.r.model.idOf(row)) // it stays whatever the answer
				continue
			}
			there, err := s.r.get(ctx, row)
			switch {
			case fault.ClassOf(err) == fault.Gone:
				gone.Add(s.r.model.idOf(row))
			case err != nil:
				return fmt.Errorf("ask for %q, which the listing lacks: %w", s.r.model.target(row), err)
			default:
				b.items = append(b.items, there.value)
			}
		}
		if len(b.items) == 0 {
			return nil
		}
		s.prepare(&b)
		return s.flush(ctx, b)
	})
	absent.rows = gone
	return err
}

// comeBack forgets that rows were kept which are there again.
func (s *reconcile) comeBack(ctx context.Context, absent *absentRows) error {
	for chunk := range slices.Chunk(absent.back, 500) {
		err := s.fenced(ctx, func(tx *gorm.DB) error {
			return s.r.engine.store.DropHeldRows(ctx, tx, s.r.service, s.r.typ, s.args.target.Instance, chunk)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// hold marks the rows missing, deletes none, and keeps them for a person to decide.
// A hold that waits for the same rows already stays, and the run is a success.
func (s *reconcile) hold(ctx context.Context, absent *absentRows, open *tracker.Hold, doubtful int64) error {
	store := s.r.engine.store
	if err := s.prune(ctx, absent, false); err != nil {
		return err
	}
	var held []tracker.HeldRow
	err := s.each(ctx, &absent.rows, func(ids []int64) error {
		rows, _, err := s.locked(ctx, s.r.db(ctx), ids, false)
		if err != nil {
			return err
		}
		for i := range rows.Len() {
			if id := s.r.model.idOf(rows.Index(i)); !absent.kept.Has(id) && !absent.released.Has(id) {
				held = append(held, tracker.HeldRow{Row: id, TargetID: s.r.model.target(rows.Index(i))})
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
		err := store.EachHeldRow(ctx, s.r.service, s.r.typ, s.args.target.Instance, tracker.HoldOpen, open.ID, func(row int64) {
			n++
			same = same && mine.Has(row)
		})
		if err != nil {
			return err
		}
		if same && n == mine.Len() {
			s.result.Held = open.ID
			s.a.Logf("held sync %d still waits for a person; nothing was deleted", open.ID)
			return nil
		}
	}
	arguments, err := json.Marshal(heldArgs{Action: s.args.kind.Action, Target: s.args.target.ID, Queue: s.args.queue, Scope: s.args.Scope, Detail: s.args.Detail})
	if err != nil {
		return err
	}
	hold := &tracker.Hold{
		Service: s.r.service, Type: s.r.typ, Instance: s.args.target.Instance, JobID: s.a.job.ID, Table: s.r.model.table,
		Known: absent.known, Absent: doubtful, Limit: s.r.limit(absent.known), Arguments: arguments,
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
	return &conflictError{held: true, reason: fmt.Sprintf("held: %d of %d rows are not in the listing, over the limit of %d; nothing was deleted. Release or reject held sync %d", doubtful, absent.known, hold.Limit, hold.ID)}
}

// prune marks absent rows missing and, where so much absence is believed, deletes
// those that have been missing long enough or were released.
func (s *reconcile) prune(ctx context.Context, absent *absentRows, believed bool) error {
	now := Timestamp{s.r.engine.store.Now()}
	return s.each(ctx, &absent.rows, func(ids []int64) error {
		before := s.result.clone()
		var changes []tracker.Change
		err := s.fenced(ctx, func(tx *gorm.DB) error {
			s.result, changes = before.clone(), nil
			rows, last, err := s.locked(ctx, tx, ids, true)
			if err != nil {
				return err
			}
			var remove, mark []int64
			for i := range rows.Len() {
				row := rows.Index(i)
				id, status := s.r.model.idOf(row), s.r.status(row)
				if s.busy(status, last, s.began) {
					s.result.InFlight++
					continue
				}
				s.result.Missing++
				long := status.MissingRuns+1 >= s.r.missingRuns && status.State != StateConflict
				what := tracker.Vanished
				switch {
				case absent.kept.Has(id):
					s.result.Kept++
					mark = append(mark, id)
				case absent.released.Has(id), believed && long:
					remove, what = append(remove, id), tracker.Deleted
				default:
					mark = append(mark, id)
				}
				if what == tracker.Deleted || status.MissingSince.IsZero() {
					s.note(&changes, row, what, nil)
				}
			}
			s.result.Deleted += int64(len(remove))
			if err := s.settle(tx, remove, mark, now, believed); err != nil {
				return err
			}
			return s.r.engine.store.AddChanges(ctx, tx, changes)
		})
		s.noted.Add(int64(len(changes)))
		return err
	})
}

func (s *reconcile) settle(tx *gorm.DB, remove, mark []int64, now Timestamp, believed bool) error {
	if len(remove) > 0 {
		if err := tx.Exec("DELETE FROM "+s.r.quoted+" WHERE id IN ?", remove).Error; err != nil {
			return fmt.Errorf("nawasync: delete from %s: %w", s.r.model.table, err)
		}
	}
	if len(mark) == 0 {
		return nil
	}
	more := 0
	if believed {
		more = 1
	}
	err := tx.Exec("UPDATE "+s.r.quoted+" SET sync_status = CASE WHEN sync_status = 'conflict' THEN 'conflict' ELSE 'missing' END, missing_since = COALESCE(missing_since, ?), missing_runs = missing_runs + ? WHERE id IN ?",
		now, more, mark).Error
	if err != nil {
		return fmt.Errorf("nawasync: write %s: %w", s.r.model.table, err)
	}
	return nil
}
