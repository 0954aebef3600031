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
	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/tracker"
)

// missingRows is what a listing did not have, of the rows that were there when it
// began.
type missingRows struct {
	everSynced int64 // rows that the remote once had
	rows       bitmap.Bitmap
	kept       bitmap.Bitmap // a person has rejected their deletion
	released   bitmap.Bitmap // a person has allowed it
	returned   []int64       // kept rows that are there again
}

// undecided are the absent rows that no person has decided on.
func (a *missingRows) undecided() int64 {
	return a.rows.Len() - overlap(&a.rows, &a.kept) - overlap(&a.rows, &a.released)
}

// handleMissing judges what the listing did not have: first whether so much can be
// believed, then row by row.
func (s *reconcile) handleMissing(ctx context.Context) error {
	if s.proof.Level == ProofNone {
		return nil
	}
	absent, err := s.findMissing(ctx)
	if err != nil {
		return err
	}
	doubtful := absent.undecided()
	over := doubtful > s.repo.limit(absent.everSynced)
	if s.proof.Level == ProofExhausted && !over {
		if err := s.confirmGone(ctx, absent); err != nil {
			return err
		}
	}
	if s.attempt == nil {
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
	open, err := s.repo.engine.Store().OpenHold(ctx, s.repo.service, s.repo.typ, s.args.target.Instance)
	if err != nil {
		return err
	}
	if over {
		return s.hold(ctx, absent, open, doubtful)
	}
	if open != nil {
		err := s.fenced(ctx, func(tx *gorm.DB) error {
			return s.repo.engine.Store().CloseHold(ctx, tx, open.ID, tracker.HoldWithdrawn, "nawasync")
		})
		if err != nil {
			return err
		}
		s.attempt.Logf("held sync %d is withdrawn: its rows are back", open.ID)
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

// holdScope is the scope of the holds of this sync.
func (s *reconcile) holdScope() jobstore.HoldScope {
	return jobstore.HoldScope{Service: s.repo.service, Type: s.repo.typ, Instance: s.args.target.Instance}
}

// findMissing scans the scope by primary key, without what came after the beginning.
func (s *reconcile) findMissing(ctx context.Context) (*missingRows, error) {
	out, m, store := &missingRows{}, s.repo.model, s.repo.engine.Store()
	rejected := jobstore.HeldRows{Scope: s.holdScope(), Status: tracker.HoldRejected}
	if err := store.EachHeldRow(ctx, rejected, func(row int64) { out.kept.Add(row) }); err != nil {
		return nil, err
	}
	if s.args.Release != 0 {
		released := jobstore.HeldRows{Scope: s.holdScope(), Status: tracker.HoldReleased, Hold: s.args.Release}
		if err := store.EachHeldRow(ctx, released, func(row int64) { out.released.Add(row) }); err != nil {
			return nil, err
		}
	}
	where, args := s.inScope()
	columns := []string{"id", "sync_status", "sync_job_id", "last_synced_at"}
	if len(s.skipped) > 0 {
		columns = s.repo.columns() // it may ask for anything
	}
	for after := int64(0); ; {
		rows := reflect.New(reflect.SliceOf(m.schema.ModelType))
		err := s.repo.db(ctx).Table(m.table).Select(columns).
			Where(where+"id > ? AND id <= ?", append(slices.Clone(args), after, s.maxID)...).Order("id").Limit(5000).Find(rows.Interface()).Error
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", m.table, err)
		}
		list := rows.Elem()
		var candidates []reflect.Value
		var jobs []int64
		for i := range list.Len() {
			row := list.Index(i)
			id, status := m.idOf(row), s.repo.status(row)
			after = id
			if status.LastSyncedAt.IsZero() {
				continue // the remote never had it
			}
			if s.outsideListing(row) {
				continue
			}
			out.everSynced++
			if s.seen.Has(id) {
				if out.kept.Has(id) {
					out.returned = append(out.returned, id)
				}
				continue
			}
			candidates = append(candidates, row)
			if status.SyncJobID != nil {
				jobs = append(jobs, *status.SyncJobID)
			}
		}
		last, err := store.FinishTimes(ctx, s.repo.db(ctx), jobs)
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
		if s.changedByJob(s.repo.status(row), last, s.startedAt) {
			s.result.InFlight++
		} else {
			into.Add(s.repo.model.idOf(row))
		}
	}
}

// eachBatch calls fn with up to 500 absent rows at a time, whole.
func (s *reconcile) eachBatch(ctx context.Context, absent *bitmap.Bitmap, fn func(ids []int64) error) error {
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
	err := s.eachBatch(ctx, &absent.rows, func(ids []int64) error {
		b := listingBatch{asked: s.repo.engine.Store().Now(), firstNumber: s.listed + 1}
		rows, _, err := s.lockRows(ctx, s.repo.db(ctx), ids, false)
		if err != nil {
			return err
		}
		for i := range rows.Len() {
			row := rows.Index(i)
			if absent.kept.Has(s.repo.model.idOf(row)) {
				gone.Add(s.repo.model.idOf(row)) // it stays whatever the answer
				continue
			}
			there, err := s.repo.getRemote(ctx, row)
			switch {
			case fault.ClassOf(err) == fault.ClassGone:
				gone.Add(s.repo.model.idOf(row))
			case err != nil:
				return fmt.Errorf("ask for %q, which the listing lacks: %w", s.repo.model.target(row), err)
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
	for chunk := range slices.Chunk(absent.returned, 500) {
		err := s.fenced(ctx, func(tx *gorm.DB) error {
			return s.repo.engine.Store().DropHeldRows(ctx, tx, s.holdScope(), chunk)
		})
		if err != nil {
			return err
		}
	}
	return nil
}
