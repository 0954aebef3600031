package mirror

import (
	"context"
	"reflect"
	"slices"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

// listingBatch is a part of the listing that is compared in one step.
type listingBatch struct {
	batchOrder

	items       []reflect.Value
	pages       []int         // number of the page of each item
	fields      []string      // columns that the pages fetched; nil means all
	requestedAt time.Time     // when the oldest of its pages was requested
	firstNumber int64         // position of its first object in the listing, from 1
	rows        reflect.Value // copies of the items
	ready       []listedItem  // items that can be compared
	unstorable  []listedItem  // items that have a key and cannot be stored; they count as seen
	unkeyed     int64         // number of refused items that have no key in the scope
	refused     []string      // which items cannot be stored, and why
	err         error         // why preparing the batch failed
}

// batchOrder keeps the batches of a listing that are processed at the same time in their order. The zero value
// is that of a batch that is processed alone.
type batchOrder struct {
	following bool          // the batch follows the last one of a listing
	compared  func()        // lets the next batch be compared
	turn      chan struct{} // closed after the insert of the batch before
	inserted  func()        // closes turn of the next batch
}

// hasCompared lets the next batch be compared.
func (o batchOrder) hasCompared() {
	if o.compared != nil {
		o.compared()
	}
}

// hasInserted lets the next batch be inserted.
func (o batchOrder) hasInserted() {
	if o.inserted != nil {
		o.inserted()
	}
}

// listedItem is one object of a batch.
type listedItem struct {
	value reflect.Value
	key   tracker.Identity
	hash  string // content hash; "" if the pages did not fetch all columns
}

// batchDiff holds the differences between a batch and the table.
type batchDiff struct {
	batch     listingBatch
	compared  []*field             // fields that the batch's pages fetched
	changed   map[int64]listedItem // items that differ from their row, by the row's id
	unmatched []listedItem         // items without a row
	counted   batchResult          // result of the comparison
}

// processBatch compares the batch with the rows of its keys, and writes the differences.
func (s *reconcile) processBatch(ctx context.Context, b listingBatch) error {
	out, err := s.compareApart(ctx, b)
	if err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.addResult(out)
	}
	return err
}

func (s *reconcile) compare(ctx context.Context, b listingBatch) (batchResult, error) {
	d := batchDiff{batch: b, counted: batchResult{refused: b.refused, unkeyed: b.unkeyed}}
	err := s.countUnstorable(ctx, b.unstorable, &d.counted)
	if err != nil || len(b.ready) == 0 {
		return d.counted, err
	}
	if d.compared, err = s.fieldsToCompare(b); err != nil {
		return d.counted, err
	}
	if s.scopeEmpty.Load() {
		d.unmatched = b.ready
		b.hasCompared()
		loaded, err := s.writeBatch(ctx, d, false)
		if err == nil || !sqlkit.IsUniqueViolation(err) {
			return loaded, err
		}
		s.scopeEmpty.Store(false) // another process has added rows
		d.unmatched = nil
	}
	if err := s.findDifferences(ctx, &d); err != nil {
		return d.counted, err
	}
	b.hasCompared()
	if err := s.confirmRemembered(ctx, &d); err != nil {
		return d.counted, err
	}
	if len(d.changed) == 0 && len(d.unmatched) == 0 {
		return d.counted, nil
	}
	if s.attempt == nil {
		return s.dryRun(ctx, d)
	}
	written, err := s.writeBatch(ctx, d, false)
	if sqlkit.IsUniqueViolation(err) {
		// Another process has just added one of the rows: write again, and leave out
		// rows that exist by now.
		written, err = s.writeBatch(ctx, d, true)
	}
	return written, err
}

// dryRun counts for a plan what writeBatch would write.
func (s *reconcile) dryRun(ctx context.Context, d batchDiff) (batchResult, error) {
	out := d.counted
	added, err := s.skipUnidentified(s.repo.db(ctx), &out, d.unmatched)
	if err == nil {
		added, err = s.bringBack(s.repo.db(ctx), d, added, &out)
	}
	if err != nil {
		return out, err
	}
	for _, it := range added {
		out.unmatchedKeys = append(out.unmatchedKeys, it.key)
		s.planRows(plannedNew, tracker.ChangeAppeared, it.value)
	}
	remade, err := s.updateBatch(ctx, s.repo.db(ctx), d, &out)
	out.result.Created += int64(len(added) + len(remade))
	return out, err
}

// insertedByThisRun reports whether this sync inserted the row. The sync counts such rows but
// does not remember their ids, because they cannot be missing.
func (s *reconcile) insertedByThisRun(id int64, status *nawasync.SyncStatus) bool {
	return status.SyncJobID == nil && id > s.maxID
}

// batchResult is the result of one batch. It is added to the sync's result only after its
// transaction has committed, because a retried transaction may find other ids.
type batchResult struct {
	result        nawasync.SyncResult
	added         int64
	replaced      int64
	unkeyed       int64
	seen          []int64
	unmatchedKeys []tracker.Identity
	refused       []string
	changes       []tracker.Change
}

func (o batchResult) clone() batchResult {
	o.result = cloneResult(&o.result)
	o.seen, o.unmatchedKeys, o.refused, o.changes = slices.Clone(o.seen), slices.Clone(o.unmatchedKeys), slices.Clone(o.refused), slices.Clone(o.changes)
	return o
}

func (s *reconcile) addResult(out batchResult) {
	addCounts(&s.result, &out.result)
	s.added += out.added
	s.replaced += out.replaced
	for _, id := range out.seen {
		s.seen.Add(id)
	}
	for _, key := range out.unmatchedKeys {
		s.unmatchedKeys[key] = true
	}
	s.addRefused(out.refused, out.unkeyed)
	s.recordedCount.Add(int64(len(out.changes)))
}

// inScope returns the condition for the rows of the scope. Unless it is empty, it ends with AND.
func (s *reconcile) inScope() (where string, args []any) {
	where, args = s.repo.equal(s.repo.model.scope, s.scope)
	if where != "" {
		where += " AND "
	}
	return where, args
}
