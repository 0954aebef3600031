package nawasync

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/nawasara/nawasync/internal/bulk"
	"github.com/nawasara/nawasync/tracker"
)

// write stores a batch's differences in one transaction, which is void when the job
// has been taken over meanwhile. A careful one leaves out rows whose key is taken.
func (s *reconcile) write(ctx context.Context, b batch, base outcome, changed map[int64]item, fresh []item, careful bool) (o outcome, err error) {
	err = s.fencedOn(ctx, func(tx *gorm.DB, conn *sql.Conn) error {
		o = base.clone()
		if err := s.update(ctx, tx, b, &o, changed); err != nil {
			return err
		}
		if err := s.insert(ctx, tx, b, &o, fresh, s.inserter(conn, careful)); err != nil {
			return err
		}
		return s.r.engine.store.AddChanges(ctx, tx, o.changes)
	})
	return o, err
}

func (o outcome) clone() outcome {
	o.result = o.result.clone()
	o.seen, o.extra, o.refused, o.changes = slices.Clone(o.seen), slices.Clone(o.extra), slices.Clone(o.refused), slices.Clone(o.changes)
	return o
}

// inserted is what an INSERT has added: how many, and which where the database tells
// and somebody may ask.
type inserted struct {
	n   int
	ids map[int64]bool
}

// inserter is the fastest way that there is, or a careful one.
func (s *reconcile) inserter(conn *sql.Conn, careful bool) inserter {
	table := s.r.table
	return func(tx *gorm.DB, columns []string, rows [][]any) (in inserted, err error) {
		if !careful {
			if err := table.Copy(tx, conn, columns, rows); !errors.Is(err, bulk.ErrNoCopy) {
				return inserted{n: len(rows)}, err
			}
		}
		insert := table.InsertNew
		if careful {
			insert = table.Insert
		}
		ids, err := insert(tx, columns, rows)
		in = inserted{n: len(ids)}
		if careful && ids != nil {
			in.ids = map[int64]bool{}
			for _, id := range ids {
				in.ids[id] = true
			}
		}
		return in, err
	}
}

// fenced is a transaction of an attempt that is still the one; it may run again.
func (s *reconcile) fenced(ctx context.Context, fn func(tx *gorm.DB) error) error {
	return s.r.engine.store.Repeated(ctx, func(tx *gorm.DB) error { return s.fence(ctx, tx, fn) })
}

// fencedOn is fenced with the connection of its transaction, nil where that is of no
// use.
func (s *reconcile) fencedOn(ctx context.Context, fn func(tx *gorm.DB, conn *sql.Conn) error) error {
	if s.r.engine.config.DB.Name() != "postgres" {
		return s.fenced(ctx, func(tx *gorm.DB) error { return fn(tx, nil) })
	}
	return s.r.engine.store.RepeatedOn(ctx, func(tx *gorm.DB, conn *sql.Conn) error {
		return s.fence(ctx, tx, func(tx *gorm.DB) error { return fn(tx, conn) })
	})
}

func (s *reconcile) fence(ctx context.Context, tx *gorm.DB, fn func(tx *gorm.DB) error) error {
	tx = quiet(ctx, tx)
	held, err := s.r.engine.store.Fence(ctx, tx, s.a.job)
	if err != nil {
		return fmt.Errorf("nawasync: check the lease: %w", err)
	}
	if !held {
		return ErrLeaseLost
	}
	return fn(tx)
}

// locked reads whole rows, in order, and keeps them from everybody else; without
// lock it only reads them. last is when the job that changed each last ended.
func (s *reconcile) locked(ctx context.Context, tx *gorm.DB, ids []int64, lock bool) (rows reflect.Value, last map[int64]time.Time, err error) {
	slices.Sort(ids)
	found := reflect.New(reflect.SliceOf(s.r.model.schema.ModelType))
	query := tx.Table(s.r.model.table).Select(s.r.columns()).Where("id IN ?", ids).Order("id")
	if lock {
		query = query.Clauses(clause.Locking{Strength: "UPDATE"})
	}
	if err := query.Find(found.Interface()).Error; err != nil {
		return rows, nil, fmt.Errorf("nawasync: read %s: %w", s.r.model.table, err)
	}
	rows = found.Elem()
	var jobs []int64
	for i := range rows.Len() {
		if job := s.r.status(rows.Index(i)).SyncJobID; job != nil {
			jobs = append(jobs, *job)
		}
	}
	last, err = s.r.engine.store.Endings(ctx, tx, jobs)
	return rows, last, err
}

// busy reports whether a job changes the row, or has since the given time.
func (s *reconcile) busy(status *SyncStatus, last map[int64]time.Time, since time.Time) bool {
	if status.SyncJobID == nil {
		return status.State.Pending() // its job is being added
	}
	// A row that says pending though its job has ended was left so by something else
	// than this library, an older release for instance: it is mended.
	ended, known := last[*status.SyncJobID]
	return known && (ended.IsZero() || !ended.Before(since.Add(-reconcileSlack)))
}

