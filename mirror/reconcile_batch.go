package mirror

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/bulk"
	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

// listingBatch is what is compared at once.
type listingBatch struct {
	items       []reflect.Value
	fields      []string     // that its pages have fetched; nil is all
	asked       time.Time    // when the first of them was requested
	firstNumber int64        // the number of its first object in the listing
	ready       []listedItem // items fit to be compared
	refused     []string     // of those that are not
	err         error
}

// listedItem is one object of a batch.
type listedItem struct {
	value reflect.Value
	key   string
	hash  string // of the content, where all of it came
}

// processBatch compares the batch with the rows of its keys, and writes what differs.
func (s *reconcile) processBatch(ctx context.Context, b listingBatch) error {
	o, err := s.compare(ctx, b)
	if err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.addResult(o)
	}
	return err
}

func (s *reconcile) compare(ctx context.Context, b listingBatch) (o batchResult, err error) {
	o.refused = b.refused
	if len(b.ready) == 0 {
		return o, nil
	}
	compared, err := s.fieldsToCompare(b)
	if err != nil {
		return o, err
	}
	if s.scopeEmpty.Load() {
		loaded, err := s.writeBatch(ctx, b, o, nil, b.ready, false)
		if err == nil || !sqlkit.IsUniqueViolation(err) {
			return loaded, err
		}
		s.scopeEmpty.Store(false) // it has rows by now
	}
	full := b.fields == nil
	local, err := s.localRows(ctx, b.ready, compared, full)
	if err != nil {
		return o, err
	}
	changed := map[int64]listedItem{}
	var fresh []listedItem
	for _, it := range b.ready {
		there, ok := local[it.key]
		if !ok {
			fresh = append(fresh, it)
			continue
		}
		id, status := s.repo.model.idOf(there), s.repo.status(there)
		if !s.insertedByThisRun(id, status) {
			o.seen = append(o.seen, id)
		}
		if s.unchanged(it, there, status, compared, full) {
			o.result.Unchanged++
		} else {
			changed[id] = it
		}
	}
	if len(changed) == 0 && len(fresh) == 0 {
		return o, nil
	}
	if s.attempt == nil {
		return s.dryRun(ctx, b, o, changed, fresh)
	}
	written, err := s.writeBatch(ctx, b, o, changed, fresh, false)
	if sqlkit.IsUniqueViolation(err) {
		// Somebody has just added one of the rows: once more, leaving out what is there.
		written, err = s.writeBatch(ctx, b, o, changed, fresh, true)
	}
	return written, err
}

// normaliseBatch makes the items of the batch fit to be stored; of doubles the last stays.
// They are copies: the slice is the remote's own.
func (s *reconcile) normaliseBatch(b *listingBatch) {
	m := s.repo.model
	b.ready = make([]listedItem, 0, len(b.items))
	at := make(map[string]int, len(b.items))
	for i, foreign := range b.items {
		value := m.newRow()
		value.Set(foreign)
		for _, f := range m.scope {
			f.value(value).Set(f.value(s.scope))
		}
		m.normalise(value)
		target := nawasync.Target{Instance: m.instance(value), ID: joinKeyParts(value, m.key)}
		if err := s.repo.engine.CheckTarget(target); err != nil {
			b.refused = append(b.refused, fmt.Sprintf("object %d of the listing has a key that cannot be one, %.80q: %s", b.firstNumber+int64(i), target.ID, err))
			continue
		}
		it := listedItem{value: value, key: m.keyText(value)}
		if b.fields == nil {
			it.hash = m.contentHash(value)
		}
		if i, double := at[it.key]; double {
			b.ready[i] = it
			continue
		}
		at[it.key] = len(b.ready)
		b.ready = append(b.ready, it)
	}
}

// fieldsToCompare are the fields that the batch's pages have fetched.
func (s *reconcile) fieldsToCompare(b listingBatch) ([]*field, error) {
	if b.fields == nil {
		return s.repo.model.mirrored(), nil
	}
	var list []*field
	for _, column := range b.fields {
		f := s.repo.model.byColumn[column]
		if f == nil {
			return nil, nawasync.Permanent(fmt.Errorf("a page names the column %q, which %s has not", column, s.repo.model.schema.Name))
		}
		if slices.Contains(s.repo.model.mirrored(), f) {
			list = append(list, f)
		}
	}
	return list, nil
}

