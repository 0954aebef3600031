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
)

// reconcileSlack is how far the clocks of two processes may be apart when a job's
// ending is compared with a page's request. A row that ended so close to it is left
// to the next run.
const reconcileSlack = 200 * time.Millisecond

// reconcile is one full sync: the remote's list against the rows of a scope.
//
// Rows that a job is about to change, or has changed since the page was requested,
// are left alone: the page may be older than they are. That is judged under a lock
// on the row, which every dispatch and every ending takes too.
type reconcile struct {
	repo    *repo
	attempt host.Attempt // nil for a plan, which writes nothing
	scope   reflect.Value
	args    *syncArgs
	result  nawasync.SyncResult

	startedAt time.Time
	maxID     int64 // rows above came after the beginning: their absence means nothing
	// What the listing had: rows, and keys without one.
	seen          bitmap.Bitmap
	unmatchedKeys map[string]bool
	// Objects that could not be stored, and why.
	refused       []string
	added         int64       // rows of ours that it added, which are not in seen
	scopeEmpty    atomic.Bool // the scope had no row: nothing need be looked up
	firstLoad     bool        // the scope had no row when the sync began
	recordedCount atomic.Int64
	mu            sync.Mutex // over what outcomes are added to

	// Of the listing alone, which goes on while a batch is compared.
	filling      listingBatch // that is being filled
	listed       int64
	skipped      []func(reflect.Value) bool // rows that it cannot cover
	total        int64                      // as the server counted
	totalChanged bool                       // its count changed while it was listed
	proof        *Proof
}

// run lists the remote, and compares and writes each batch of the listing while the next
// is fetched (reconcile_list.go, reconcile_batch.go, reconcile_write.go,
// reconcile_insert.go). Only when the listing is proven to be whole does it handle the
// rows that were not in it (reconcile_missing.go): it holds them for a person, or marks
// and deletes them (reconcile_prune.go).
func (s *reconcile) run(ctx context.Context) error {
	if err := s.begin(ctx); err != nil {
		return err
	}
	if err := s.list(ctx); err != nil {
		return err
	}
	if ctx.Err() != nil { // a batch may have been left out
		return context.Cause(ctx)
	}
	if err := s.checkProof(); err != nil {
		return err
	}
	return s.handleMissing(ctx)
}

// begin notes what was there before the listing.
func (s *reconcile) begin(ctx context.Context) error {
	s.startedAt, s.unmatchedKeys = s.repo.engine.Store().Now(), map[string]bool{}
	s.result.Drifted = map[string]int64{}
	var most *int64
	if err := s.repo.db(ctx).Table(s.repo.model.table).Select("MAX(id)").Scan(&most).Error; err != nil {
		return fmt.Errorf("read %s: %w", s.repo.model.table, err)
	}
	if most != nil {
		s.maxID = *most
	}
	where, args := s.inScope()
	var there []int64
	if err := s.repo.db(ctx).Table(s.repo.model.table).Where(where+"1 = 1", args...).Limit(1).Pluck("id", &there).Error; err != nil {
		return fmt.Errorf("read %s: %w", s.repo.model.table, err)
	}
	s.firstLoad = len(there) == 0
	s.scopeEmpty.Store(s.firstLoad && s.attempt != nil)
	return nil
}

// checkProof says why a listing is not all there is, where its own figures show it.
func (s *reconcile) checkProof() error {
	var problem string
	distinct := s.seen.Len() + int64(len(s.unmatchedKeys)) + s.added
	switch {
	case s.proof == nil:
		problem = "the listing ended without a single page"
	case len(s.refused) > 0:
		problem = fmt.Sprintf("%d objects could not be stored, for instance: %s", len(s.refused), s.refused[0])
	case s.totalChanged:
		problem = "the server's count of objects changed while they were listed"
	case s.total > 0 && distinct != s.total:
		problem = fmt.Sprintf("the listing is not whole: the server counts %d objects and %d different ones came", s.total, distinct)
	case s.proof.Level == ProofNone && s.total > 0:
		problem = "the listing ended before its last page"
	default:
		s.result.Proof = s.proof.Level.String()
		return nil
	}
	return fault.WithClass(fault.ClassTransient, errors.New(problem+"; what came was stored, nothing was deleted"))
}
