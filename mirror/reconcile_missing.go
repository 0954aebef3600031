package mirror

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/bitmap"
	"github.com/nawasara/nawasync/tracker"
)

// missingRows is what a listing did not have, of the rows that were there when it
// began.
type missingRows struct {
	known    int64 // rows that the remote once had
	rows     bitmap.Bitmap
	kept     bitmap.Bitmap // a person has rejected their deletion
	released bitmap.Bitmap // a person has allowed it
	back     []int64       // kept rows that are there again
}

// undecided are the absent rows that no person has decided on.
func (a *missingRows) undecided() int64 {
	return a.rows.Len() - overlap(&a.rows, &a.kept) - overlap(&a.rows, &a.released)
}

// handleMissing judges what the listing did not have: first whether so much can be
// believed, then row by row.
func (s *reconcile) handleMissing(ctx context.Context) error {
	if s.proof.Level == Unproven {
		return nil
	}
	absent, err := s.findMissing(ctx)
	if err != nil {
		return err
	}
	doubtful := absent.undecided()
	over := doubtful > s.r.limit(absent.known)
	if s.proof.Level == Exhausted && !over {
		if err := s.confirmGone(ctx, absent); err != nil {
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
	if err := s.clearReturned(ctx, absent); err != nil {
		return err
	}
	open, err := s.r.engine.Store().OpenHold(ctx, s.r.service, s.r.typ, s.args.target.Instance)
	if err != nil {
		return err
	}
	if over {
		return s.hold(ctx, absent, open, doubtful)
	}
	if open != nil {
		err := s.fenced(ctx, func(tx *gorm.DB) error {
			return s.r.engine.Store().CloseHold(ctx, tx, open.ID, tracker.HoldWithdrawn, "nawasync")
		})
		if err != nil {
			return err
		}
		s.a.Logf("held sync %d is withdrawn: its rows are back", open.ID)
	}
	return s.prune(ctx, absent, true)
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

// findMissing scans the scope by primary key, without what came after the beginning.
func (s *reconcile) findMissing(ctx context.Context) (*missingRows, error) {
	out, m, store := &missingRows{}, s.r.model, s.r.engine.Store()
	instance := s.args.target.Instance
	if err := store.EachHeldRow(ctx, s.r.service, s.r.typ, instance, tracker.HoldRejected, 0, func(row int64) { out.kept.Add(row) }); err != nil {
		return nil, err
	}
	if s.args.Release != 0 {
		if err := store.EachHeldRow(ctx, s.r.service, s.r.typ, instance, tracker.HoldReleased, s.args.Release,
			func(row int64) { out.released.Add(row) }); err != nil {
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
			return nil, fmt.Errorf("read %s: %w", m.table, err)
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
			if s.outsideListing(row) {
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
		s.splitInFlight(candidates, last, &out.rows)
		if list.Len() < 5000 {
			return out, nil
		}
	}
}

// outsideListing reports whether the listing could not have had the row.
func (s *reconcile) outsideListing(row reflect.Value) bool {
	return slices.ContainsFunc(s.skipped, func(skipped func(reflect.Value) bool) bool { return skipped(row) })
}

// splitInFlight adds the rows that no job changes, or has changed since the beginning.
func (s *reconcile) splitInFlight(candidates []reflect.Value, last map[int64]time.Time, into *bitmap.Bitmap) {
	for _, row := range candidates {
		if s.changedByJob(s.r.status(row), last, s.began) {
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

// confirmGone has Get say of each absent row whether it is gone: a listing without a total
// proves nothing by itself. What is there after all is taken as listed.
func (s *reconcile) confirmGone(ctx context.Context, absent *missingRows) error {
	gone := bitmap.Bitmap{}
	err := s.each(ctx, &absent.rows, func(ids []int64) error {
		b := batch{asked: s.r.engine.Store().Now(), firstNumber: s.listed + 1}
		rows, _, err := s.lockRows(ctx, s.r.db(ctx), ids, false)
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
		s.normaliseBatch(&b)
		return s.processBatch(ctx, b)
	})
	absent.rows = gone
	return err
}

// clearReturned forgets that rows were kept which are there again.
func (s *reconcile) clearReturned(ctx context.Context, absent *missingRows) error {
	for chunk := range slices.Chunk(absent.back, 500) {
		err := s.fenced(ctx, func(tx *gorm.DB) error {
			return s.r.engine.Store().DropHeldRows(ctx, tx, s.r.service, s.r.typ, s.args.target.Instance, chunk)
		})
		if err != nil {
			return err
		}
	}
	return nil
}
