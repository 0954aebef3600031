package nawasync

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/bitmap"
	"github.com/nawasara/nawasync/internal/bulk"
	"github.com/nawasara/nawasync/tracker"
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
	r      *repo
	a      *attempt // nil for a plan, which writes nothing
	scope  reflect.Value
	args   *syncArgs
	result SyncResult

	began time.Time
	maxID int64 // rows above came after the beginning: their absence means nothing
	// What the listing had: rows, and keys without one.
	seen  bitmap.Bitmap
	extra map[string]bool
	// Objects that could not be stored, and why.
	refused []string
	added   int64       // rows of ours that it added, which are not in seen
	blank   atomic.Bool // the scope had no row: nothing need be looked up
	first   bool        // the scope had no row when the sync began
	noted   atomic.Int64
	mu      sync.Mutex // over what outcomes are added to

	// Of the listing alone, which goes on while a batch is compared.
	batch   batch // that is being filled
	listed  int64
	skipped []func(reflect.Value) bool // rows that it cannot cover
	total   int64                      // as the server counted
	moving  bool                       // its count changed while it was listed
	proof   *Proof
}

// batch is what is compared at once.
type batch struct {
	items  []reflect.Value
	fields []string  // that its pages have fetched; nil is all
	asked  time.Time // when the first of them was requested
	first  int64     // the number of its first object in the listing
	ready  []item    // items fit to be compared
	refuse []string  // of those that are not
	err    error
}

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
	if err := s.proven(); err != nil {
		return err
	}
	return s.absence(ctx)
}

// proven says why a listing is not all there is, where its own figures show it.
func (s *reconcile) proven() error {
	var problem string
	distinct := s.seen.Len() + int64(len(s.extra)) + s.added
	switch {
	case s.proof == nil:
		problem = "the listing ended without a single page"
	case len(s.refused) > 0:
		problem = fmt.Sprintf("%d objects could not be stored, for instance: %s", len(s.refused), s.refused[0])
	case s.moving:
		problem = "the server's count of objects changed while they were listed"
	case s.total > 0 && distinct != s.total:
		problem = fmt.Sprintf("the listing is not whole: the server counts %d objects and %d different ones came", s.total, distinct)
	case s.proof.Level == Unproven && s.total > 0:
		problem = "the listing ended before its last page"
	default:
		s.result.Proof = s.proof.Level.String()
		return nil
	}
	return fault.WithClass(fault.Transient, errors.New(problem+"; what came was stored, nothing was deleted"))
}

// item is one object of a batch.
type item struct {
	value reflect.Value
	key   string
	hash  string // of the content, where all of it came
}

// flush compares the batch with the rows of its keys, and writes what differs.
func (s *reconcile) flush(ctx context.Context, b batch) error {
	o, err := s.compare(ctx, b)
	if err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.take(o)
	}
	return err
}

// outcome is what one batch came to. It counts when its transaction has committed: one
// that is run again finds other ids.
type outcome struct {
	result  SyncResult
	added   int64
	seen    []int64
	extra   []string
	refused []string
	changes []tracker.Change
}

func (s *reconcile) take(o outcome) {
	s.result.add(&o.result)
	s.added += o.added
	for _, id := range o.seen {
		s.seen.Add(id)
	}
	for _, key := range o.extra {
		s.extra[key] = true
	}
	s.refused = append(s.refused, o.refused...)
	s.noted.Add(int64(len(o.changes)))
}

func (s *reconcile) compare(ctx context.Context, b batch) (o outcome, err error) {
	o.refused = b.refuse
	if len(b.ready) == 0 {
		return o, nil
	}
	compared, err := s.compared(b)
	if err != nil {
		return o, err
	}
	if s.blank.Load() {
		loaded, err := s.write(ctx, b, o, nil, b.ready, false)
		if err == nil || !bulk.Taken(err) {
			return loaded, err
		}
		s.blank.Store(false) // it has rows by now
	}
	full := b.fields == nil
	local, err := s.local(ctx, b.ready, compared, full)
	if err != nil {
		return o, err
	}
	changed := map[int64]item{}
	var fresh []item
	for _, it := range b.ready {
		there, ok := local[it.key]
		if !ok {
			fresh = append(fresh, it)
			continue
		}
		id, status := s.r.model.idOf(there), s.r.status(there)
		if !s.ours(id, status) {
			o.seen = append(o.seen, id)
		}
		if s.same(it, there, status, compared, full) {
			o.result.Unchanged++
		} else {
			changed[id] = it
		}
	}
	if len(changed) == 0 && len(fresh) == 0 {
		return o, nil
	}
	if s.a == nil {
		return s.foresee(ctx, b, o, changed, fresh)
	}
	written, err := s.write(ctx, b, o, changed, fresh, false)
	if bulk.Taken(err) {
		// Somebody has just added one of the rows: once more, leaving out what is there.
		written, err = s.write(ctx, b, o, changed, fresh, true)
	}
	return written, err
}

