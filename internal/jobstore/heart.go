package jobstore

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

// Heart runs the statements of a process's heartbeat on a connection of its own, which the handlers
// of the host cannot use up. It is not safe for concurrent use, except for Close.
type Heart struct {
	store *Store
	pool  *sql.DB   // nil on SQLite
	conn  *sql.Conn // nil until the first beat and after an error
}

// beatTimeout is the deadline of a beat, and of taking a new connection for it. On SQLite a beat
// waits for the only writer instead.
const beatTimeout = 3 * time.Second

// NewHeart returns a Heart with a connection from pool, or with pool nil from the pool of the Store.
// On SQLite no connection is reserved: a pool of one would have none left.
func (s *Store) NewHeart(pool *sql.DB) (*Heart, error) {
	if s.dialect.Name == "sqlite" {
		return &Heart{store: s}, nil
	}
	if pool != nil {
		return &Heart{store: s, pool: pool}, nil
	}
	pool, err := s.db.DB()
	return &Heart{store: s, pool: pool}, err
}

// run runs fn on the reserved connection. After an error the connection is given up, since it may be
// the reason.
func (h *Heart) run(ctx context.Context, fn func(conn *sqlkit.Conn) error) error {
	if h.pool == nil {
		return h.store.exec(ctx, fn)
	}
	ctx, cancel := context.WithTimeout(ctx, beatTimeout)
	defer cancel()
	if h.conn == nil {
		conn, err := h.pool.Conn(ctx)
		if err != nil {
			return err
		}
		h.conn = conn
	}
	err := fn(h.store.DB(ctx).On(h.conn))
	if err != nil {
		h.Close()
	}
	return err
}

// Close gives the connection back.
func (h *Heart) Close() {
	if h.conn != nil {
		_ = h.conn.Close()
		h.conn = nil
	}
}

// Beat increments a process's heartbeat counter, stores its troubles and reports whether the
// heartbeat row exists. A missing row means that a reaper considered the process dead.
func (h *Heart) Beat(ctx context.Context, id string, troubles []tracker.Trouble) (found bool, err error) {
	var text any
	if len(troubles) > 0 {
		if text, err = sqlkit.JSONText(troubles); err != nil {
			return false, err
		}
	}
	err = h.run(ctx, func(conn *sqlkit.Conn) error {
		done := conn.Exec("UPDATE nawasync_processes SET beat = beat + 1, beat_at = ?, troubles = ? WHERE id = ?", h.store.Now().UnixMicro(), text, id)
		found = done.RowsAffected > 0
		return done.Error
	})
	return found, err
}

// RunningClaims lists the jobs that run under a process's id and, of these, the jobs whose
// cancellation was requested.
func (h *Heart) RunningClaims(ctx context.Context, worker string) (running, cancelled []Claim, err error) {
	read := func(conn *sqlkit.Conn) error {
		return sqlkit.Each(conn, func(rows *sql.Rows) error {
			var c Claim
			var at sql.NullInt64
			err := rows.Scan(&c.ID, &c.Epoch, &at)
			running = append(running, c)
			if at.Valid {
				cancelled = append(cancelled, c)
			}
			return err
		}, "SELECT id, epoch, cancel_at FROM nawasync_jobs WHERE running_lane IS NOT NULL AND worker = ?", worker)
	}
	if h.pool == nil {
		err = read(h.store.DB(ctx)) // needs no write lock
	} else {
		err = h.run(ctx, read)
	}
	if err != nil {
		err = fmt.Errorf("read the running jobs: %w", err)
	}
	return running, cancelled, err
}

// PoolUsedUp reports whether all connections that the pool may open are in use.
func (s *Store) PoolUsedUp() bool {
	pool, err := s.db.DB()
	if err != nil {
		return false
	}
	stats := pool.Stats()
	return stats.MaxOpenConnections > 0 && stats.InUse >= stats.MaxOpenConnections
}
