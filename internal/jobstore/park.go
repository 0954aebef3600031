package jobstore

import (
	"context"
	"database/sql"
	"errors"
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

// isOutage is a condition: the jobs of a row of nawasync_scopes wait for a remote that cannot be reached.
const isOutage = "(probes > 0 AND reason LIKE '" + string(fault.ClassUnavailable) + jobrow.ClassEnd + "%')"

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
	var until, since int64
	lock := sqlkit.Pick(s.dialect.Name == "sqlite", "", " FOR UPDATE")
	err = conn.Row("SELECT paused_until, parked, paused_by, created_at, reason, limited_until, probes FROM nawasync_scopes"+exactScope+lock, service, instance).
		Scan(&until, &row.Parked, &row.By, &since, &row.Reason, &row.limited, &row.Probes)
	if errors.Is(err, sql.ErrNoRows) {
		return scopeRow{}, nil
	}
	row.Service, row.Instance, row.Until, row.Since = service, instance, sqlkit.FromMicros(until), sqlkit.FromMicros(since)
	if row.Parked {
		row.ErrorClass = jobrow.ParkClass(row.Reason)
	}
	return row, err
}

// updateScope changes a row whose scope goes on being stopped.
func (s *Store) updateScope(conn *sqlkit.Conn, row scopeRow) error {
	return conn.Exec("UPDATE nawasync_scopes SET paused_until = ?, parked = ?, paused_by = ?, reason = ?, limited_until = ?, probes = ?"+exactScope,
		row.Until.UnixMicro(), row.Parked, sqlkit.CleanText(row.By, 255), sqlkit.CleanText(row.Reason, tracker.MaxError), row.limited, row.Probes,
		row.Service, row.Instance).Error
}