// localRows reads the rows with the keys of items, no more of them than is compared: a
// full page's content goes by its hash.
func (s *reconcile) localRows(ctx context.Context, items []listedItem, compared []*field, full bool) (map[string]reflect.Value, error) {
	m := s.repo.model
	columns := []string{"id", "sync_status", "sync_job_id", "content_hash", "hash_version", "missing_since"}
	for _, f := range m.key {
		columns = append(columns, f.column)
	}
	for _, f := range compared {
		if !full || f.role == roleObserved {
			columns = append(columns, f.column)
		}
	}
	rows := reflect.New(reflect.SliceOf(m.schema.ModelType))
	if err := s.findByKeys(s.repo.engine.Store().DB(ctx), columns, items, rows); err != nil {
		return nil, err
	}
	found := make(map[string]reflect.Value, rows.Elem().Len())
	for i := range rows.Elem().Len() {
		found[m.keyText(rows.Elem().Index(i))] = rows.Elem().Index(i)
	}
	return found, nil
}

// findByKeys reads columns of the rows with the keys of items into a pointer to a slice.
func (s *reconcile) findByKeys(tx *gorm.DB, columns []string, items []listedItem, into reflect.Value) error {
	m := s.repo.model
	keys := make([][]any, len(items))
	for i, it := range items {
		for _, f := range m.key {
			keys[i] = append(keys[i], f.param(it.value))
		}
	}
	var within []any
	for _, f := range m.scope {
		within = append(within, f.param(s.scope))
	}
	query, args, err := s.repo.table.Find(tx, bulk.KeyQuery{
		Select: columns, ScopeColumns: columnsOf(m.scope), Scope: within, KeyColumns: columnsOf(m.key), Keys: keys,
	})
	if err == nil {
		err = tx.Raw(query, args...).Find(into.Interface()).Error
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", m.table, err)
	}
	return nil
}

// unchanged reports whether there is nothing to write.
func (s *reconcile) unchanged(it listedItem, there reflect.Value, status *nawasync.SyncStatus, compared []*field, full bool) bool {
	if status.State != nawasync.StateSynced && status.State != nawasync.StateConflict || !status.MissingSince.IsZero() {
		return false
	}
	if full && (status.HashVersion != s.repo.model.version || status.ContentHash != it.hash) {
		return false
	}
	for _, f := range compared {
		if (!full || f.role == roleObserved) && !f.equal(it.value, there) {
			return false
		}
	}
	return true
}

// dryRun counts for a plan what write would do.
func (s *reconcile) dryRun(ctx context.Context, b listingBatch, o batchResult, changed map[int64]listedItem, fresh []listedItem) (batchResult, error) {
	for _, it := range fresh {
		o.unmatchedKeys = append(o.unmatchedKeys, it.key)
	}
	o.result.Created += int64(len(fresh))
	err := s.updateBatch(ctx, s.repo.db(ctx), b, &o, changed)
	return o, err
}

// insertedByThisRun reports whether this run has added the row. Such rows are counted, not noted:
// their absence is not asked for.
func (s *reconcile) insertedByThisRun(id int64, status *nawasync.SyncStatus) bool {
	return status.SyncJobID == nil && id > s.maxID
}

// batchResult is what one batch came to. It counts when its transaction has committed: one
// that is run again finds other ids.
type batchResult struct {
	result        nawasync.SyncResult
	added         int64
	seen          []int64
	unmatchedKeys []string
	refused       []string
	changes       []tracker.Change
}

func (o batchResult) clone() batchResult {
	o.result = cloneResult(&o.result)
	o.seen, o.unmatchedKeys, o.refused, o.changes = slices.Clone(o.seen), slices.Clone(o.unmatchedKeys), slices.Clone(o.refused), slices.Clone(o.changes)
	return o
}

func (s *reconcile) addResult(o batchResult) {
	addCounts(&s.result, &o.result)
	s.added += o.added
	for _, id := range o.seen {
		s.seen.Add(id)
	}
	for _, key := range o.unmatchedKeys {
		s.unmatchedKeys[key] = true
	}
	s.refused = append(s.refused, o.refused...)
	s.recordedCount.Add(int64(len(o.changes)))
}

func columnsOf(fields []*field) []string {
	list := make([]string, len(fields))
	for i, f := range fields {
		list[i] = f.column
	}
	return list
}

// inScope is a condition that ends with AND.
func (s *reconcile) inScope() (where string, args []any) {
	for _, f := range s.repo.model.scope {
		where += s.repo.quote(f.column) + " = ? AND "
		args = append(args, f.param(s.scope))
	}
	return where, args
}
