package jobstore

import (
	"context"
	"fmt"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

// Pause sets or replaces a scope's pause. A parked scope never shortens or
// replaces a pause that a person set.
func (s *Store) Pause(ctx context.Context, p tracker.Scope) error {
	err := s.Transaction(ctx, func(tx *gorm.DB) error {
		tx = sqlkit.Session(ctx, tx)
		remove := "DELETE FROM nawasync_scopes WHERE service = ? AND instance = ?"
		args := []any{p.Service, p.Instance}
		if p.Parked {
			remove += " AND (parked = ? OR paused_until <= ?)"
			args = append(args, true, s.Now().UnixMicro())
		}
		if err := tx.Exec(remove, args...).Error; err != nil {
			return err
		}
		insert := s.insertIgnore() +
			" nawasync_scopes (service, instance, paused_until, parked, paused_by, created_at, reason) VALUES (?, ?, ?, ?, ?, ?, ?)" +
			s.onConflict()
		return tx.Exec(insert, p.Service, p.Instance, p.Until.UnixMicro(), p.Parked, sqlkit.CleanText(p.By, 255), s.Now().UnixMicro(),
			sqlkit.CleanText(p.Reason, tracker.MaxError)).Error
	})
	if err != nil {
		return fmt.Errorf("pause %s/%s: %w", p.Service, p.Instance, err)
	}
	return nil
}

// Resume ends the pause of a scope, and has its waiting jobs looked at again. It
// reports whether there was one.
func (s *Store) Resume(ctx context.Context, service, instance string) (bool, error) {
	found := false
	err := s.Transaction(ctx, func(tx *gorm.DB) error {
		tx = sqlkit.Session(ctx, tx)
		done := tx.Exec("DELETE FROM nawasync_scopes WHERE service = ? AND instance = ?", service, instance)
		if found = done.RowsAffected > 0; done.Error != nil {
			return done.Error
		}
		// The ring, too: whoever read the pause before it ended can no longer put a job off.
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
