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

// RunningClaims lists the jobs that run under a process's id. It reads all index entries of running
// jobs, which the database keeps for each job that ran since the oldest transaction began. Therefore
// do not call it with each beat.
func (h *Heart) RunningClaims(ctx context.Context, worker string) ([]Claim, error) {
	return h.claims(ctx, "SELECT id, epoch FROM nawasync_jobs WHERE running_lane IS NOT NULL AND worker = ?", worker)
}

// CancelledClaims returns those of the running jobs whose cancellation was requested. It reads the
// rows by their ids, so its cost depends only on their number.
func (h *Heart) CancelledClaims(ctx context.Context, running []Claim) ([]Claim, error) {
	type idRow struct {
		ID int64 `json:"v_id"`
	}
	rows := make([]idRow, len(running))
	for i, c := range running {
		rows[i].ID = c.ID
	}
	text, err := sqlkit.JSONText(rows)
	if err != nil {
		return nil, err
	}
	// A join could read all jobs, if the database does not know yet how many there are.
	return h.claims(ctx, "SELECT v_id, (SELECT j.epoch FROM nawasync_jobs j WHERE j.id = v_id AND j.status = 'running' AND j.cancel_at IS NOT NULL) FROM "+
		h.store.dialect.Rowset("id"), text)
}

// claims runs a query of ids and epochs. It leaves out rows without an epoch.
func (h *Heart) claims(ctx context.Context, query string, arg any) (list []Claim, err error) {
	read := func(conn *sqlkit.Conn) error {
		return sqlkit.Each(conn, func(rows *sql.Rows) error {
			var id int64
			var epoch sql.NullInt64
			err := rows.Scan(&id, &epoch)
			if epoch.Valid {
				list = append(list, Claim{id, int(epoch.Int64)})
			}
			return err
		}, query, arg)
	}
	if h.pool == nil {
		err = read(h.store.DB(ctx)) // needs no write lock
	} else {
		err = h.run(ctx, read)
	}
	if err != nil {
		return nil, fmt.Errorf("read the running jobs: %w", err)
	}
	return list, nil
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
