package sqlkit

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"gorm.io/gorm"
)

// ErrTooSlow means that the database stopped a query at the Timeout of its Guard.
var ErrTooSlow = fmt.Errorf("the database stopped a query that took too long: %w", context.DeadlineExceeded)

// Guard bounds what the queries of a Conn may cost. The database itself stops a query that takes too
// long: a driver may leave it running when its context ends, and a process that dies always does. A
// Guard is safe for concurrent use, and its fields must not change after the first query.
type Guard struct {
	Dialect Dialect
	// Timeout is how long the database works on a query; 0 is no limit. SQLite runs in this process,
	// where the driver may interrupt a query.
	Timeout time.Duration
	// Slots has the capacity of the number of queries that run at the same time. Nil is no limit.
	Slots chan struct{}

	server atomic.Int32 // serverUnknown, serverMySQL or serverMariaDB
}

// The servers that the dialect mysql stands for.
const (
	serverUnknown int32 = iota
	serverMySQL
	serverMariaDB
)

// Guarded returns a Conn that runs its queries under g and is otherwise like c. In a transaction, the
// caller must call Acquire and SetTimeout. A nil g does nothing.
func (c *Conn) Guarded(g *Guard) *Conn {
	guarded := *c
	guarded.guard = g
	return &guarded
}

// Acquire waits until fewer than the allowed number of queries run. The caller must call release. It
// returns an error if ctx ends first.
func (g *Guard) Acquire(ctx context.Context) (release func(), err error) {
	if g == nil || g.Slots == nil {
		return func() {}, nil
	}
	select {
	case g.Slots <- struct{}{}:
		return func() { <-g.Slots }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for one of %d database connections: %w", cap(g.Slots), ctx.Err())
	}
}

// SetTimeout limits the statements of the transaction in which conn is. Other databases than
// PostgreSQL limit each statement by its text.
func (g *Guard) SetTimeout(conn *Conn) error {
	if g == nil || g.Timeout == 0 || g.Dialect.Name != "postgres" {
		return nil
	}
	return conn.Exec(g.local(conn.ctx)).Error
}

// local returns the settings of a transaction on PostgreSQL. Without jit = off, PostgreSQL spends up to some seconds on
// compiling a query that reads a few pages of an index in a millisecond, because it estimates that it would read many.
func (g *Guard) local(ctx context.Context) string {
	return fmt.Sprintf("SET LOCAL statement_timeout = %d; SET LOCAL jit = off", g.millis(ctx))
}

// millis returns Timeout, or the time until the end of ctx if that is sooner, in milliseconds.
func (g *Guard) millis(ctx context.Context) int64 {
	left := g.Timeout
	if deadline, ok := ctx.Deadline(); ok {
		left = min(left, time.Until(deadline))
	}
	return max(1, left.Milliseconds())
}

// each is Each for a query of a guarded Conn.
func (g *Guard) each(ctx context.Context, c *Conn, fn func(*sql.Rows) error, text string, vars []any) error {
	if _, inTransaction := c.pool.(gorm.TxCommitter); inTransaction {
		text, err := g.limited(ctx, c.pool, text)
		if err != nil {
			return err
		}
		return tooSlow(scanAll(ctx, c.pool, fn, text, vars))
	}
	release, err := g.Acquire(ctx)
	if err != nil {
		return err
	}
	defer release()
	if pool, ok := c.pool.(*sql.DB); ok && g.Timeout > 0 && g.Dialect.Name == "postgres" {
		return tooSlow(g.eachPostgres(ctx, pool, fn, text, vars))
	}
	if pool, ok := c.pool.(*sql.DB); ok && g.Timeout > 0 && g.Dialect.Name == "sqlite" {
		return g.eachSQLite(ctx, pool, fn, text, vars)
	}
	if text, err = g.limited(ctx, c.pool, text); err != nil {
		return err
	}
	return tooSlow(scanAll(ctx, c.pool, fn, text, vars))
}

// eachSQLite runs a query with a context that ends at the timeout.
func (g *Guard) eachSQLite(ctx context.Context, pool *sql.DB, fn func(*sql.Rows) error, text string, vars []any) error {
	conn, err := pool.Conn(ctx) // the time that it takes does not count
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	ctx, cancel := context.WithTimeoutCause(ctx, g.Timeout, ErrTooSlow)
	defer cancel()
	err = scanAll(ctx, conn, fn, text, vars)
	if err != nil && errors.Is(context.Cause(ctx), ErrTooSlow) {
		return fmt.Errorf("%w: %w", ErrTooSlow, err)
	}
	return err
}

// eachPostgres runs a query in a transaction with a timeout of its own. A timeout of the session would
// stay with the connection, which other statements and, behind PgBouncer, other clients use.
func (g *Guard) eachPostgres(ctx context.Context, pool *sql.DB, fn func(*sql.Rows) error, text string, vars []any) error {
	// One message without parameters, so that the drivers send it in one round trip.
	conn, err := beginOn(ctx, pool, "BEGIN READ ONLY; "+g.local(ctx))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if _, err := conn.ExecContext(ctx, "ROLLBACK"); err != nil {
			discard(conn)
		}
	}()
	return scanAll(ctx, conn, fn, text, vars)
}

// beginOn runs a statement on a connection of the pool and returns the connection. Like a query on a
// pool, it tries other connections if the server has closed the first ones.
func beginOn(ctx context.Context, pool *sql.DB, begin string) (*sql.Conn, error) {
	for try := 1; ; try++ {
		conn, err := pool.Conn(ctx)
		if err != nil {
			return nil, err
		}
		if _, err = conn.ExecContext(ctx, begin); err == nil {
			return conn, nil
		}
		discard(conn)
		_ = conn.Close()
		if !IsUnavailable(err) || try == 3 || ctx.Err() != nil {
			return nil, err
		}
	}
}

// discard keeps the pool from using the connection again.
func discard(conn *sql.Conn) {
	_ = conn.Raw(func(any) error { return driver.ErrBadConn })
}

// limited returns the text of a query with which MySQL and MariaDB stop it in time.
func (g *Guard) limited(ctx context.Context, pool gorm.ConnPool, text string) (string, error) {
	if g.Timeout == 0 || g.Dialect.Name != "mysql" {
		return text, nil
	}
	if g.server.Load() == serverUnknown {
		var version string
		if err := pool.QueryRowContext(ctx, "SELECT VERSION()").Scan(&version); err != nil {
			return "", err
		}
		g.server.Store(serverMySQL)
		if strings.Contains(version, "MariaDB") {
			g.server.Store(serverMariaDB)
		}
	}
	if g.server.Load() == serverMariaDB {
		return fmt.Sprintf("SET STATEMENT max_statement_time = %.3f FOR %s", float64(g.millis(ctx))/1000, text), nil
	}
	if rest, ok := strings.CutPrefix(text, "SELECT "); ok {
		return fmt.Sprintf("SELECT /*+ MAX_EXECUTION_TIME(%d) */ %s", g.millis(ctx), rest), nil
	}
	return text, nil
}

// tooSlow adds ErrTooSlow to the error of a query that the database stopped: SQLSTATE 57014, MySQL's
// error 3024 or MariaDB's error 1969.
func tooSlow(err error) error {
	if err == nil {
		return nil
	}
	if state, ok := sqlState(err); ok && state == "57014" || containsAny(err, "Error 3024 ", "Error 1969 ") {
		return fmt.Errorf("%w: %w", ErrTooSlow, err)
	}
	return err
}
