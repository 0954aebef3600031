package jobstore

import (
	"context"
	"fmt"
	"time"

	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

// Pause pauses a scope or replaces its pause. Parking (scope.Parked) never shortens or replaces
// a pause that an operator has set and that is still in force.
func (s *Store) Pause(ctx context.Context, scope tracker.Scope) error {
	err := s.transaction(ctx, func(conn *sqlkit.Conn) error {
		where := " WHERE service = ? AND instance = ?"
		args := []any{scope.Service, scope.Instance}
		if scope.Parked {
			where += " AND (parked = ? OR paused_until <= ?)"
			args = append(args, true, s.Now().UnixMicro())
		}
		if _, err := s.endPause(conn, where, args); err != nil {
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
	err = s.transaction(ctx, func(conn *sqlkit.Conn) (err error) {
		found, err = s.endPause(conn, " WHERE service = ? AND instance = ?", []any{service, instance})
		return err
	})
	if err != nil {
		return false, fmt.Errorf("resume %s/%s: %w", service, instance, err)
	}
	return found, nil
}

// endPause deletes pauses and records for how long they have lasted. It reports whether there were any.
func (s *Store) endPause(conn *sqlkit.Conn, where string, args []any) (bool, error) {
	now := s.Now().UnixMicro()
	err := conn.Exec("INSERT INTO nawasync_pauses (service, instance, began_at, ended_at) SELECT service, instance, created_at, CASE WHEN paused_until < ? THEN paused_until ELSE ? END FROM nawasync_scopes"+where,
		append([]any{now, now}, args...)...).Error
	if err != nil {
		return false, err
	}
	done := conn.Exec("DELETE FROM nawasync_scopes"+where, args...)
	return done.RowsAffected > 0, done.Error
}

// pausedTime is an expression for how long, in microseconds, the scope of a job j has been paused since
// the job first came due. Its parameters are (now, now).
const pausedTime = "(COALESCE((SELECT SUM(h.ended_at - CASE WHEN h.began_at > j.due_at THEN h.began_at ELSE j.due_at END) FROM nawasync_pauses h" +
	" WHERE h.service = j.service AND h.instance IN ('', j.instance) AND h.ended_at > j.due_at), 0)" +
	" + COALESCE((SELECT SUM(CASE WHEN p.paused_until < ? THEN p.paused_until ELSE ? END - CASE WHEN p.created_at > j.due_at THEN p.created_at ELSE j.due_at END)" +
	" FROM nawasync_scopes p WHERE p.service = j.service AND p.instance IN ('', j.instance) AND p.paused_until > j.due_at), 0))"

// PausedTime returns for how long the scope of a job has been paused since the job first came due.
func (s *Store) PausedTime(ctx context.Context, id int64) (time.Duration, error) {
	now := s.Now().UnixMicro()
	var us int64
	if err := s.DB(ctx).Row("SELECT "+pausedTime+" FROM nawasync_jobs j WHERE j.id = ?", now, now, id).Scan(&us); err != nil {
		return 0, fmt.Errorf("read how long the scope of job %d was paused: %w", id, err)
	}
	return time.Duration(us) * time.Microsecond, nil
}

// PrunePauses deletes what was recorded about pauses that ended before the given time.
func (s *Store) PrunePauses(ctx context.Context, before time.Time) error {
	return s.exec(ctx, func(conn *sqlkit.Conn) error {
		if err := conn.Exec("DELETE FROM nawasync_pauses WHERE ended_at < ?", before.UnixMicro()).Error; err != nil {
			return fmt.Errorf("prune recorded pauses: %w", err)
		}
		return nil
	})
}
