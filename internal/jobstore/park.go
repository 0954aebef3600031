package jobstore

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/jobrow"
	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

// Refusal says that a remote has refused a request for a reason that concerns a whole scope.
type Refusal struct {
	Service, Instance string // the limit scope
	Class             fault.Class
	Reason            string        // without the class
	Wait              time.Duration // how long to wait; 0 if only a probe ends the park
	Asked             bool          // the remote has asked for Wait
	Probe             bool          // of an attempt that was to find out whether the jobs can go on
}

// probed reports whether the jobs wait for a probe.
func (r Refusal) probed() bool {
	return r.Class == fault.ClassCredentials || r.Class == fault.ClassUnavailable
}

// scopeRow is a row of nawasync_scopes.
type scopeRow struct {
	tracker.Scope

	limited int64 // limited_until
}

// isOutage reports whether the jobs of the scope wait for a remote that cannot be reached.
func (r scopeRow) isOutage() bool {
	return r.Probes > 0 && r.ErrorClass == string(fault.ClassUnavailable)
}

// blocks reports whether the row stops jobs.
func (r scopeRow) blocks(now int64) bool {
	return r.Probes > 0 || r.limited > now || r.Until.UnixMicro() > now
}

// Park parks a scope. It never shortens a pause or a park. It returns the scope as it is parked now, or nil
// if an operator has paused it or if it waits for a probe already.
func (s *Store) Park(ctx context.Context, r Refusal) (parked *tracker.Scope, err error) {
	err = retryTx(ctx, func() error {
		return s.transaction(ctx, func(conn *sqlkit.Conn) (err error) {
			parked, err = s.park(conn, r)
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("park %s/%s: %w", r.Service, r.Instance, err)
	}
	return parked, nil
}

func (s *Store) park(conn *sqlkit.Conn, r Refusal) (*tracker.Scope, error) {
	now := s.Now()
	old, err := s.lockScope(conn, r.Service, r.Instance)
	if err != nil {
		return nil, err
	}
	row := scopeRow{Scope: tracker.Scope{Service: r.Service, Instance: r.Instance, Parked: true, By: ByEngine, Since: now}}
	row.ErrorClass, row.Reason = string(r.Class), string(r.Class)+jobrow.ClassEnd+r.Reason
	inForce := old.blocks(now.UnixMicro())
	if inForce {
		row.limited, row.Probes, row.Since, row.Until = old.limited, old.Probes, old.Since, old.Until
	}
	if r.Asked {
		row.limited = max(row.limited, now.Add(r.Wait).UnixMicro())
	}
	if inForce && !old.Parked && old.Until.After(now) {
		return nil, s.updateScope(conn, scopeRow{Scope: old.Scope, limited: row.limited})
	}
	switch {
	case r.probed() && old.Probes > 0 && !r.Probe:
		return nil, nil //nolint:nilnil // the attempt began before the scope was parked
	case r.probed():
		if row.Probes++; old.ErrorClass != string(r.Class) {
			row.Probes = 1
		}
		row.Until = later(now.Add(max(r.Wait, probeWait(r.Class, row.Probes))), sqlkit.FromMicros(row.limited))
	case row.Probes == 0:
		row.Until = later(row.Until, now.Add(r.Wait))
	default: // what a probe has to end is the more important reason
		row.ErrorClass, row.Reason = old.ErrorClass, old.Reason
	}
	row.RetryAfter = sqlkit.FromMicros(row.limited)
	if inForce {
		return &row.Scope, s.updateScope(conn, row)
	}
	return &row.Scope, s.replaceScope(conn, row)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// lockScope reads and locks the row of a scope. Without one it returns an empty row.
func (s *Store) lockScope(conn *sqlkit.Conn, service, instance string) (row scopeRow, err error) {
	list, err := s.lockScopes(conn, exactScope, []any{service, instance})
	if err != nil || len(list) == 0 {
		return scopeRow{}, err
	}
	return list[0], nil
}

// lockScopes reads and locks rows of scopes.
func (s *Store) lockScopes(conn *sqlkit.Conn, where string, args []any) (list []scopeRow, err error) {
	lock := sqlkit.Pick(s.dialect.Name == "sqlite", "", " FOR UPDATE")
	err = sqlkit.Each(conn, func(rows *sql.Rows) error {
		var row scopeRow
		var until, since int64
		var class sql.NullString
		err := rows.Scan(&row.Service, &row.Instance, &until, &row.Parked, &row.By, &since, &row.Reason, &class, &row.limited, &row.Probes)
		row.Until, row.Since = sqlkit.FromMicros(until), sqlkit.FromMicros(since)
		if row.Parked {
			row.ErrorClass = jobrow.ParkClass(class, row.Reason)
		}
		list = append(list, row)
		return err
	}, "SELECT service, instance, paused_until, parked, paused_by, created_at, reason, class, limited_until, probes FROM nawasync_scopes"+where+
		" ORDER BY service, instance"+lock, args...)
	return list, err
}

// updateScope changes a row whose scope goes on being stopped.
func (s *Store) updateScope(conn *sqlkit.Conn, row scopeRow) error {
	return conn.Exec("UPDATE nawasync_scopes SET paused_until = ?, parked = ?, paused_by = ?, reason = ?, class = ?, limited_until = ?, probes = ?"+exactScope,
		row.Until.UnixMicro(), row.Parked, sqlkit.CleanText(row.By, 255), sqlkit.CleanText(row.Reason, tracker.MaxError), sqlkit.NullText(row.ErrorClass),
		row.limited, row.Probes, row.Service, row.Instance).Error
}
