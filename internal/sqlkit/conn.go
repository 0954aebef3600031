package sqlkit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// StatementTimeout is the deadline of each statement. PostgreSQL and SQLite stop a statement whose
// deadline has passed.
const StatementTimeout = 10 * time.Second

// Conn runs statements in a transaction or on the pool of a gorm database. It does not use gorm's
// callbacks: a plugin such as dbresolver would send some statements to a replica, and the
// application's conditions and SQL logger do not concern the engine. Statements are written with
// "?" and "IN ?" as for gorm's Raw. A Conn on a pool is safe for concurrent use, one in a
// transaction is not.
type Conn struct {
	ctx   context.Context
	db    *gorm.DB
	pool  gorm.ConnPool
	err   error  // why there is no pool
	guard *Guard // bounds the queries; nil if there are no more bounds than StatementTimeout
}

// Connect returns a Conn in tx if tx is a transaction, and on the pool in which gorm begins its
// transactions otherwise. Each statement runs under ctx and has StatementTimeout.
func Connect(ctx context.Context, tx *gorm.DB) *Conn {
	if _, ok := tx.Statement.ConnPool.(gorm.TxCommitter); ok {
		return &Conn{ctx: ctx, db: tx, pool: tx.Statement.ConnPool}
	}
	pool, err := tx.DB()
	return &Conn{ctx: ctx, db: tx, pool: pool, err: err}
}

// On returns a Conn that runs its statements on pool and is otherwise like c.
func (c *Conn) On(pool gorm.ConnPool) *Conn { return &Conn{ctx: c.ctx, db: c.db, pool: pool} }

// Result is the result of a statement that returns no rows.
type Result struct {
	RowsAffected int64
	Error        error
}

// Exec runs a statement that returns no rows.
func (c *Conn) Exec(query string, args ...any) Result {
	done, err := c.ExecResult(query, args...)
	if err != nil {
		return Result{Error: err}
	}
	n, err := done.RowsAffected()
	return Result{n, err}
}

// ExecResult is Exec with the driver's result, which has the id of a row that MySQL inserted.
func (c *Conn) ExecResult(query string, args ...any) (sql.Result, error) {
	if c.err != nil {
		return nil, c.err
	}
	ctx, cancel := context.WithTimeout(c.ctx, StatementTimeout)
	defer cancel()
	text, vars := c.render(query, args)
	done, err := c.pool.ExecContext(ctx, text, vars...)
	return done, c.timedOut(ctx, err)
}

// ErrNoResponse means that a statement has not ended within StatementTimeout.
var ErrNoResponse = errors.New("the database has not responded in time")

// timedOut adds ErrNoResponse to the error of a statement that was ended by its own deadline and not
// by the context of the Conn.
func (c *Conn) timedOut(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil && c.ctx.Err() == nil {
		return fmt.Errorf("%w: %w", ErrNoResponse, err)
	}
	return err
}

// Row runs a query of which only the first row is needed.
func (c *Conn) Row(query string, args ...any) Row { return Row{c, query, args} }

// Row is a query of one row.
type Row struct {
	conn  *Conn
	query string
	args  []any
}

// Scan reads the row into dest. It returns sql.ErrNoRows if there is none.
func (r Row) Scan(dest ...any) error {
	found := false
	err := Each(r.conn, func(rows *sql.Rows) error {
		if found {
			return nil
		}
		found = true
		return rows.Scan(dest...)
	}, r.query, r.args...)
	if err == nil && !found {
		return sql.ErrNoRows
	}
	return err
}

// Each runs a query and calls fn for each row. It stops at the first error of fn and returns
// that error.
func Each(c *Conn, fn func(rows *sql.Rows) error, query string, args ...any) error {
	if c.err != nil {
		return c.err
	}
	ctx, cancel := context.WithTimeout(c.ctx, StatementTimeout)
	defer cancel()
	text, vars := c.render(query, args)
	var fnErr error
	scan := func(rows *sql.Rows) error {
		fnErr = fn(rows)
		return fnErr
	}
	var err error
	if c.guard != nil {
		err = c.guard.each(ctx, c, scan, text, vars)
	} else {
		err = scanAll(ctx, c.pool, scan, text, vars)
	}
	if fnErr != nil {
		return fnErr
	}
	return c.timedOut(ctx, err)
}

// queryer is a pool, a connection or a transaction.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// scanAll runs a query and calls fn for each row until fn returns an error.
func scanAll(ctx context.Context, on queryer, fn func(*sql.Rows) error, text string, vars []any) error {
	rows, err := on.QueryContext(ctx, text, vars...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := fn(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Column runs a query of one column and returns its values.
func Column[T any](c *Conn, query string, args ...any) (list []T, err error) {
	err = Each(c, func(rows *sql.Rows) error {
		var value T
		err := rows.Scan(&value)
		list = append(list, value)
		return err
	}, query, args...)
	return list, err
}

// render writes a statement in the placeholders of the database.
func (c *Conn) render(query string, args []any) (text string, vars []any) {
	statement := &gorm.Statement{DB: c.db, Clauses: map[string]clause.Clause{}}
	clause.Expr{SQL: query, Vars: args}.Build(statement)
	return statement.SQL.String(), statement.Vars
}
