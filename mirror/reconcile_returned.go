package mirror

import (
	"fmt"
	"reflect"
	"slices"
	"sync"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/tracker"
)

// deletedRows finds the deleted rows of a scope by their former keys. It reads them only if an object
// has no row, so that most syncs read none.
type deletedRows struct {
	mu       sync.Mutex
	loadedAt time.Time // zero until the first load
	ids      map[tracker.Identity][]int64
}

// deletedIDs returns the ids of the rows that had the keys of items and were deleted within
// deletedRetention.
func (s *reconcile) deletedIDs(tx *gorm.DB, items []listedItem) (ids []int64, err error) {
	known := &s.deleted
	now := s.repo.engine.Store().Now()
	since := now.Add(-deletedRetention)
	known.mu.Lock()
	if !known.loadedAt.IsZero() { // read those that were deleted since, and by transactions that were open then
		since = known.loadedAt.Add(-time.Minute)
	}
	known.mu.Unlock() // a transaction that waited for it would keep the connection that the query needs
	where, args := s.inScope()
	columns := []string{"id"}
	for _, f := range s.repo.model.keyFields() {
		columns = append(columns, f.column)
	}
	found := reflect.New(reflect.SliceOf(s.repo.model.schema.ModelType))
	err = tx.Unscoped().Table(s.repo.model.table).Select(columns).
		Where(where+isDeleted+" AND deleted_at >= ?", append(args, nawasync.Timestamp{Time: since})...).Find(found.Interface()).Error
	if err != nil {
		return nil, fmt.Errorf("read the deleted rows of %s: %w", s.repo.model.table, err)
	}
	known.mu.Lock()
	defer known.mu.Unlock()
	if known.ids == nil {
		known.ids = map[tracker.Identity][]int64{}
	}
	if now.After(known.loadedAt) {
		known.loadedAt = now
	}
	for i := range found.Elem().Len() {
		row := found.Elem().Index(i)
		key, id := s.repo.model.keyIdentity(row), s.repo.model.idOf(row)
		if !slices.Contains(known.ids[key], id) {
			known.ids[key] = append(known.ids[key], id)
		}
	}
	if len(known.ids) == 0 {
		return nil, nil
	}
	for _, it := range items {
		ids = append(ids, known.ids[it.key]...)
	}
	return ids, nil
}

// bringBack gives objects without a row the row that they had before, if it was deleted within
// deletedRetention because the remote no longer had them. It returns the objects that need a new row:
// those that a job has deleted, and those that only have the name of a deleted one.
func (s *reconcile) bringBack(tx *gorm.DB, d batchDiff, items []listedItem, out *batchResult) (left []listedItem, err error) {
	if s.firstLoad || len(items) == 0 {
		return items, nil
	}
	ids, err := s.deletedIDs(tx, items)
	if err != nil || len(ids) == 0 {
		return items, err
	}
	rows, err := s.readDeleted(tx, ids, s.attempt != nil)
	if err != nil {
		return nil, err
	}
	taken, err := s.rowsByKey(tx, []string{"id", "identity"}, items)
	if err != nil {
		return nil, err
	}
	now := nawasync.Timestamp{Time: s.repo.engine.Store().Now()}
	var params [][]any
	for _, it := range items {
		row, found := s.repo.lastDeleted(rows[it.key], it.value, d.compared)
		if _, exists := taken[it.key]; !found || exists {
			left = append(left, it)
			continue
		}
		status := s.repo.status(row)
		if status.DeletedAt.After(d.batch.requestedAt) { // the page is older than the deletion
			out.unmatchedKeys = append(out.unmatchedKeys, it.key)
			out.result.InFlight++
			continue
		}
		if status.MissingSince.IsZero() {
			status.MissingSince = nawasync.Timestamp{Time: status.DeletedAt.Time}
		}
		s.copyFetched(out, row, it, d.compared)
		out.seen = append(out.seen, s.repo.model.idOf(row))
		params = append(params, append(s.updateParams(row, d.compared, now), it.key[:], nil, nil))
	}
	out.result.Updated += int64(len(params))
	if len(params) == 0 || s.attempt == nil {
		return left, nil
	}
	columns := append(s.updateColumns(d.compared), "identity", "deleted_at", "deleted_job_id")
	if err := s.repo.table.Update(tx, columns, params); err != nil {
		return nil, fmt.Errorf("write %s: %w", s.repo.model.table, err)
	}
	return left, nil
}

// readDeleted reads deleted rows, by their former keys. If lock is set, the rows stay locked.
func (s *reconcile) readDeleted(tx *gorm.DB, ids []int64, lock bool) (map[tracker.Identity][]reflect.Value, error) {
	slices.Sort(ids)
	found := reflect.New(reflect.SliceOf(s.repo.model.schema.ModelType))
	since := nawasync.Timestamp{Time: s.repo.engine.Store().Now().Add(-deletedRetention)}
	query := tx.Unscoped().Table(s.repo.model.table).Select(s.repo.columns()).Where("id IN ? AND deleted_at >= ?", ids, since).Order("id")
	if lock {
		query = s.repo.forUpdate(query)
	}
	if err := query.Find(found.Interface()).Error; err != nil {
		return nil, fmt.Errorf("read the deleted rows of %s: %w", s.repo.model.table, err)
	}
	rows := map[tracker.Identity][]reflect.Value{}
	for i := range found.Elem().Len() {
		key := s.repo.model.keyIdentity(found.Elem().Index(i))
		rows[key] = append(rows[key], found.Elem().Index(i))
	}
	return rows, nil
}

// lastDeleted returns the row of an object that has returned: of the deleted rows of the same
// incarnation, the last one. If one of our jobs has deleted it, an object of that name is another one.
func (r *repo) lastDeleted(rows []reflect.Value, object reflect.Value, fetched []*field) (last reflect.Value, found bool) {
	for _, row := range rows {
		if !r.model.sameIncarnation(row, object, fetched) {
			continue
		}
		if !found || !r.status(row).DeletedAt.Before(r.status(last).DeletedAt.Time) { // rows are ordered by id
			last, found = row, true
		}
	}
	return last, found && r.status(last).DeletedJobID == nil
}
