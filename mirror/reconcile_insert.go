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

// insertCount is what an INSERT has added: how many, and which where the database tells
// and somebody may ask.
type insertCount struct {
	count int
	ids   map[int64]bool
}

// inserter is the fastest way that there is, or a careful one.
func (s *reconcile) inserter(conn *sql.Conn, careful bool) insertFunc {
	table := s.repo.table
	return func(tx *gorm.DB, columns []string, rows [][]any) (in insertCount, err error) {
		if !careful {
			if err := table.Copy(tx, conn, columns, rows); !errors.Is(err, bulk.ErrNoCopy) {
				return insertCount{count: len(rows)}, err
			}
		}
		insert := table.InsertNew
		if careful {
			insert = table.Insert
		}
		ids, err := insert(tx, columns, rows)
		in = insertCount{count: len(ids)}
		if careful && ids != nil {
			in.ids = map[int64]bool{}
			for _, id := range ids {
				in.ids[id] = true
			}
		}
		return in, err
	}
}

type insertFunc = func(tx *gorm.DB, columns []string, rows [][]any) (insertCount, error)

// insertBatch adds the objects that have no row, but not those whose row a job has
// deleted since the page was requested. The check comes after the insert: from
// then on nobody can add, and delete, a row of that key before we commit.
func (s *reconcile) insertBatch(ctx context.Context, tx *gorm.DB, b listingBatch, o *batchResult, fresh []listedItem, insert insertFunc) error {
	fresh, err := s.skipUnidentified(tx, o, fresh)
	if err != nil || len(fresh) == 0 {
		return err
	}
	m, store := s.repo.model, s.repo.engine.Store()
	compared, err := s.fieldsToCompare(b)
	if err != nil {
		return err
	}
	columns, rows := s.repo.newRows(compared, fresh)
	in, err := insert(tx, columns, rows)
	if err != nil {
		return fmt.Errorf("insert into %s: %w", m.table, err)
	}
	since := b.asked.Add(-reconcileSlack)
	ended, err := store.AnyEndedSince(ctx, tx, s.repo.service, s.repo.typ, since)
	if err != nil {
		return err
	}
	if in.count == len(fresh) && !ended {
		o.result.Created += int64(in.count)
		o.added += int64(in.count)
		for _, it := range fresh {
			s.record(&o.changes, it.value, tracker.ChangeAppeared, nil)
		}
		return nil
	}
	return s.classifyInserts(ctx, tx, o, fresh, since, in)
}

// skipUnidentified leaves out objects that a job of ours is making just now: they have a
// row already, by their natural name, which lacks the id that the remote gave.
func (s *reconcile) skipUnidentified(tx *gorm.DB, o *batchResult, fresh []listedItem) ([]listedItem, error) {
	m := s.repo.model
	if len(m.natural) == 0 || len(fresh) == 0 {
		return fresh, nil
	}
	where, args := s.inScope()
	rows := reflect.New(reflect.SliceOf(m.schema.ModelType))
	err := tx.Table(m.table).Select(columnsOf(m.natural)).Where(where+s.repo.quote(m.key[0].column)+" IS NULL", args...).Find(rows.Interface()).Error
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", m.table, err)
	}
	unnamed := map[string]bool{}
	for i := range rows.Elem().Len() {
		unnamed[joinKeyParts(rows.Elem().Index(i), m.natural)] = true
	}
	if len(unnamed) == 0 {
		return fresh, nil
	}
	var left []listedItem
	for _, it := range fresh {
		if unnamed[joinKeyParts(it.value, m.natural)] {
			o.unmatchedKeys = append(o.unmatchedKeys, it.key)
			o.result.InFlight++
			continue
		}
		left = append(left, it)
	}
	return left, nil
}

// classifyInserts tells apart what was inserted, what somebody else has inserted meanwhile,
// what must not be there, and what cannot.
func (s *reconcile) classifyInserts(ctx context.Context, tx *gorm.DB, o *batchResult, fresh []listedItem, since time.Time, in insertCount) error {
	m := s.repo.model
	targets := s.targets(fresh, m.key)
	names := targets // of jobs from before the remote gave an id
	if len(m.natural) > 0 {
		names = s.targets(fresh, m.natural)
	}
	ended, err := s.repo.engine.Store().EndedSince(ctx, tx, append(slices.Clone(targets), names...), since)
	if err != nil {
		return err
	}
	rows := reflect.New(reflect.SliceOf(m.schema.ModelType))
	if err := s.findByKeys(tx, s.repo.columns(), fresh, rows); err != nil {
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
			o.refused = append(o.refused, fmt.Sprintf("%q has a value that must be unique in %s, and another row has it", joinKeyParts(it.value, m.key), m.table))
			continue
		}
		id, status := m.idOf(row), s.repo.status(row)
		switch ours := s.insertedByThisRun(id, status); {
		case ours && (ended[targets[i]] || ended[names[i]]):
			undo = append(undo, id)
			o.unmatchedKeys = append(o.unmatchedKeys, it.key)
			o.result.InFlight++
		case ours && in.ids != nil && !in.ids[id]:
			o.result.Unchanged++ // a double: another batch of this run has added it
		case ours:
			o.added++
			o.result.Created++
			s.record(&o.changes, it.value, tracker.ChangeAppeared, nil)
		default:
			o.seen = append(o.seen, id)
			o.result.InFlight++
		}
	}
	if len(undo) == 0 {
		return nil
	}
	return tx.Exec("DELETE FROM "+s.repo.quoted+" WHERE id IN ? AND sync_job_id IS NULL", undo).Error
}

// targets are the items as jobs name them, by the given fields.
func (s *reconcile) targets(items []listedItem, fields []*field) []int64 {
	list := make([]int64, len(items))
	for i, it := range items {
		list[i] = s.targetKey(it.value, fields)
	}
	return list
}

func (s *reconcile) targetKey(row reflect.Value, fields []*field) int64 {
	return jobrow.TargetKey(s.repo.service, s.repo.typ, s.repo.model.instance(row), joinKeyParts(row, fields))
}

// newRows are the columns and values of rows that are as the remote has them.
func (r *repo) newRows(fetched []*field, items []listedItem) (columns []string, rows [][]any) {
	m, now := r.model, nawasync.Timestamp{Time: r.engine.Store().Now()}
	fields := append(m.identity(), fetched...)
	columns = append([]string{"sync_status"}, remoteStatusValues[:len(remoteStatusValues)-1]...) // they were never missing
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
		row := m.appendRemoteStatus(append(make([]any, 0, 1+len(columns)), string(nawasync.StateSynced)), now, hash)
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
