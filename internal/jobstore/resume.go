package jobstore

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/sqlkit"
)

// Resumed is what Resume has found.
type Resumed struct {
	Found bool // anything was paused or parked
	// LimitedUntil is until when jobs still wait because a remote has asked for it; zero if none has.
	LimitedUntil time.Time
	// Probed is how many scopes go on waiting because their remote cannot be reached. Each gets a probe now.
	Probed int
}

// Resume ends the pause of a scope, its park, and the parks of the scopes within it. What a remote has
// asked to wait goes on. A remote that cannot be reached gets one probe.
func (s *Store) Resume(ctx context.Context, service, instance string) (r Resumed, err error) {
	err = s.transaction(ctx, func(conn *sqlkit.Conn) error {
		rows, err := s.lockScopes(conn, " WHERE service = ? AND (instance = ? OR (parked = ? AND "+s.dialect.Covers("?", "instance")+"))",
			[]any{service, instance, true, instance, instance, instance})
		if err == nil {
			r, err = s.resume(conn, service, rows)
		}
		return err
	})
	if err != nil {
		return r, fmt.Errorf("resume %s/%s: %w", service, instance, err)
	}
	return r, nil
}

// resume ends what stops some scopes of a service, of which it holds the locks.
func (s *Store) resume(conn *sqlkit.Conn, service string, rows []scopeRow) (r Resumed, err error) {
	var ended, limited, outages []string
	now := s.Now()
	for _, row := range rows {
		if row.limited > now.UnixMicro() {
			r.LimitedUntil = later(r.LimitedUntil, sqlkit.FromMicros(row.limited))
		}
		switch {
		case row.isOutage():
			outages = append(outages, row.Instance)
		case row.limited > now.UnixMicro():
			limited = append(limited, row.Instance)
		default:
			ended = append(ended, row.Instance)
		}
	}
	r.Found, r.Probed = len(rows) > 0, len(outages)
	if err = eachPart(ended, func(part []string) error {
		return s.endPause(conn, scopesOfService, []any{service, part})
	}); err != nil {
		return r, err
	}
	if err = eachPart(outages, func(part []string) error {
		return conn.Exec("UPDATE nawasync_scopes SET paused_until = CASE WHEN limited_until > ? THEN limited_until ELSE ? END"+scopesOfService,
			now.UnixMicro(), now.UnixMicro(), service, part).Error
	}); err != nil {
		return r, err
	}
	return r, eachPart(limited, func(part []string) error {
		// MySQL assigns from left to right, so parked comes after what depends on it.
		return conn.Exec("UPDATE nawasync_scopes SET class = CASE WHEN parked = ? THEN class ELSE ? END, reason = CASE WHEN parked = ? THEN reason ELSE ? END,"+
			" parked = ?, paused_by = ?, paused_until = limited_until, probes = 0"+scopesOfService,
			true, string(fault.ClassRateLimited), true, askedToWait, true, ByEngine, service, part).Error
	})
}

const scopesOfService = " WHERE service = ? AND instance IN ?"

// eachPart calls fn with parts of a list that fit into one statement.
func eachPart(list []string, fn func(part []string) error) error {
	for part := range slices.Chunk(list, 500) {
		if err := fn(part); err != nil {
			return err
		}
	}
	return nil
}