// update writes the fetched fields of rows that differ.
func (s *reconcile) update(ctx context.Context, tx *gorm.DB, b batch, o *outcome, changed map[int64]item) error {
	if len(changed) == 0 {
		return nil
	}
	rows, last, err := s.locked(ctx, tx, slices.Sorted(maps.Keys(changed)), s.a != nil)
	if err != nil {
		return err
	}
	compared, err := s.compared(b)
	if err != nil {
		return err
	}
	m, now := s.r.model, Timestamp{s.r.engine.store.Now()}
	columns := []string{"sync_status", "sync_error", "last_synced_at", "content_hash", "hash_version", "missing_since", "missing_runs"}
	for _, f := range compared {
		columns = append(columns, f.column)
	}
	for _, f := range m.updated {
		columns = append(columns, f.DBName)
	}
	var params [][]any
	for i := range rows.Len() {
		row := rows.Index(i)
		status := s.r.status(row)
		if s.busy(status, last, b.asked) {
			o.result.InFlight++
			continue
		}
		s.merge(o, row, changed[m.idOf(row)], status, compared)
		state, text := StateSynced, any(nil)
		if status.State == StateConflict { // a person is still to answer
			state, text = StateConflict, status.SyncError
		}
		values := []any{m.idOf(row), string(state), text, now, m.contentHash(row), m.version, nil, 0}
		for _, f := range compared {
			values = append(values, f.param(row))
		}
		for _, f := range m.updated {
			values = append(values, stamp(f.FieldType, now))
		}
		params = append(params, values)
	}
	o.result.InFlight += int64(len(changed) - rows.Len()) // deleted since
	o.result.Updated += int64(len(params))
	if s.a == nil || len(params) == 0 {
		return nil
	}
	if err := s.r.table.Update(tx, columns, params); err != nil {
		return fmt.Errorf("nawasync: write %s: %w", m.table, err)
	}
	return nil
}

// merge copies the fetched fields into the row, and counts what had drifted: what
// differs in a row that nobody of ours has changed.
func (s *reconcile) merge(o *outcome, row reflect.Value, it item, status *SyncStatus, compared []*field) {
	known := status.HashVersion == s.r.model.version
	fields := map[string]fromTo{}
	for _, f := range compared {
		if f.role != roleObserved && known && !unknown(f.value(row)) && !f.equal(row, it.value) {
			from, to := f.value(row).Interface(), f.value(it.value).Interface()
			fields[f.column] = fromTo{short(from), short(to)}
			if status.State == StateSynced {
				o.result.drift(texts(row, s.r.model.key), f.column, from, to)
			}
		}
		f.value(row).Set(f.value(it.value))
	}
	switch {
	case !status.MissingSince.IsZero():
		s.note(&o.changes, row, tracker.Returned, fields)
	case len(fields) > 0:
		s.note(&o.changes, row, tracker.Drifted, fields)
	}
}

// unknown is a value that no listing has given yet: filling it in is no drift.
func unknown(v reflect.Value) bool { return v.Kind() == reflect.Pointer && v.IsNil() }

type inserter = func(tx *gorm.DB, columns []string, rows [][]any) (inserted, error)

// insert adds the objects that have no row, but not those whose row a job has
// deleted since the page was requested. The check comes after the insert: from
// then on nobody can add, and delete, a row of that key before we commit.
func (s *reconcile) insert(ctx context.Context, tx *gorm.DB, b batch, o *outcome, fresh []item, insert inserter) error {
	fresh, err := s.withoutUnnamed(tx, o, fresh)
	if err != nil || len(fresh) == 0 {
		return err
	}
	m, store := s.r.model, s.r.engine.store
	compared, err := s.compared(b)
	if err != nil {
		return err
	}
	columns, rows := s.r.newRows(compared, fresh)
	in, err := insert(tx, columns, rows)
	if err != nil {
		return fmt.Errorf("nawasync: insert into %s: %w", m.table, err)
	}
	since := b.asked.Add(-reconcileSlack)
	ended, err := store.AnyEndedSince(ctx, tx, s.r.service, s.r.typ, since)
	if err != nil {
		return err
	}
	if in.n == len(fresh) && !ended {
		o.result.Created += int64(in.n)
		o.added += int64(in.n)
		for _, it := range fresh {
			s.note(&o.changes, it.value, tracker.Appeared, nil)
		}
		return nil
	}
	return s.sortOut(ctx, tx, o, fresh, since, in)
}

// ours reports whether this run has added the row. Such rows are counted, not noted:
// their absence is not asked for.
func (s *reconcile) ours(id int64, status *SyncStatus) bool {
	return status.SyncJobID == nil && id > s.maxID
}

