package mirror

import (
	"context"
	"fmt"
	"reflect"
	"slices"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/bulk"
	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

// findDifferences compares the batch with the rows of its keys.
func (s *reconcile) findDifferences(ctx context.Context, d *batchDiff) error {
	d.changed = map[int64]listedItem{}
	items, full := d.batch.ready, d.batch.fields == nil
	if full {
		var err error
		if d.unmatched, items, err = s.matchHeads(ctx, d); err != nil || len(items) == 0 {
			return err
		}
	}
	rows, err := s.localRows(ctx, items, d.compared, full)
	if err != nil {
		return err
	}
	for _, it := range items {
		row, ok := rows[it.key]
		if !ok {
			d.unmatched = append(d.unmatched, it)
			continue
		}
		if err := s.repo.checkVersion(s.repo.status(row).HashVersion); err != nil {
			return err
		}
		id := s.repo.model.idOf(row)
		if !s.insertedByThisRun(id, s.repo.status(row)) {
			d.counted.seen = append(d.counted.seen, id)
		}
		if s.unchanged(it, row, d.compared, full) {
			d.counted.result.Unchanged++
		} else {
			d.changed[id] = it
		}
	}
	return nil
}

// fieldsToCompare returns the fields that the batch's pages fetched.
func (s *reconcile) fieldsToCompare(b listingBatch) ([]*field, error) {
	if b.fields == nil {
		return s.repo.model.mirrored(), nil
	}
	var list []*field
	for _, column := range b.fields {
		f := s.repo.model.byColumn[column]
		if f == nil {
			return nil, nawasync.Permanent(fmt.Errorf("a page names the column %q, which %s does not have", column, s.repo.model.schema.Name))
		}
		if slices.Contains(s.repo.model.mirrored(), f) {
			list = append(list, f)
		}
	}
	return list, nil
}

// localRows reads the rows with the keys of items, by key. It selects only the columns to
// compare: if the pages fetched all columns, the content hash replaces the content.
func (s *reconcile) localRows(ctx context.Context, items []listedItem, compared []*field, full bool) (map[tracker.Identity]reflect.Value, error) {
	columns := []string{"id", "identity", "sync_status", "sync_job_id", "content_hash", "hash_version", "missing_since"}
	if !full {
		columns = append(columns, "fetched_columns")
	}
	for _, f := range s.repo.model.key {
		columns = append(columns, f.column)
	}
	for _, f := range compared {
		if !full || f.role == roleObserved {
			columns = append(columns, f.column)
		}
	}
	return s.rowsByKey(sqlkit.Primary(ctx, s.repo.engine.DB()), columns, items)
}

// rowsByKey reads columns of the rows with the keys of items, by key.
func (s *reconcile) rowsByKey(tx *gorm.DB, columns []string, items []listedItem) (map[tracker.Identity]reflect.Value, error) {
	m := s.repo.model
	keys := make([][]any, len(items))
	for i, it := range items {
		keys[i] = []any{it.key[:]}
	}
	found := reflect.New(reflect.SliceOf(m.schema.ModelType))
	query, args, err := s.repo.table.Find(tx, bulk.KeyQuery{Select: columns, KeyColumns: []string{"identity"}, Keys: keys})
	if err == nil {
		err = m.readRows(tx.Raw(query, args...), found, nil)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", m.table, err)
	}
	rows := make(map[tracker.Identity]reflect.Value, found.Elem().Len())
	for i := range found.Elem().Len() {
		row := found.Elem().Index(i)
		rows[s.repo.status(row).Identity] = row
	}
	return rows, nil
}

// unchanged reports whether the row already matches the item, so that nothing is written.
func (s *reconcile) unchanged(it listedItem, row reflect.Value, compared []*field, full bool) bool {
	status := s.repo.status(row)
	if status.State != nawasync.StateSynced && status.State != nawasync.StateConflict || !status.MissingSince.IsZero() {
		return false
	}
	if full && (status.HashVersion != s.repo.model.version || status.ContentHash != it.hash) {
		return false
	}
	for _, f := range compared {
		if !full && f.role != roleObserved && !s.repo.model.fetched(status, f) {
			return false
		}
		if (!full || f.role == roleObserved) && !f.equal(it.value, row) {
			return false
		}
	}
	return true
}
