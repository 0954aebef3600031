package mirror

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nawasara/nawasync/internal/bulk"
	"github.com/nawasara/nawasync/internal/sqlkit"
)

// maxTakenApart is how many objects a sync names before it gives up to take batches apart. A
// listing of a million objects may have as many.
const maxTakenApart = 10_000

// compareApart compares and writes a batch. If the database refuses it because of the data of a
// row, for example because a text is too long, it halves the batch until that object stands alone.
// The object is then refused, and all others are stored.
func (s *reconcile) compareApart(ctx context.Context, b listingBatch) (batchResult, error) {
	out, err := s.compare(ctx, b)
	if err == nil || !refusesRow(err) || len(b.ready) == 0 || ctx.Err() != nil || s.gaveUp() {
		return out, err
	}
	if len(b.ready) == 1 {
		it := b.ready[0]
		b.ready, b.unstorable = nil, append(slices.Clip(b.unstorable), it)
		b.refused = append(slices.Clip(b.refused), fmt.Sprintf("%.80q: %s", s.repo.model.target(it.value), err))
		return s.compare(ctx, b)
	}
	b.following = false
	half, rest := len(b.ready)/2, b
	rest.ready, b.ready = b.ready[half:], b.ready[:half]
	rest.unstorable, rest.refused, rest.unkeyed = nil, nil, 0 // counted with the first half
	if out, err = s.compareApart(ctx, b); err != nil {
		return out, err
	}
	more, err := s.compareApart(ctx, rest)
	return out.plus(more), err
}

// gaveUp reports whether so many objects were refused that no more batches are taken apart.
func (s *reconcile) gaveUp() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.result.Refused > maxTakenApart
}

// refusesRow reports whether err says that a value of some row cannot be stored.
func refusesRow(err error) bool { return sqlkit.IsRowRefused(err) || errors.Is(err, bulk.ErrValue) }

// plus returns the sum with the result of another part of the batch.
func (o batchResult) plus(more batchResult) batchResult {
	if o.result.Drifted == nil {
		o.result.Drifted = map[string]int64{}
	}
	addCounts(&o.result, &more.result)
	o.added += more.added
	o.replaced += more.replaced
	o.unkeyed += more.unkeyed
	o.seen, o.unmatchedKeys = append(o.seen, more.seen...), append(o.unmatchedKeys, more.unmatchedKeys...)
	o.refused, o.changes = append(o.refused, more.refused...), append(o.changes, more.changes...)
	return o
}

// countUnstorable counts objects that cannot be stored as seen, so that their rows are not missing.
func (s *reconcile) countUnstorable(ctx context.Context, items []listedItem, out *batchResult) error {
	if len(items) == 0 {
		return nil
	}
	columns := []string{"id", "identity", "sync_job_id"}
	rows, err := s.rowsByKey(sqlkit.Session(ctx, s.repo.engine.DB()), columns, items)
	if err != nil && !refusesRow(err) { // a row cannot have a key that the database refuses
		return err
	}
	for _, it := range items {
		row, found := rows[it.key]
		switch {
		case !found:
			out.unmatchedKeys = append(out.unmatchedKeys, it.key)
		case !s.insertedByThisRun(s.repo.model.idOf(row), s.repo.status(row)):
			out.seen = append(out.seen, s.repo.model.idOf(row))
		}
	}
	return nil
}
