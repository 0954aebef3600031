package mirror

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/bitmap"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/tracker"
)

// reconcileSlack allows for the clock difference between two processes. If a job of a row
// finished less than that before the page was requested, the sync leaves the row to
// the next sync.
const reconcileSlack = 200 * time.Millisecond

// slack returns reconcileSlack or, if that is longer, how long the remote may show an earlier state of an
// object after a job has written it.
func (s *reconcile) slack() time.Duration { return max(reconcileSlack, s.repo.settle) }

// reconcile is one sync: it compares the remote's listing with the rows of a scope.
//
// A sync leaves a row unchanged if a job of the row is unfinished, or finished after the page was
// requested: the page may be older than the row. The check holds the row's lock. Dispatches and
// job completions take the same lock.
type reconcile struct {
	repo    *repo
	attempt host.Attempt // nil for a plan, which writes nothing
	scope   reflect.Value
	args    *syncArgs
	result  nawasync.SyncResult
	plan    planned // what a plan has found

	startedAt time.Time
	maxID     int64 // rows with a higher id were added during the sync and never count as missing

	seen          bitmap.Bitmap             // ids of the listed rows, except those that this sync inserted
	collided      bitmap.Bitmap             // ids of rows whose key is that of another row
	unmatchedKeys map[tracker.Identity]bool // keys of listed objects without a row
	unkeyed       int64                     // number of listed objects that have no key in the scope
	added         int64                     // number of rows that this sync inserted
	replaced      int64                     // number of rows whose objects were made again
	replaceLimit  *int64                    // how many may be; nil until one is
	scopeEmpty    atomic.Bool               // the scope has no row yet, so there is nothing to compare with
	outside       bitmap.Bitmap             // rows that pages of earlier attempts excluded from the listing
	firstLoad     bool                      // the scope had no row when the sync began
	recordedCount atomic.Int64              // changes in the history
	mu            sync.Mutex                // guards what addResult changes
	deleted       deletedRows               // the deleted rows of the scope
	comparing     sync.Mutex                // held while a batch is compared, so that batches are compared in their order
	last          chan struct{}             // closed after the insert of the last batch that was taken; guarded by comparing
	unused        chan reflect.Value        // copies of listed objects that no batch needs any more
	window        rowWindow                 // which rows belong to the next batch; guarded by comparing

	// The fields below belong to the goroutine that reads the listing.
	filling      listingBatch               // the batch that is being filled
	listed       int64                      // number of objects so far
	skipped      []func(reflect.Value) bool // report rows outside the listing
	total        int64                      // number of objects that the server reports
	totalChanged bool                       // the server reported two different totals
	pages        int                        // number of pages so far
	proof        *Proof                     // of the last page
	place        listingPlace               // how far the listing is (reconcile_resume.go)
	level        ProofLevel                 // what the listing proves
}

// run lists the remote, and compares and writes each batch of the listing while the next one is
// fetched (reconcile_list.go, reconcile_batch.go, reconcile_write.go, reconcile_insert.go).
// Only if the listing proves to be complete does it handle the rows that were not listed
// (reconcile_missing.go): it holds them for an operator, or marks them as missing
// (reconcile_apply.go). If the remote's rate limit ends the attempt, the next one goes on where it
// stopped (reconcile_resume.go, reconcile_state.go). It deletes no row: a job of its own asks the
// remote for each object that was missing for long enough (apply_confirm.go). At the end it removes
// rows that were deleted long ago (purge.go).
func (s *reconcile) run(ctx context.Context) error {
	if err := s.begin(ctx); err != nil {
		return err
	}
	if err := s.recall(ctx); err != nil {
		return err
	}
	if !s.place.complete {
		if err := s.list(ctx); err != nil {
			return err
		}
	}
	if ctx.Err() != nil { // batches may have been dropped
		return context.Cause(ctx)
	}
	if err := s.checkProof(); err != nil {
		return err
	}
	s.place.complete = true
	err := s.remember(ctx, s.handleMissing(ctx))
	if s.attempt == nil || (err != nil && fault.ClassOf(err) != fault.ClassHeld) {
		return err
	}
	if failed := s.purge(ctx); failed != nil {
		return errors.Join(err, failed)
	}
	return err
}

// begin records the state of the table before the listing.
func (s *reconcile) begin(ctx context.Context) error {
	s.startedAt, s.unmatchedKeys = s.repo.engine.Store().Now(), map[tracker.Identity]bool{}
	s.result.Drifted = map[string]int64{}
	if err := s.respellRows(ctx); err != nil {
		return err
	}
	var maxID *int64
	if err := s.repo.db(ctx).Table(s.repo.model.table).Select("MAX(id)").Scan(&maxID).Error; err != nil {
		return fmt.Errorf("read %s: %w", s.repo.model.table, err)
	}
	if maxID != nil {
		s.maxID = *maxID
	}
	where, args := s.inScope()
	var versions []int64
	if err := s.repo.db(ctx).Table(s.repo.model.table).Where(where+"1 = 1", args...).Limit(1).Pluck("COALESCE(hash_version, 0)", &versions).Error; err != nil {
		return fmt.Errorf("read %s: %w", s.repo.model.table, err)
	}
	s.firstLoad = len(versions) == 0
	s.scopeEmpty.Store(s.firstLoad && s.attempt != nil)
	if s.firstLoad {
		return nil
	}
	return s.repo.checkVersion(versions[0])
}
