package jobstore

import (
	"context"
	"fmt"
	"time"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/jobrow"
	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

// A row of nawasync_scopes stops the jobs of the instances that its scope covers: until paused_until, at
// least until limited_until, and with probes > 0 until a probe succeeds; see park.go and probe.go.

// scopeBlocks is a condition: the row p of nawasync_scopes stops jobs. Its parameters are (now, now).
const scopeBlocks = "(p.paused_until > ? OR p.limited_until > ? OR p.probes > 0)"

// claimable returns a condition: the jobs of an instance are not stopped, of which covering says that p
// covers it. A probe runs although credentials are refused. The parameters are those of covering, then
// (now, now), then those of probe. It uses CASE because PostgreSQL turns a plain NOT EXISTS into an anti-join, which
// compares each stream with all pauses of its service.
func claimable(service, covering, probe string) string {
	return "CASE WHEN EXISTS (SELECT 1 FROM nawasync_scopes p WHERE p.service = " + service + " AND " + covering + " AND " + scopeBlocks +
		" AND (p.probes = 0 OR " + probe + ")) THEN 0 ELSE 1 END = 1"
}

// Pause pauses a scope or replaces its pause or park. It does not end the wait that a remote has asked for.
func (s *Store) Pause(ctx context.Context, scope tracker.Scope) error {
	err := s.transaction(ctx, func(conn *sqlkit.Conn) error {
		old, err := s.lockScope(conn, scope.Service, scope.Instance)
		if err != nil {
			return err
		}
		return s.replaceScope(conn, scopeRow{Scope: scope, limited: old.limited})
	})
	if err != nil {
		return fmt.Errorf("pause %s/%s: %w", scope.Service, scope.Instance, err)
	}
	return nil
}

// replaceScope ends what stops a scope and inserts another row.
func (s *Store) replaceScope(conn *sqlkit.Conn, row scopeRow) error {
	scope := row.Scope
	if err := s.endPause(conn, exactScope, []any{scope.Service, scope.Instance}); err != nil {
		return err
	}
	return conn.Exec(s.insertIgnore()+
		" nawasync_scopes (service, instance, paused_until, parked, paused_by, created_at, reason, class, limited_until, probes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"+
		s.onConflict(),
		scope.Service, scope.Instance, scope.Until.UnixMicro(), scope.Parked, sqlkit.CleanText(scope.By, 255), s.Now().UnixMicro(),
		sqlkit.CleanText(scope.Reason, tracker.MaxError), sqlkit.NullText(scope.ErrorClass), row.limited, scope.Probes).Error
}

const exactScope = " WHERE service = ? AND instance = ?"

// ByEngine is the subject of what the engine does by itself, such as parking a scope.
const ByEngine = "nawasync"

// askedToWait is the reason of a park of the class rate_limited whose own reason a pause has replaced.
const askedToWait = string(fault.ClassRateLimited) + jobrow.ClassEnd + "the remote has asked to wait"

// endPause deletes pauses and records for how long they have lasted.
func (s *Store) endPause(conn *sqlkit.Conn, where string, args []any) error {
	now := s.Now().UnixMicro()
	err := conn.Exec(
		"INSERT INTO nawasync_pauses (service, instance, began_at, ended_at) SELECT service, instance, created_at, "+scopeEnd+" FROM nawasync_scopes p"+where,
		append([]any{now, now, now}, args...)...).Error
	if err != nil {
		return err
	}
	return conn.Exec("DELETE FROM nawasync_scopes"+where, args...).Error
}

// scopeEnd is until when a row p of nawasync_scopes has stopped jobs by now. Its parameters are (now, now,
// now).
const scopeEnd = "CASE WHEN " + scopeBlocks + " THEN ? WHEN p.limited_until > p.paused_until THEN p.limited_until ELSE p.paused_until END"

// pausedTime is an expression for how long, in microseconds, the jobs of a scope that covers the instance of
// a job j have been stopped since the job first came due. Its parameters are (now, now, now).
func (s *Store) pausedTime() string {
	within := func(table, end string) string {
		return "COALESCE((SELECT SUM(CASE WHEN " + end + " > j.due_at THEN " + end +
			" - CASE WHEN " + table + " > j.due_at THEN " + table + " ELSE j.due_at END ELSE 0 END)"
	}
	return "(" + within("h.began_at", "h.ended_at") + " FROM nawasync_pauses h WHERE h.service = j.service AND h.ended_at > j.due_at AND " +
		s.dialect.Covers(
			"h.instance",
			"j.instance",
		) + "), 0) + " + within("p.created_at", "p.ended") + " FROM (SELECT p.service, p.instance, p.created_at, " + scopeEnd +
		" AS ended FROM nawasync_scopes p) p WHERE p.service = j.service AND " + s.dialect.Covers("p.instance", "j.instance") + "), 0))"
}

// PausedTime returns for how long the scopes of a job have been paused or parked since the job first came
// due.
func (s *Store) PausedTime(ctx context.Context, id int64) (time.Duration, error) {
	now := s.Now().UnixMicro()
	var us int64
	if err := s.DB(ctx).Row("SELECT "+s.pausedTime()+" FROM nawasync_jobs j WHERE j.id = ?", now, now, now, id).Scan(&us); err != nil {
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
