package mirror

import (
	"context"
	"fmt"
	"reflect"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
)

// maxPurged is how many deleted rows one sync removes.
const maxPurged = 1000

// purge removes rows that were deleted longer than deletedRetention ago. Each row has a transaction of
// its own: one that the host's foreign keys refuse stays, is named, and does not keep the others.
func (s *reconcile) purge(ctx context.Context) error {
	where, args := s.inScope()
	before := nawasync.Timestamp{Time: s.repo.engine.Store().Now().Add(-deletedRetention)}
	found := reflect.New(reflect.SliceOf(s.repo.model.schema.ModelType))
	// Rows that were refused before come last, so that they do not keep the others.
	err := s.repo.db(ctx).Unscoped().Table(s.repo.model.table).Select(s.repo.columns()).
		Where(where+isDeleted+" AND deleted_at < ?", append(args, before)...).
		Order("CASE WHEN sync_error IS NULL THEN 0 ELSE 1 END, deleted_at, id").Limit(maxPurged).Find(found.Interface()).Error
	if err != nil {
		return fmt.Errorf("read the deleted rows of %s: %w", s.repo.model.table, err)
	}
	for i := range found.Elem().Len() {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := s.purgeRow(ctx, found.Elem().Index(i), before); err != nil {
			return err
		}
	}
	return nil
}

// purgeRow removes a deleted row, unless it was restored meanwhile or the database refuses to.
func (s *reconcile) purgeRow(ctx context.Context, row reflect.Value, before nawasync.Timestamp) error {
	const where = " WHERE id = ? AND deleted_at < ?"
	id, removed := s.repo.model.idOf(row), int64(0)
	err := s.fenced(ctx, func(tx *gorm.DB) error {
		done := tx.Exec("DELETE FROM "+s.repo.quoted+where, id, before)
		removed = done.RowsAffected
		return done.Error
	})
	if err == nil {
		s.result.Purged += removed
		return nil
	}
	if !refusesRow(err) {
		return fmt.Errorf("remove row %d of %s: %w", id, s.repo.model.table, err)
	}
	text := shorten(fmt.Sprintf("row %d, %.80q: %s", id, s.repo.model.target(row), err))
	s.result.PurgeRefused++
	if len(s.result.PurgeRefusals) < maxRefusals {
		s.result.PurgeRefusals = append(s.result.PurgeRefusals, text)
		s.attempt.Logf("a deleted row was not removed: %s", text)
	}
	return s.fenced(ctx, func(tx *gorm.DB) error {
		return tx.Exec("UPDATE "+s.repo.quoted+" SET sync_error = ?"+where, "not removed: "+s.attempt.RedactText(text), id, before).Error
	})
}