// withoutUnnamed leaves out objects that a job of ours is making just now: they have a
// row already, by their natural name, which lacks the id that the remote gave.
func (s *reconcile) withoutUnnamed(tx *gorm.DB, o *outcome, fresh []item) ([]item, error) {
	m := s.r.model
	if len(m.natural) == 0 || len(fresh) == 0 {
		return fresh, nil
	}
	where, args := s.inScope()
	rows := reflect.New(reflect.SliceOf(m.schema.ModelType))
	err := tx.Table(m.table).Select(columnsOf(m.natural)).Where(where+s.r.quote(m.key[0].column)+" IS NULL", args...).Find(rows.Interface()).Error
	if err != nil {
		return nil, fmt.Errorf("nawasync: read %s: %w", m.table, err)
	}
	unnamed := map[string]bool{}
	for i := range rows.Elem().Len() {
		unnamed[texts(rows.Elem().Index(i), m.natural)] = true
	}
	if len(unnamed) == 0 {
		return fresh, nil
	}
	var left []item
	for _, it := range fresh {
		if unnamed[texts(it.value, m.natural)] {
			o.extra = append(o.extra, it.key)
			o.result.InFlight++
			continue
		}
		left = append(left, it)
	}
	return left, nil
}

// sortOut tells apart what was inserted, what somebody else has inserted meanwhile,
// what must not be there, and what cannot.
func (s *reconcile) sortOut(ctx context.Context, tx *gorm.DB, o *outcome, fresh []item, since time.Time, in inserted) error {
	m := s.r.model
	targets := s.targets(fresh, m.key)
	names := targets // of jobs from before the remote gave an id
	if len(m.natural) > 0 {
		names = s.targets(fresh, m.natural)
	}
	ended, err := s.r.engine.store.EndedSince(ctx, tx, append(slices.Clone(targets), names...), since)
	if err != nil {
		return err
	}
	rows := reflect.New(reflect.SliceOf(m.schema.ModelType))
	if err := s.find(tx, s.r.columns(), fresh, rows); err != nil {
		return err
	}
	there := map[string]reflect.Value{}
	for i := range rows.Elem().Len() {
		there[m.keyText(rows.Elem().Index(i))] = rows.Elem().Index(i)
	}
	var undo []int64
	for i, it := range fresh {
		row, ok := there[it.key]
		if !ok {
			o.refused = append(o.refused, fmt.Sprintf("%q has a value that must be unique in %s, and another row has it", texts(it.value, m.key), m.table))
			continue
		}
		id, status := m.idOf(row), s.r.status(row)
		switch ours := s.ours(id, status); {
		case ours && (ended[targets[i]] || ended[names[i]]):
			undo = append(undo, id)
			o.extra = append(o.extra, it.key)
			o.result.InFlight++
		case ours && in.ids != nil && !in.ids[id]:
			o.result.Unchanged++ // a double: another batch of this run has added it
		case ours:
			o.added++
			o.result.Created++
			s.note(&o.changes, it.value, tracker.Appeared, nil)
		default:
			o.seen = append(o.seen, id)
			o.result.InFlight++
		}
	}
	if len(undo) == 0 {
		return nil
	}
	return tx.Exec("DELETE FROM "+s.r.quoted+" WHERE id IN ? AND sync_job_id IS NULL", undo).Error
}

// targets are the items as jobs name them, by the given fields.
func (s *reconcile) targets(items []item, fields []*field) []int64 {
	list := make([]int64, len(items))
	for i, it := range items {
		list[i] = s.targetKey(it.value, fields)
	}
	return list
}

func (s *reconcile) targetKey(row reflect.Value, fields []*field) int64 {
	return hash("target", s.r.service, s.r.typ, s.r.model.instance(row), texts(row, fields))
}

// newRows are the columns and values of rows that are as the remote has them.
func (r *repo) newRows(fetched []*field, items []item) (columns []string, rows [][]any) {
	m, now := r.model, Timestamp{r.engine.store.Now()}
	fields := append(m.identity(), fetched...)
	columns = []string{"sync_status", "last_synced_at", "content_hash", "hash_version", "missing_runs"}
	for _, f := range fields {
		columns = append(columns, f.column)
	}
	times := append(slices.Clone(m.created), m.updated...)
	for _, f := range times {
		columns = append(columns, f.DBName)
	}
	for _, it := range items {
		value, hash := it.value, it.hash
		if hash == "" {
			hash = m.contentHash(value)
		}
		row := append(make([]any, 0, len(columns)), string(StateSynced), now, hash, m.version, 0)
		for _, f := range fields {
			row = append(row, f.param(value))
		}
		for _, f := range times {
			row = append(row, stamp(f.FieldType, now))
		}
		rows = append(rows, row)
	}
	return columns, rows
}
