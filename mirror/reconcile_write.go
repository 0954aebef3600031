package mirror

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/tracker"
)

// writeBatch stores a batch's differences in one transaction, which is void when the job
// has been taken over meanwhile. A careful one leaves out rows whose key is taken.
func (s *reconcile) writeBatch(
	ctx context.Context,
	b listingBatch,
	base batchResult,
	changed map[int64]listedItem,
	fresh []listedItem,
	careful bool,
) (o batchResult, err error) {
	err = s.fencedOn(ctx, func(tx *gorm.DB, conn *sql.Conn) error {
		o = base.clone()
		if err := s.updateBatch(ctx, tx, b, &o, changed); err != nil {
			return err
		}
		if err := s.insertBatch(ctx, tx, b, &o, fresh, s.inserter(conn, careful)); err != nil {
			return err
		}
		return s.repo.engine.Store().AddChanges(ctx, tx, o.changes)
	})
	return o, err
}

// lockRows reads whole rows, in order, and keeps them from everybody else; without
// lock it only reads them. last is when the job that changed each last ended.
func (s *reconcile) lockRows(ctx context.Context, tx *gorm.DB, ids []int64, lock bool) (rows reflect.Value, last map[int64]time.Time, err error) {
	slices.Sort(ids)
	found := reflect.New(reflect.SliceOf(s.repo.model.schema.ModelType))
	query := tx.Table(s.repo.model.table).Select(s.repo.columns()).Where("id IN ?", ids).Order("id")
	if lock {
		query = query.Clauses(clause.Locking{Strength: "UPDATE"})
	}
	if err := query.Find(found.Interface()).Error; err != nil {
		return rows, nil, fmt.Errorf("read %s: %w", s.repo.model.table, err)
	}
	rows = found.Elem()
	var jobs []int64
	for i := range rows.Len() {
		if job := s.repo.status(rows.Index(i)).SyncJobID; job != nil {
			jobs = append(jobs, *job)
		}
	}
	last, err = s.repo.engine.Store().FinishTimes(ctx, tx, jobs)
	return rows, last, err
}

// changedByJob reports whether a job changes the row, or has since the given time.
func (s *reconcile) changedByJob(status *nawasync.SyncStatus, last map[int64]time.Time, since time.Time) bool {
	if status.SyncJobID == nil {
		return status.State.Pending() // its job is being added
	}
	// A row that says pending though its job has ended was left so by something else
	// than this library, an older release for instance: it is mended.
	ended, known := last[*status.SyncJobID]
	return known && (ended.IsZero() || !ended.Before(since.Add(-reconcileSlack)))
}

// updateBatch writes the fetched fields of rows that differ.
func (s *reconcile) updateBatch(ctx context.Context, tx *gorm.DB, b listingBatch, o *batchResult, changed map[int64]listedItem) error {
	if len(changed) == 0 {
		return nil
	}
	rows, last, err := s.lockRows(ctx, tx, slices.Sorted(maps.Keys(changed)), s.attempt != nil)
	if err != nil {
		return err
	}
	compared, err := s.fieldsToCompare(b)
	if err != nil {
		return err
	}
	m, now := s.repo.model, nawasync.Timestamp{Time: s.repo.engine.Store().Now()}
	columns := append([]string{"sync_status", "sync_error"}, remoteStatusValues...)
	for _, f := range compared {
		columns = append(columns, f.column)
	}
	for _, f := range m.updated {
		columns = append(columns, f.DBName)
	}
	var params [][]any
	for i := range rows.Len() {
		row := rows.Index(i)
		status := s.repo.status(row)
		if s.changedByJob(status, last, b.asked) {
			o.result.InFlight++
			continue
		}
		s.copyFetched(o, row, changed[m.idOf(row)], status, compared)
		state, text := nawasync.StateSynced, any(nil)
		if status.State == nawasync.StateConflict { // a person is still to answer
			state, text = nawasync.StateConflict, status.SyncError
		}
		values := append(make([]any, 0, 1+len(columns)), m.idOf(row), string(state), text)
		values = m.appendRemoteStatus(values, now, m.contentHash(row))
		for _, f := range compared {
			values = append(values, f.param(row))
		}
		for _, f := range m.updated {
			values = append(values, gormTime(f.FieldType, now))
		}
		params = append(params, values)
	}
	o.result.InFlight += int64(len(changed) - rows.Len()) // deleted since
	o.result.Updated += int64(len(params))
	if s.attempt == nil || len(params) == 0 {
		return nil
	}
	if err := s.repo.table.Update(tx, columns, params); err != nil {
		return fmt.Errorf("write %s: %w", m.table, err)
	}
	return nil
}

// copyFetched copies the fetched fields into the row, and counts what had drifted: what
// differs in a row that nobody of ours has changed.
func (s *reconcile) copyFetched(o *batchResult, row reflect.Value, it listedItem, status *nawasync.SyncStatus, compared []*field) {
	known := status.HashVersion == s.repo.model.version
	fields := map[string]valueChange{}
	for _, f := range compared {
		if f.role != roleObserved && known && !neverFetched(f.value(row)) && !f.equal(row, it.value) {
			from, to := f.value(row).Interface(), f.value(it.value).Interface()
			fields[f.column] = valueChange{abbreviate(from), abbreviate(to)}
			if status.State == nawasync.StateSynced {
				addDrift(&o.result, joinKeyParts(row, s.repo.model.key), f.column, from, to)
			}
		}
		f.value(row).Set(f.value(it.value))
	}
	switch {
	case !status.MissingSince.IsZero():
		s.record(&o.changes, row, tracker.ChangeReturned, fields)
	case len(fields) > 0:
		s.record(&o.changes, row, tracker.ChangeDrifted, fields)
	}
}

// neverFetched is a value that no listing has given yet: filling it in is no drift.
func neverFetched(v reflect.Value) bool { return v.Kind() == reflect.Pointer && v.IsNil() }
