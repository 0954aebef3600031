package mirror

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/bitmap"
	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/tracker"
)

// scanRows is how many rows findMissing reads in one query.
const scanRows = 5000

// missingRows holds the rows that a listing did not contain, although they existed when the
// listing began.
type missingRows struct {
	everSynced int64         // number of rows in the scope that have ever been synced
	listed     int64         // how many of them the listing contained
	rows       bitmap.Bitmap // the missing rows
	kept       bitmap.Bitmap // rows whose deletion an operator has rejected
	released   bitmap.Bitmap // rows whose deletion an operator has released
	returned   []int64       // kept rows that are listed again
	due        bool          // one of them has been missing for long enough to be confirmed
	outside    []int64       // rows that were missing before and are outside this listing
}

// undecided returns the number of missing rows that no operator has decided on.
func (m *missingRows) undecided() int64 {
	return m.rows.Len() - overlap(&m.rows, &m.kept) - overlap(&m.rows, &m.released)
}

// handleMissing handles the rows that the listing did not contain. If too many are missing, the
// sync is held. Otherwise each row is marked.
func (s *reconcile) handleMissing(ctx context.Context) error {
	if s.level == ProofNone {
		return nil
	}
	missing, err := s.findMissing(ctx)
	if err != nil {
		return err
	}
	reason, err := s.holdReason(ctx, missing)
	if err != nil {
		return err
	}
	if s.attempt == nil {
		s.result.Missing = missing.rows.Len()
		s.result.Kept = overlap(&missing.rows, &missing.kept)
		if reason != "" {
			s.result.Held = -1
		}
		return s.planMissing(ctx, missing)
	}
	if err := s.clearReturned(ctx, missing); err != nil {
		return err
	}
	open, err := s.repo.engine.Store().OpenHold(ctx, s.repo.service, s.repo.typ, s.args.target.Instance)
	if err != nil {
		return err
	}
	if reason != "" {
		return s.hold(ctx, missing, open, reason)
	}
	if open != nil {
		err := s.fenced(ctx, func(tx *gorm.DB) error {
			return s.repo.engine.Store().CloseHold(ctx, tx, open.ID, tracker.HoldWithdrawn, "nawasync")
		})
		if err != nil {
			return err
		}
		s.attempt.Logf("withdrew held sync %d: the number of missing rows is within the limit again", open.ID)
	}
	return s.applyMissing(ctx, missing, true)
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

// findMissing scans the rows of the scope that existed when the sync began, by primary key. Of listed rows it
// reads the ids only.
func (s *reconcile) findMissing(ctx context.Context) (*missingRows, error) {
	out := &missingRows{}
	if err := s.readDecisions(ctx, out); err != nil {
		return nil, err
	}
	where, args := s.inScope()
	columns := []string{"id", "sync_status", "sync_job_id", "last_synced_at", "missing_runs"}
	if len(s.skipped) > 0 {
		columns = s.repo.columns() // Page.Skipped may read any column
	}
	for after := int64(0); ; {
		last, all, err := s.skipListed(ctx, after, out)
		if err != nil || all {
			return out, err
		}
		after = last
		found := reflect.New(reflect.SliceOf(s.repo.model.schema.ModelType))
		err = s.repo.db(ctx).Table(s.repo.model.table).Select(columns).
			Where(where+"id > ? AND id <= ?", append(slices.Clone(args), after, s.maxID)...).Order("id").Limit(scanRows).Find(found.Interface()).Error
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", s.repo.model.table, err)
		}
		rows := found.Elem()
		unlisted, jobs := s.unlisted(rows, out)
		finishedAt, err := s.repo.engine.Store().FinishTimes(ctx, s.repo.db(ctx), jobs)
		if err != nil {
			return nil, err
		}
		s.splitInFlight(unlisted, finishedAt, out)
		if rows.Len() < scanRows {
			return out, nil
		}
		after = s.repo.model.idOf(rows.Index(rows.Len() - 1))
	}
}

