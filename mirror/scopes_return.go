package mirror

import (
	"context"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/bulk"
	"github.com/nawasara/nawasync/tracker"
)

// rememberState returns the sync_error of a row that is hidden because its scope is gone. It says how the row was
// before.
func rememberState(status *nawasync.SyncStatus) string {
	text := "the scope is gone; before: " + string(status.State)
	if status.SyncJobID != nil {
		text += fmt.Sprintf(", job %d", *status.SyncJobID)
	}
	if status.SyncError != "" {
		text += ": " + status.SyncError
	}
	return text
}

var rememberedState = regexp.MustCompile(`(?s)^the scope is gone; before: (\w+)(?:, job (\d+))?(?:: (.*))?$`)

// recallState sets what rememberState has stored. It returns false for any other text.
func recallState(status *nawasync.SyncStatus) bool {
	parts := rememberedState.FindStringSubmatch(status.SyncError)
	if parts == nil {
		return false
	}
	status.State, status.SyncError, status.SyncJobID = nawasync.SyncState(parts[1]), parts[3], nil
	if job, err := strconv.ParseInt(parts[2], 10, 64); err == nil {
		status.SyncJobID = &job
	}
	return true
}

// endPending gives a row whose job has ended while the row was hidden the state that it had before the job.
func endPending(status *nawasync.SyncStatus, finishedAt map[int64]time.Time) {
	if !status.State.Pending() {
		return
	}
	if status.SyncJobID != nil {
		if finished, known := finishedAt[*status.SyncJobID]; known && finished.IsZero() {
			return
		}
	}
	switch {
	case status.LastSyncedAt.IsZero():
		status.MarkFailed("the object was not created, because its scope was gone")
	case status.SyncError != "":
		status.State = nawasync.StateFailed
	case !status.MissingSince.IsZero():
		status.State = nawasync.StateMissing
	default:
		status.State = nawasync.StateSynced
	}
}

// restoreScope makes the rows of a scope visible again that were hidden while it was gone. They are as they were
// before, with their ids and the host's columns. A row whose object has another row by now stays hidden.
func (s *reconcile) restoreScope(ctx context.Context) error {
	key := s.repo.listedKey(s.args.target.Instance)
	l, err := s.repo.engine.Store().FindListed(ctx, key)
	if err != nil || l == nil || l.RetiredJob == 0 {
		return err
	}
	var restored, left int64
	limit := retireRows
	for after, more := int64(0), true; more; {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		var n, last int64
		var read int
		err := s.fenced(ctx, func(tx *gorm.DB) (err error) {
			n, last, read, err = s.showRows(ctx, tx, hiddenRows{l.RetiredJob, after, limit})
			return err
		})
		switch {
		case err == nil:
			restored, left, after, more = restored+n, left+int64(read)-n, last, read == limit
		case !refusesRow(err):
			return err
		case limit > 1: // one of the rows violates a constraint of the host's
			limit = 1
		default:
			s.attempt.Logf("row %d stays hidden: %s", last, shorten(err.Error()))
			left, after, limit = left+1, last, retireRows
		}
	}
	s.attempt.Logf("the scope is listed again: %d rows are visible again as they were", restored)
	if left > 0 {
		s.attempt.Logf("%d rows stay hidden, because their objects have other rows", left)
	}
	return s.fenced(ctx, func(tx *gorm.DB) error { return s.repo.engine.Store().SetRetiring(ctx, tx, key, 0) })
}

// hiddenRows selects the rows that a job has hidden, after an id.
type hiddenRows struct {
	job, after int64
	limit      int
}

// showRows makes hidden rows visible. It returns how many it has read, and the id of the last one.
func (s *reconcile) showRows(ctx context.Context, tx *gorm.DB, hidden hiddenRows) (shown, last int64, read int, err error) {
	m := s.repo.model
	where, args := s.inScope()
	found := reflect.New(reflect.SliceOf(m.schema.ModelType))
	query := s.repo.forUpdate(tx.Unscoped().Table(m.table)).Select(s.repo.columns()).
		Where(where+isDeleted+" AND deleted_job_id = ? AND id > ?", append(args, hidden.job, hidden.after)...).Order("id").Limit(hidden.limit)
	if err := m.readRows(query, found, nil); err != nil {
		return 0, 0, 0, fmt.Errorf("read %s: %w", m.table, err)
	}
	rows, jobs := found.Elem(), []int64(nil)
	recalled := make([]bool, rows.Len())
	for i := range rows.Len() {
		status := s.repo.status(rows.Index(i))
		if recalled[i] = recallState(status); status.SyncJobID != nil {
			jobs = append(jobs, *status.SyncJobID)
		}
		last = m.idOf(rows.Index(i))
	}
	finishedAt, err := s.repo.engine.Store().FinishTimes(ctx, tx, jobs)
	if err != nil {
		return 0, last, rows.Len(), err
	}
	var list []reflect.Value
	for i := range rows.Len() {
		if recalled[i] {
			endPending(s.repo.status(rows.Index(i)), finishedAt)
			list = append(list, rows.Index(i))
		}
	}
	shown, err = s.showFree(ctx, tx, list)
	return shown, last, rows.Len(), err
}

// visibleIdentity returns the identity of a row that is visible again.
func (s *reconcile) visibleIdentity(row reflect.Value) tracker.Identity {
	status := s.repo.status(row)
	switch {
	case !status.LastSyncedAt.IsZero():
		return s.repo.model.keyIdentity(row)
	case status.State == nawasync.StatePendingCreate:
		return s.repo.model.wantedIdentity(row)
	default: // its creation has failed
		return status.Identity
	}
}

// showFree writes the rows whose identity no other row has.
func (s *reconcile) showFree(ctx context.Context, tx *gorm.DB, rows []reflect.Value) (int64, error) {
	if len(rows) == 0 {
		return 0, nil
	}
	keys := make([][]any, len(rows))
	for i, row := range rows {
		identity := s.visibleIdentity(row)
		keys[i] = []any{identity[:]}
	}
	query, args, err := s.repo.table.Find(tx, bulk.KeyQuery{Select: []string{"id", "identity"}, KeyColumns: []string{"identity"}, Keys: keys})
	found := reflect.New(reflect.SliceOf(s.repo.model.schema.ModelType))
	if err == nil {
		err = s.repo.model.readRows(tx.Raw(query, args...), found, nil)
	}
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", s.repo.model.table, err)
	}
	taken := map[tracker.Identity]int64{}
	for i := range found.Elem().Len() {
		row := found.Elem().Index(i)
		taken[s.repo.status(row).Identity] = s.repo.model.idOf(row)
	}
	var params [][]any
	var changes []tracker.Change
	for _, row := range rows {
		id, identity, status := s.repo.model.idOf(row), s.visibleIdentity(row), s.repo.status(row)
		if other, ok := taken[identity]; ok && other != id {
			continue
		}
		var text, job any
		if status.SyncError != "" {
			text = status.SyncError
		}
		if status.SyncJobID != nil {
			job = *status.SyncJobID
		}
		params = append(params, []any{id, identity[:], string(status.State), text, nil, nil, job})
		s.record(&changes, row, tracker.ChangeReturned, nil)
	}
	if len(params) == 0 {
		return 0, nil
	}
	if err := s.repo.table.Update(tx, retiredColumns, params); err != nil {
		return 0, fmt.Errorf("show rows of %s again: %w", s.repo.model.table, err)
	}
	return int64(len(params)), s.repo.engine.Store().AddChanges(ctx, tx, changes)
}