// prepare makes the items of the batch fit to be stored; of doubles the last stays.
// They are copies: the slice is the remote's own.
func (s *reconcile) prepare(b *batch) {
	m := s.r.model
	b.ready = make([]item, 0, len(b.items))
	at := make(map[string]int, len(b.items))
	for i, foreign := range b.items {
		value := m.newRow()
		value.Set(foreign)
		for _, f := range m.scope {
			f.value(value).Set(f.value(s.scope))
		}
		m.normalise(value)
		target := Target{m.instance(value), texts(value, m.key)}
		if err := validateTarget(target); err != nil {
			b.refuse = append(b.refuse, fmt.Sprintf("object %d of the listing has a key that cannot be one, %.80q: %s", b.first+int64(i), target.ID, err))
			continue
		}
		it := item{value: value, key: m.keyText(value)}
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

// compared are the fields that the batch's pages have fetched.
func (s *reconcile) compared(b batch) ([]*field, error) {
	if b.fields == nil {
		return s.r.model.mirrored(), nil
	}
	var list []*field
	for _, column := range b.fields {
		f := s.r.model.byColumn[column]
		if f == nil {
			return nil, Permanent(fmt.Errorf("nawasync: a page names the column %q, which %s has not", column, s.r.model.schema.Name))
		}
		if slices.Contains(s.r.model.mirrored(), f) {
			list = append(list, f)
		}
	}
	return list, nil
}

// local reads the rows with the keys of items, no more of them than is compared: a
// full page's content goes by its hash.
func (s *reconcile) local(ctx context.Context, items []item, compared []*field, full bool) (map[string]reflect.Value, error) {
	m := s.r.model
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
	if err := s.find(s.r.engine.store.DB(ctx), columns, items, rows); err != nil {
		return nil, err
	}
	found := make(map[string]reflect.Value, rows.Elem().Len())
	for i := range rows.Elem().Len() {
		found[m.keyText(rows.Elem().Index(i))] = rows.Elem().Index(i)
	}
	return found, nil
}

// find reads columns of the rows with the keys of items into a pointer to a slice.
func (s *reconcile) find(tx *gorm.DB, columns []string, items []item, into reflect.Value) error {
	m := s.r.model
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
	query, args, err := s.r.table.Find(tx, columns, columnsOf(m.scope), within, columnsOf(m.key), keys)
	if err == nil {
		err = tx.Raw(query, args...).Find(into.Interface()).Error
	}
	if err != nil {
		return fmt.Errorf("nawasync: read %s: %w", m.table, err)
	}
	return nil
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
	for _, f := range s.r.model.scope {
		where += s.r.quote(f.column) + " = ? AND "
		args = append(args, f.param(s.scope))
	}
	return where, args
}

// same reports whether there is nothing to write.
func (s *reconcile) same(it item, there reflect.Value, status *SyncStatus, compared []*field, full bool) bool {
	if status.State != StateSynced && status.State != StateConflict || !status.MissingSince.IsZero() {
		return false
	}
	if full && (status.HashVersion != s.r.model.version || status.ContentHash != it.hash) {
		return false
	}
	for _, f := range compared {
		if (!full || f.role == roleObserved) && !f.equal(it.value, there) {
			return false
		}
	}
	return true
}

// foresee counts for a plan what write would do.
func (s *reconcile) foresee(ctx context.Context, b batch, o outcome, changed map[int64]item, fresh []item) (outcome, error) {
	for _, it := range fresh {
		o.extra = append(o.extra, it.key)
	}
	o.result.Created += int64(len(fresh))
	err := s.update(ctx, s.r.db(ctx), b, &o, changed)
	return o, err
}