// readDecisions reads what operators have decided on held rows of the scope.
func (s *reconcile) readDecisions(ctx context.Context, out *missingRows) error {
	store := s.repo.engine.Store()
	rejected := jobstore.HeldRows{Scope: s.holdScope(), Status: tracker.HoldRejected}
	err := store.EachHeldRow(ctx, rejected, func(row int64) { out.kept.Add(row) })
	if err != nil || s.args.Release == 0 {
		return err
	}
	released := jobstore.HeldRows{Scope: s.holdScope(), Status: tracker.HoldReleased, Hold: s.args.Release}
	return store.EachHeldRow(ctx, released, func(row int64) { out.released.Add(row) })
}

// eachOpenHeldRow calls fn with the rows that wait for a decision on the open hold.
func (s *reconcile) eachOpenHeldRow(ctx context.Context, hold int64, fn func(row int64)) error {
	return s.repo.engine.Store().EachHeldRow(ctx, jobstore.HeldRows{Scope: s.holdScope(), Status: tracker.HoldOpen, Hold: hold}, fn)
}

// holdScope returns the scope of the holds of this sync.
func (s *reconcile) holdScope() jobstore.HoldScope {
	return jobstore.HoldScope{Service: s.repo.service, Type: s.repo.typ, Instance: s.args.target.Instance}
}

// unlisted returns those of the rows that the listing did not contain, and the last jobs that
// changed them. It also counts the synced rows, and collects the kept rows that are listed again.
func (s *reconcile) unlisted(rows reflect.Value, out *missingRows) (unlisted []reflect.Value, jobs []int64) {
	for i := range rows.Len() {
		row := rows.Index(i)
		id, status := s.repo.model.idOf(row), s.repo.status(row)
		if status.LastSyncedAt.IsZero() {
			continue // the remote has never had the object
		}
		if s.collided.Has(id) {
			continue // its object is that of another row
		}
		if s.outsideListing(row) {
			if status.MissingRuns > 0 {
				out.outside = append(out.outside, id)
			}
			continue
		}
		out.everSynced++
		if s.seen.Has(id) {
			out.listed++
			if out.kept.Has(id) {
				out.returned = append(out.returned, id)
			}
			continue
		}
		unlisted = append(unlisted, row)
		if status.SyncJobID != nil {
			jobs = append(jobs, *status.SyncJobID)
		}
	}
	return unlisted, jobs
}

// outsideListing reports whether the remote excluded the row from the listing.
func (s *reconcile) outsideListing(row reflect.Value) bool {
	return s.outside.Has(s.repo.model.idOf(row)) || slices.ContainsFunc(s.skipped, func(skipped func(reflect.Value) bool) bool { return skipped(row) })
}

// splitInFlight adds the unlisted rows to the missing ones, except those that a job changes or has changed
// since the sync began.
func (s *reconcile) splitInFlight(unlisted []reflect.Value, finishedAt map[int64]time.Time, out *missingRows) {
	for _, row := range unlisted {
		if s.changedByJob(s.repo.status(row), finishedAt, s.startedAt) {
			s.result.InFlight++
			continue
		}
		out.rows.Add(s.repo.model.idOf(row))
		out.due = out.due || s.repo.status(row).MissingRuns+1 >= s.repo.missingRuns
	}
}

// eachBatch calls fn with up to 500 ids at a time, in ascending order.
func (s *reconcile) eachBatch(ctx context.Context, rows *bitmap.Bitmap, fn func(ids []int64) error) error {
	ids := make([]int64, 0, rows.Len())
	for id := range rows.All() {
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

// clearReturned ends the rejections of kept rows that are listed again. It also lets the rows
// outside the listing start again with 0: the listings without a row must be consecutive.
func (s *reconcile) clearReturned(ctx context.Context, missing *missingRows) error {
	for chunk := range slices.Chunk(missing.outside, 500) {
		err := s.fenced(ctx, func(tx *gorm.DB) error {
			return tx.Exec("UPDATE "+s.repo.quoted+" SET missing_runs = 0 WHERE id IN ?", chunk).Error
		})
		if err != nil {
			return fmt.Errorf("write %s: %w", s.repo.model.table, err)
		}
	}
	for chunk := range slices.Chunk(missing.returned, 500) {
		err := s.fenced(ctx, func(tx *gorm.DB) error {
			return s.repo.engine.Store().DropHeldRows(ctx, tx, s.holdScope(), chunk)
		})
		if err != nil {
			return err
		}
	}
	return nil
}
