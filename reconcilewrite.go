package nawasync

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// write stores a batch's differences in one transaction, which is void when the job
// has been taken over meanwhile.
func (s *reconcile) write(ctx context.Context, changed map[int64]item, fresh []item) error {
	before := s.result.clone()
	return s.fenced(ctx, func(tx *gorm.DB) error {
		s.result = before.clone()
		if err := s.update(ctx, tx, changed); err != nil {
			return err
		}
		return s.insert(ctx, tx, fresh)
	})
}

// fenced is a transaction of an attempt that is still the one; it may run again.
func (s *reconcile) fenced(ctx context.Context, fn func(tx *gorm.DB) error) error {
	store := s.r.engine.store
	return store.Repeated(ctx, func(tx *gorm.DB) error {
		tx = quiet(ctx, tx)
		held, err := store.Fence(ctx, tx, s.a.job)
		if err != nil {
			return fmt.Errorf("nawasync: check the lease: %w", err)
		}
		if !held {
			return ErrLeaseLost
		}
		return fn(tx)
	})
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
	if status.State.Pending() {
		return true
	}
	if status.SyncJobID == nil {
		return false
	}
	ended, known := last[*status.SyncJobID]
	return known && (ended.IsZero() || !ended.Before(since.Add(-reconcileSlack)))
}

// update writes the fetched fields of rows that differ.
func (s *reconcile) update(ctx context.Context, tx *gorm.DB, changed map[int64]item) error {
	if len(changed) == 0 {
		return nil
	}
	rows, last, err := s.locked(ctx, tx, sortedIDs(changed), s.a != nil)
	if err != nil {
		return err
	}
	compared, err := s.compared()
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
		if s.busy(status, last, s.asked) {
			s.result.InFlight++
			continue
		}
		s.merge(row, changed[m.idOf(row)], status, compared)
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
	s.result.InFlight += int64(len(changed) - rows.Len()) // deleted since
	s.result.Updated += int64(len(params))
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
func (s *reconcile) merge(row reflect.Value, it item, status *SyncStatus, compared []*field) {
	mine := status.State == StateSynced && status.HashVersion == s.r.model.version
	for _, f := range compared {
		if f.role != roleObserved && mine && !unknown(f.value(row)) && !f.equal(row, it.value) {
			s.result.drift(texts(row, s.r.model.key), f.column, f.value(row).Interface(), f.value(it.value).Interface())
		}
		f.value(row).Set(f.value(it.value))
	}
}

// unknown is a value that no listing has given yet: filling it in is no drift.
func unknown(v reflect.Value) bool { return v.Kind() == reflect.Pointer && v.IsNil() }

// insert adds the objects that have no row, but not those whose row a job has
// deleted since the page was requested. The check comes after the insert: from
// then on nobody can add, and delete, a row of that key before we commit.
func (s *reconcile) insert(ctx context.Context, tx *gorm.DB, fresh []item) error {
	if len(fresh) == 0 {
		return nil
	}
	m, store := s.r.model, s.r.engine.store
	values := make([]reflect.Value, len(fresh))
	targets := make([]int64, len(fresh))
	for i, it := range fresh {
		values[i] = it.value
		targets[i] = hash("target", s.r.service, s.r.typ, m.instance(it.value), texts(it.value, m.key))
	}
	compared, err := s.compared()
	if err != nil {
		return err
	}
	columns, rows := s.r.newRows(compared, values)
	ids, err := s.r.table.Insert(tx, columns, rows)
	if err != nil {
		return fmt.Errorf("nawasync: insert into %s: %w", m.table, err)
	}
	ended, err := store.EndedSince(ctx, tx, targets, s.asked.Add(-reconcileSlack))
	if err != nil {
		return err
	}
	if len(ids) == len(fresh) && len(ended) == 0 {
		s.result.Created += int64(len(ids))
		for _, id := range ids {
			s.seen.Add(id)
		}
		return nil
	}
	return s.sortOut(tx, fresh, targets, ended)
}

// sortOut tells apart what was inserted, what somebody else has inserted meanwhile,
// what must not be there, and what cannot.
func (s *reconcile) sortOut(tx *gorm.DB, fresh []item, targets []int64, ended map[int64]bool) error {
	m := s.r.model
	rows := reflect.New(reflect.SliceOf(m.schema.ModelType))
	where, args, err := s.keys(tx, fresh)
	if err == nil {
		err = tx.Table(m.table).Select(s.r.columns()).Where(where, args...).Find(rows.Interface()).Error
	}
	if err != nil {
		return fmt.Errorf("nawasync: read %s: %w", m.table, err)
	}
	there := map[string]reflect.Value{}
	for i := range rows.Elem().Len() {
		there[m.keyText(rows.Elem().Index(i))] = rows.Elem().Index(i)
	}
	var undo []int64
	for i, it := range fresh {
		row, ok := there[it.key]
		if !ok {
			return Permanent(fmt.Errorf("%s %q cannot be stored: another row of %s has a value that must be unique there", s.r.typ, texts(it.value, m.key), m.table))
		}
		id, status := m.idOf(row), s.r.status(row)
		ours := status.SyncJobID == nil && id > s.maxID
		switch {
		case ours && ended[targets[i]]:
			undo = append(undo, id)
			s.extra[it.key] = true
			s.result.InFlight++
		case ours:
			s.seen.Add(id)
			s.result.Created++
		default:
			s.seen.Add(id)
			s.result.InFlight++
		}
	}
	if len(undo) == 0 {
		return nil
	}
	return tx.Exec("DELETE FROM "+s.r.quoted+" WHERE id IN ? AND sync_job_id IS NULL", undo).Error
}

// newRows are the columns and values of rows that are as the remote has them.
func (r *repo) newRows(fetched []*field, values []reflect.Value) (columns []string, rows [][]any) {
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
	for _, value := range values {
		row := append(make([]any, 0, len(columns)), string(StateSynced), now, m.contentHash(value), m.version, 0)
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

func sortedIDs[V any](m map[int64]V) []int64 {
	ids := make([]int64, 0, len(m))
	for id := range m {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}
