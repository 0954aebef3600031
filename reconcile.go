package nawasync

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/bitmap"
	"github.com/nawasara/nawasync/internal/bulk"
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

	batch   []reflect.Value
	fields  []string                   // of the batch
	asked   time.Time                  // of the batch's first page
	skipped []func(reflect.Value) bool // rows that the listing cannot cover
	total   int64                      // as the server counted
	moving  bool                       // its count changed while it was listed
	proof   *Proof
}

func (s *reconcile) run(ctx context.Context) error {
	if err := s.begin(ctx); err != nil {
		return err
	}
	next := s.r.engine.store.Now()
	for p, err := range s.r.remote.list(ctx, s.scope, s.args.Detail) {
		if err != nil {
			flushed := s.flush(ctx) // what came is as good as ever
			return errors.Join(fmt.Errorf("the listing broke off after %d objects, nothing was deleted: %w", s.result.Listed, err), flushed)
		}
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if p.asked.IsZero() {
			p.asked = next
		}
		if err := s.page(ctx, p); err != nil {
			return err
		}
		next = s.r.engine.store.Now()
	}
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	if err := s.flush(ctx); err != nil {
		return err
	}
	if err := s.proven(); err != nil {
		return err
	}
	return s.absence(ctx)
}

func (s *reconcile) begin(ctx context.Context) error {
	s.began, s.extra = s.r.engine.store.Now(), map[string]bool{}
	s.result.Drifted = map[string]int64{}
	var most *int64
	if err := s.r.db(ctx).Table(s.r.model.table).Select("MAX(id)").Scan(&most).Error; err != nil {
		return fmt.Errorf("nawasync: read %s: %w", s.r.model.table, err)
	}
	if most != nil {
		s.maxID = *most
	}
	return nil
}

// page adds one to the batch; small pages are compared together.
func (s *reconcile) page(ctx context.Context, p page) error {
	if p.proof.Total > 0 {
		s.moving = s.moving || (s.total > 0 && s.total != p.proof.Total)
		s.total = p.proof.Total
	}
	s.proof = &p.proof
	if p.skipped != nil {
		s.skipped = append(s.skipped, p.skipped)
	}
	if len(s.batch) > 0 && !slices.Equal(s.fields, p.fields) {
		if err := s.flush(ctx); err != nil {
			return err
		}
	}
	for i := range p.items.Len() {
		if len(s.batch) == 0 {
			s.fields, s.asked = p.fields, p.asked
		}
		if p.asked.Before(s.asked) {
			s.asked = p.asked
		}
		s.batch = append(s.batch, p.items.Index(i))
		if len(s.batch) == bulk.MaxRows {
			if err := s.flush(ctx); err != nil {
				return err
			}
		}
	}
	if s.a != nil {
		s.a.Progress(ctx, s.result.Listed+int64(len(s.batch)), s.total, "listing")
	}
	return nil
}

