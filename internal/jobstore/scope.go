package jobstore

import (
	"context"
	"fmt"

	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

// Pause pauses a scope or replaces its pause. Parking (scope.Parked) never shortens or replaces
// a pause that an operator has set and that is still in force.
func (s *Store) Pause(ctx context.Context, scope tracker.Scope) error {
	err := s.transaction(ctx, func(conn *sqlkit.Conn) error {
		remove := "DELETE FROM nawasync_scopes WHERE service = ? AND instance = ?"
		args := []any{scope.Service, scope.Instance}
		if scope.Parked {
			remove += " AND (parked = ? OR paused_until <= ?)"
			args = append(args, true, s.Now().UnixMicro())
		}
		if err := conn.Exec(remove, args...).Error; err != nil {
			return err
		}
		insert := s.insertIgnore() +
			" nawasync_scopes (service, instance, paused_until, parked, paused_by, created_at, reason) VALUES (?, ?, ?, ?, ?, ?, ?)" +
			s.onConflict()
		return conn.Exec(insert, scope.Service, scope.Instance, scope.Until.UnixMicro(), scope.Parked, sqlkit.CleanText(scope.By, 255), s.Now().UnixMicro(),
			sqlkit.CleanText(scope.Reason, tracker.MaxError)).Error
	})
	if err != nil {
		return fmt.Errorf("pause %s/%s: %w", scope.Service, scope.Instance, err)
	}
	return nil
}

// Resume ends the pause of a scope. It reports whether the scope was paused.
func (s *Store) Resume(ctx context.Context, service, instance string) (found bool, err error) {
	err = s.exec(ctx, func(conn *sqlkit.Conn) error {
		done := conn.Exec("DELETE FROM nawasync_scopes WHERE service = ? AND instance = ?", service, instance)
		found = done.RowsAffected > 0
		return done.Error
	})
	if err != nil {
		return false, fmt.Errorf("resume %s/%s: %w", service, instance, err)
	}
	return found, nil
}
