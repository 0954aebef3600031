package mirror

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/bulk"
	"github.com/nawasara/nawasync/internal/jobrow"
	"github.com/nawasara/nawasync/tracker"
)

// insertCount is what an INSERT added.
type insertCount struct {
	count int
	// ids holds the ids of the added rows. It is set only if the INSERT leaves out rows whose key
	// is taken and the database returns the ids.
	ids map[int64]bool
}

// insertFunc inserts rows and counts those that it added.
type insertFunc = func(tx *gorm.DB, columns []string, rows [][]any) (insertCount, error)

// inserter returns the function that inserts rows. If skipTaken is set, the function leaves out
// rows whose key is taken. Otherwise it is the fastest way to insert, which may return an error
// for a taken key.
func (s *reconcile) inserter(conn *sql.Conn, skipTaken bool) insertFunc {
	table := s.repo.table
	return func(tx *gorm.DB, columns []string, rows [][]any) (in insertCount, err error) {
		if !skipTaken {
			err := table.Copy(tx, conn, columns, rows)
			if errors.Is(err, bulk.ErrNoCopy) {
				err = table.InsertNew(tx, columns, rows)
			}
			return insertCount{count: len(rows)}, err
		}
		ids, err := table.Insert(tx, columns, rows)
		in = insertCount{count: len(ids)}
		if ids != nil {
			in.ids = map[int64]bool{}
			for _, id := range ids {
				in.ids[id] = true
			}
		}
		return in, err
	}
}

// insertBatch adds the objects that have no row and had none before, except those whose row a job has deleted since
// the page was requested. The check for such jobs runs after the INSERT: from then until the
// commit, no other transaction can add and delete a row with one of the keys.
func (s *reconcile) insertBatch(ctx context.Context, tx *gorm.DB, d batchDiff, out *batchResult, insert insertFunc) error {
	items, err := s.skipUnidentified(tx, out, d.unmatched)
	if err == nil {
		items, err = s.bringBack(tx, d, items, out)
	}
	if err != nil || len(items) == 0 {
		return err
	}
	columns, rows := s.repo.newRows(d.compared, items)
	s.awaitTurn(ctx, d)
	in, err := insert(tx, columns, rows)
	d.batch.hasInserted()
	if err != nil {
		return fmt.Errorf("insert into %s: %w", s.repo.model.table, err)
	}
	since := d.batch.requestedAt.Add(-s.slack())
	finished, err := s.repo.engine.Store().AnyEndedSince(ctx, tx, s.repo.service, s.repo.typ, since)
	if err != nil {
		return err
	}
	if in.count == len(items) && !finished {
		out.result.Created += int64(in.count)
		out.added += int64(in.count)
		for _, it := range items {
			s.record(&out.changes, it.value, tracker.ChangeAppeared, nil)
		}
		if err := s.recordMoved(tx, items, out); err != nil {
			return err
		}
		return s.readBack(tx, items, append(s.repo.model.keyFields(), d.compared...))
	}
	inserted, err := s.classifyInserts(ctx, tx, out, insertedItems{insertCount: in, items: items, since: since})
	if err == nil {
		err = s.recordMoved(tx, inserted, out)
	}
	if err != nil {
		return err
	}
	return s.readBack(tx, inserted, append(s.repo.model.keyFields(), d.compared...))
}

// maxTurn is how long a batch waits for its turn: the batch before may need its connection.
const maxTurn = 2 * time.Second

