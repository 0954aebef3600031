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
	"github.com/nawasara/nawasync/secret"
	"github.com/nawasara/nawasync/tracker"
)

// writeBatch stores the differences of a batch in one transaction. It returns
// nawasync.ErrLeaseLost if another process has taken the job over. If skipTaken is set, the
// insert leaves out rows whose key is taken.
func (s *reconcile) writeBatch(ctx context.Context, d batchDiff, skipTaken bool) (out batchResult, err error) {
	err = s.fencedOn(ctx, func(tx *gorm.DB, conn *sql.Conn) error {
		out = d.counted.clone() // discard the counts of a transaction that is retried
		remade, err := s.updateBatch(ctx, tx, d, &out)
		if err != nil {
			return err
		}
		d := d
		d.unmatched = append(slices.Clip(d.unmatched), remade...)
		if err := s.insertBatch(ctx, tx, d, &out, s.inserter(conn, skipTaken)); err != nil {
			return err
		}
		return s.repo.engine.Store().AddChanges(ctx, tx, out.changes)
	})
	return out, err
}

// lockRows reads all columns of rows, ordered by id. If lock is set, the rows stay locked until
// the transaction ends. finishedAt maps the id of each job that last changed a row to the time at
// which the job finished, or to the zero time if it is unfinished.
func (s *reconcile) lockRows(ctx context.Context, tx *gorm.DB, ids []int64, lock bool) (rows reflect.Value, finishedAt map[int64]time.Time, err error) {
	slices.Sort(ids)
	found := reflect.New(reflect.SliceOf(s.repo.model.schema.ModelType))
	query := tx.Table(s.repo.model.table).Select(s.repo.columns()).Where("id IN ?", ids).Order("id")
	if lock {
		query = query.Clauses(clause.Locking{Strength: "UPDATE"})
	}
	if err := s.repo.model.readRows(query, found, nil); err != nil {
		return rows, nil, fmt.Errorf("read %s: %w", s.repo.model.table, err)
	}
	rows = found.Elem()
	var jobs []int64
	for i := range rows.Len() {
		if job := s.repo.status(rows.Index(i)).SyncJobID; job != nil {
			jobs = append(jobs, *job)
		}
	}
	finishedAt, err = s.repo.engine.Store().FinishTimes(ctx, tx, jobs)
	return rows, finishedAt, err
}

// changedByJob reports whether a job is changing the row, or finished changing it later than
// the slack before the time since.
func (s *reconcile) changedByJob(status *nawasync.SyncStatus, finishedAt map[int64]time.Time, since time.Time) bool {
	if status.SyncJobID == nil {
		return status.State.Pending() // another transaction is adding the row's job
	}
	// A row can be pending although its job has finished, for example because an older
	// release left it so. The sync writes such a row and thereby corrects its state.
	finished, known := finishedAt[*status.SyncJobID]
	return known && (finished.IsZero() || !finished.Before(since.Add(-s.slack())))
}

// updateBatch writes the fetched fields of the rows that differ. In a dry run (Plan) it
// only counts the rows. It returns the objects that were made again: their rows are deleted.
func (s *reconcile) updateBatch(ctx context.Context, tx *gorm.DB, d batchDiff, out *batchResult) (remade []listedItem, err error) {
	if len(d.changed) == 0 {
		return nil, nil
	}
	rows, finishedAt, err := s.lockRows(ctx, tx, slices.Sorted(maps.Keys(d.changed)), s.attempt != nil)
	if err != nil {
		return nil, err
	}
	replaced := replacedRows{}
	now := nawasync.Timestamp{Time: s.repo.engine.Store().Now()}
	var params [][]any
	var written []listedItem
	for i := range rows.Len() {
		row := rows.Index(i)
		status := s.repo.status(row)
		if s.changedByJob(status, finishedAt, d.batch.requestedAt) {
			out.result.InFlight++
			continue
		}
		it := d.changed[s.repo.model.idOf(row)]
		if s.repo.model.remade(row, it.value) {
			replaced.add(row, it)
			continue
		}
		s.copyFetched(out, row, it, d.compared)
		params = append(params, s.updateParams(row, d.compared, now))
		written = append(written, it)
	}
	out.result.InFlight += int64(len(d.changed) - rows.Len()) // rows deleted since they were compared
	out.result.Updated += int64(len(params))
	if remade, err = s.replace(tx, replaced, out); err != nil || s.attempt == nil || len(params) == 0 {
		return remade, err
	}
	if err := s.repo.table.Update(tx, s.updateColumns(d.compared), params); err != nil {
		return nil, fmt.Errorf("write %s: %w", s.repo.model.table, err)
	}
	return remade, s.readBack(tx, written, d.compared)
}

// updateColumns returns the columns of an update. The order is that of updateParams.
func (s *reconcile) updateColumns(compared []*field) []string {
	columns := append([]string{"sync_status", "sync_error"}, remoteStatusColumns...)
	for _, f := range compared {
		columns = append(columns, f.column)
	}
	for _, f := range s.repo.model.updated {
		columns = append(columns, f.DBName)
	}
	return columns
}

// updateParams returns the id of a row and the values of updateColumns.
func (s *reconcile) updateParams(row reflect.Value, compared []*field, now nawasync.Timestamp) []any {
	m, status := s.repo.model, s.repo.status(row)
	state, text := nawasync.StateSynced, any(nil)
	if status.State == nawasync.StateConflict { // an operator has yet to answer the conflict
		state, text = nawasync.StateConflict, status.SyncError
	}
	size := 3 + len(remoteStatusColumns) + len(compared) + len(m.updated)
	values := append(make([]any, 0, size), m.idOf(row), string(state), text)
	fetched := m.fetchedText(m.withFetched(status, compared))
	values = m.appendRemoteStatus(values, now, fetched, func() string { return m.contentHash(row) })
	for _, f := range compared {
		values = append(values, f.param(row))
	}
	for _, f := range m.updated {
		values = append(values, gormTime(f.FieldType, now))
	}
	return values
}

// copyFetched copies the fetched fields of an item into its row. It records drift: fields that
// were changed on the remote and not by a job.
func (s *reconcile) copyFetched(out *batchResult, row reflect.Value, it listedItem, compared []*field) {
	status := s.repo.status(row)
	known := status.HashVersion == s.repo.model.version
	s.planUpdate(row, it, compared)
	fields := map[string]valueChange{}
	for _, f := range compared {
		if f.role != roleObserved && known && s.repo.model.fetched(status, f) && !f.equal(row, it.value) {
			from, to := f.value(row).Interface(), f.value(it.value).Interface()
			if f.hidden { // also in a plan, which no job redacts
				from, to = secret.Masked, secret.Masked
			}
			fields[f.column] = valueChange{abbreviate(from), abbreviate(to)}
			if status.State == nawasync.StateSynced {
				addDrift(&out.result, targetText(row, s.repo.model.key), f.column, from, to)
			}
		}
		f.value(row).Set(f.value(it.value))
	}
	switch {
	case !status.MissingSince.IsZero():
		s.record(&out.changes, row, tracker.ChangeReturned, fields)
	case len(fields) > 0:
		s.record(&out.changes, row, tracker.ChangeDrifted, fields)
	}
}