// proven says why a listing is not all there is, where its own figures show it.
func (s *reconcile) proven() error {
	var problem string
	distinct := s.seen.Len() + int64(len(s.extra))
	switch {
	case s.proof == nil:
		problem = "the listing ended without a single page"
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
	return WithClass(ClassTransient, errors.New(problem+"; what came was stored, nothing was deleted"))
}

// item is one object of a batch.
type item struct {
	value reflect.Value
	key   string
}

// flush compares the batch with the rows of its keys, and writes what differs.
func (s *reconcile) flush(ctx context.Context) error {
	if len(s.batch) == 0 {
		return nil
	}
	items, err := s.prepare()
	if err != nil {
		return err
	}
	compared, err := s.compared()
	if err != nil {
		return err
	}
	full := s.fields == nil
	local, err := s.local(ctx, items, compared, full)
	if err != nil {
		return err
	}
	changed := map[int64]item{}
	var fresh []item
	for _, it := range items {
		there, ok := local[it.key]
		if !ok {
			fresh = append(fresh, it)
			continue
		}
		s.seen.Add(s.r.model.idOf(there))
		switch status := s.r.status(there); {
		case status.State.Pending():
			s.result.InFlight++
		case s.same(it.value, there, status, compared, full):
			s.result.Unchanged++
		default:
			changed[s.r.model.idOf(there)] = it
		}
	}
	s.batch = s.batch[:0]
	if len(changed) == 0 && len(fresh) == 0 {
		return nil
	}
	if s.a == nil {
		return s.foresee(ctx, changed, fresh)
	}
	return s.write(ctx, changed, fresh)
}

// prepare makes the items of the batch fit to be stored; of doubles the last stays.
func (s *reconcile) prepare() ([]item, error) {
	m := s.r.model
	items := make([]item, 0, len(s.batch))
	at := make(map[string]int, len(s.batch))
	for _, value := range s.batch {
		for _, f := range m.scope {
			f.value(value).Set(f.value(s.scope))
		}
		m.normalise(value)
		it := item{value, m.keyText(value)}
		s.result.Listed++
		target := Target{m.instance(value), texts(value, m.key)}
		if err := validateTarget(target); err != nil {
			return nil, Permanent(fmt.Errorf("object %d of the listing has a key that cannot be one, %.80q: %w", s.result.Listed, target.ID, err))
		}
		if i, double := at[it.key]; double {
			items[i] = it
			continue
		}
		at[it.key] = len(items)
		items = append(items, it)
	}
	return items, nil
}

// compared are the fields that the batch's pages have fetched.
func (s *reconcile) compared() ([]*field, error) {
	if s.fields == nil {
		return s.r.model.mirrored(), nil
	}
	var list []*field
	for _, column := range s.fields {
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
	columns := []string{"id", "sync_status", "content_hash", "hash_version", "missing_since"}
	for _, f := range m.key {
		columns = append(columns, f.column)
	}
	for _, f := range compared {
		if !full || f.role == roleObserved {
			columns = append(columns, f.column)
		}
	}
	rows := reflect.New(reflect.SliceOf(m.schema.ModelType))
	err := s.r.engine.store.Reading(ctx, func(tx *gorm.DB) error {
		where, args, err := s.keys(tx, items)
		if err != nil {
			return err
		}
		return tx.Table(m.table).Select(columns).Where(where, args...).Find(rows.Interface()).Error
	})
	if err != nil {
		return nil, fmt.Errorf("nawasync: read %s: %w", m.table, err)
	}
	found := make(map[string]reflect.Value, rows.Elem().Len())
	for i := range rows.Elem().Len() {
		found[m.keyText(rows.Elem().Index(i))] = rows.Elem().Index(i)
	}
	return found, nil
}

// keys is the condition for the rows of items.
func (s *reconcile) keys(tx *gorm.DB, items []item) (string, []any, error) {
	var columns []string
	for _, f := range s.r.model.key {
		columns = append(columns, f.column)
	}
	tuples := make([][]any, len(items))
	for i, it := range items {
		for _, f := range s.r.model.key {
			tuples[i] = append(tuples[i], f.param(it.value))
		}
	}
	where, args, err := s.r.table.Key(tx, columns, tuples)
	scope, scopeArgs := s.inScope()
	return scope + where, append(scopeArgs, args...), err
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
func (s *reconcile) same(value, there reflect.Value, status *SyncStatus, compared []*field, full bool) bool {
	if status.State != StateSynced && status.State != StateConflict || !status.MissingSince.IsZero() {
		return false
	}
	if full && (status.HashVersion != s.r.model.version || status.ContentHash != s.r.model.contentHash(value)) {
		return false
	}
	for _, f := range compared {
		if (!full || f.role == roleObserved) && !f.equal(value, there) {
			return false
		}
	}
	return true
}

// foresee counts for a plan what write would do.
func (s *reconcile) foresee(ctx context.Context, changed map[int64]item, fresh []item) error {
	for _, it := range fresh {
		s.extra[it.key] = true
	}
	s.result.Created += int64(len(fresh))
	return s.update(ctx, s.r.db(ctx), changed)
}