// awaitTurn lets the batches of a first load insert their rows one after the other, so that ids follow the order
// of the listing, as rowWindow expects. That is for speed only, so a batch does not wait for long.
func (s *reconcile) awaitTurn(ctx context.Context, d batchDiff) {
	if !s.firstLoad || d.batch.turn == nil { // the first batch has none before it
		return
	}
	timer := time.NewTimer(maxTurn)
	defer timer.Stop()
	select {
	case <-d.batch.turn:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// skipUnidentified leaves out objects that a job is creating at the same time. Their row exists
// and has the natural fields, but not yet the key that the remote assigned.
func (s *reconcile) skipUnidentified(tx *gorm.DB, out *batchResult, items []listedItem) ([]listedItem, error) {
	m := s.repo.model
	if len(m.natural) == 0 || len(items) == 0 {
		return items, nil
	}
	names := make([][]any, len(items))
	for i, it := range items {
		name := m.nameIdentity(it.value)
		names[i] = []any{name[:]}
	}
	query, args, err := s.repo.table.Find(tx, bulk.KeyQuery{Select: []string{"identity"}, KeyColumns: []string{"identity"}, Keys: names})
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", m.table, err)
	}
	rows := reflect.New(reflect.SliceOf(m.schema.ModelType))
	if err := tx.Raw(query, args...).Find(rows.Interface()).Error; err != nil {
		return nil, fmt.Errorf("read %s: %w", m.table, err)
	}
	withoutKey := map[tracker.Identity]bool{}
	for i := range rows.Elem().Len() {
		withoutKey[s.repo.status(rows.Elem().Index(i)).Identity] = true
	}
	if len(withoutKey) == 0 {
		return items, nil
	}
	var left []listedItem
	for _, it := range items {
		if withoutKey[m.nameIdentity(it.value)] {
			out.unmatchedKeys = append(out.unmatchedKeys, it.key)
			out.result.InFlight++
			continue
		}
		left = append(left, it)
	}
	return left, nil
}

// insertedItems are the items of an INSERT that may have added rows for only some of them.
type insertedItems struct {
	insertCount
	items []listedItem
	since time.Time // jobs that finished at or after this time may have deleted a row
}

// classifyInserts finds out for each item whether this sync or another process inserted its row,
// and which items cannot be stored. It deletes the rows of objects that a job has deleted since
// the page was requested. It returns the items whose rows this sync inserted.
func (s *reconcile) classifyInserts(ctx context.Context, tx *gorm.DB, out *batchResult, in insertedItems) (added []listedItem, err error) {
	m := s.repo.model
	targets := s.targetKeys(in.items, m.key)
	naturalTargets := targets // targets of jobs from before the remote assigned the key
	if len(m.natural) > 0 {
		naturalTargets = s.targetKeys(in.items, m.natural)
	}
	finished, err := s.repo.engine.Store().EndedSince(ctx, tx, append(slices.Clone(targets), naturalTargets...), in.since)
	if err != nil {
		return nil, err
	}
	rows, err := s.rowsByKey(tx, s.repo.columns(), in.items)
	if err != nil {
		return nil, err
	}
	var undo []int64
	for i, it := range in.items {
		row, ok := rows[it.key]
		if !ok {
			out.unmatchedKeys = append(out.unmatchedKeys, it.key) // it counts as seen
			out.refused = append(out.refused, fmt.Sprintf("%.80q: another row of %s has the same value in a unique column", targetText(it.value, m.key), m.table))
			continue
		}
		id := m.idOf(row)
		switch inserted := s.insertedByThisRun(id, s.repo.status(row)); {
		case inserted && (finished[targets[i]] || finished[naturalTargets[i]]):
			undo = append(undo, id)
			out.unmatchedKeys = append(out.unmatchedKeys, it.key)
			out.result.InFlight++
		case inserted && in.ids != nil && !in.ids[id]:
			out.result.Unchanged++ // another batch of this sync listed the same key and added the row
		case inserted:
			added = append(added, it)
			out.added++
			out.result.Created++
			s.record(&out.changes, it.value, tracker.ChangeAppeared, nil)
		default:
			out.seen = append(out.seen, id)
			out.result.InFlight++
		}
	}
	if len(undo) == 0 {
		return added, nil
	}
	return added, tx.Exec("DELETE FROM "+s.repo.quoted+" WHERE id IN ? AND sync_job_id IS NULL", undo).Error
}

// targetKeys returns the job target keys of items. fields are the fields that name the target.
func (s *reconcile) targetKeys(items []listedItem, fields []*field) []int64 {
	list := make([]int64, len(items))
	for i, it := range items {
		list[i] = jobrow.TargetKey(s.repo.service, s.repo.typ, s.repo.model.instance(it.value), targetText(it.value, fields))
	}
	return list
}

// newRows returns the columns and values of new, synced rows for listed items.
func (r *repo) newRows(fetched []*field, items []listedItem) (columns []string, rows [][]any) {
	m, now := r.model, nawasync.Timestamp{Time: r.engine.Store().Now()}
	fields := append(m.keyFields(), fetched...)
	columns = append([]string{"identity", "sync_status"}, remoteStatusColumns[:len(remoteStatusColumns)-1]...) // a new row has never been missing
	for _, f := range fields {
		columns = append(columns, f.column)
	}
	times := append(slices.Clone(m.created), m.updated...)
	for _, f := range times {
		columns = append(columns, f.DBName)
	}
	fetchedText := m.fetchedText(fetched)
	for _, it := range items {
		value := it.value
		hash := func() string {
			if it.hash != "" {
				return it.hash
			}
			return m.contentHash(value)
		}
		identity := it.key
		if identity == (tracker.Identity{}) {
			identity = m.keyIdentity(value)
		}
		row := m.appendRemoteStatus(append(make([]any, 0, 1+len(columns)), identity[:], string(nawasync.StateSynced)), now, fetchedText, hash)
		row = row[:len(row)-1]
		for _, f := range fields {
			row = append(row, f.param(value))
		}
		for _, f := range times {
			row = append(row, gormTime(f.FieldType, now))
		}
		rows = append(rows, row)
	}
	return columns, rows
}
