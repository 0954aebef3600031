package jobstore

import (
	"context"
	"fmt"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

// Pause pauses a scope or replaces its pause. Parking (scope.Parked) never shortens or replaces
// a pause that an operator has set and that is still in force.
func (s *Store) Pause(ctx context.Context, scope tracker.Scope) error {
	err := s.Transaction(ctx, func(tx *gorm.DB) error {
		tx = sqlkit.Session(ctx, tx)
		remove := "DELETE FROM nawasync_scopes WHERE service = ? AND instance = ?"
		args := []any{scope.Service, scope.Instance}
		if scope.Parked {
			remove += " AND (parked = ? OR paused_until <= ?)"
			args = append(args, true, s.Now().UnixMicro())
		}
		if err := tx.Exec(remove, args...).Error; err != nil {
			return err
		}
		insert := s.insertIgnore() +
			" nawasync_scopes (service, instance, paused_until, parked, paused_by, created_at, reason) VALUES (?, ?, ?, ?, ?, ?, ?)" +
			s.onConflict()
		return tx.Exec(insert, scope.Service, scope.Instance, scope.Until.UnixMicro(), scope.Parked, sqlkit.CleanText(scope.By, 255), s.Now().UnixMicro(),
			sqlkit.CleanText(scope.Reason, tracker.MaxError)).Error
	})
	if err != nil {
		return fmt.Errorf("pause %s/%s: %w", scope.Service, scope.Instance, err)
	}
	return nil
}

// Resume ends the pause of a scope and wakes its waiting jobs. It reports whether the scope was
// paused.
func (s *Store) Resume(ctx context.Context, service, instance string) (bool, error) {
	found := false
	err := s.Transaction(ctx, func(tx *gorm.DB) error {
		tx = sqlkit.Session(ctx, tx)
		done := tx.Exec("DELETE FROM nawasync_scopes WHERE service = ? AND instance = ?", service, instance)
		if found = done.RowsAffected > 0; done.Error != nil {
			return done.Error
		}
		// wakeScope also increments ring: a process that read the pause before its end can then
		// no longer postpone a job.
		wake := wakeScope
		args := []any{service}
		if instance != "" {
			wake += " AND instance = ?"
			args = append(args, instance)
		}
		return tx.Exec(wake, args...).Error
	})
	if err != nil {
		return false, fmt.Errorf("resume %s/%s: %w", service, instance, err)
	}
	return found, nil
}
