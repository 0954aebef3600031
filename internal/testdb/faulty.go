package testdb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"

	"github.com/glebarez/sqlite"
	"gorm.io/driver/mysql"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
)

// Fault is what happens to one statement.
type Fault int

// The faults.
const (
	FaultNone    Fault = iota // the statement runs as usual
	FaultRefused              // the statement is not run and returns ErrFault
	FaultLost                 // the database runs the statement, but the caller gets ErrFault
)

// ErrFault is the error of a statement with a fault.
var ErrFault = errors.New("testdb: a fault was injected")

// OpenFaulty is like Open, but calls fault before every statement and every commit.
func OpenFaulty(dialect, dsn string, fault func() Fault) (*gorm.DB, error) {
	plain, err := Open(dialect, dsn)
	if err != nil {
		return nil, err
	}
	pool, err := plain.DB()
	if err != nil {
		return nil, err
	}
	faulty := sql.OpenDB(connector{inner: pool.Driver(), dsn: dsn, fault: fault, onQuery: func(string, []driver.NamedValue) {}})
	closeDB(plain)
	faulty.SetMaxOpenConns(8)
	faulty.SetMaxIdleConns(8)
	switch dialect {
	case "postgres":
		return gorm.Open(postgres.New(postgres.Config{Conn: faulty}), config())
	case "mysql":
		// The driver would query the version first, and that statement could get a fault.
		return gorm.Open(mysql.New(mysql.Config{Conn: faulty, SkipInitializeWithVersion: true}), config())
	}
	return gorm.Open(&sqlite.Dialector{Conn: faulty}, config())
}

// OpenRecorded opens a database of SQLite again and calls onQuery before every query.
func OpenRecorded(dsn string, onQuery func(query string, args []driver.NamedValue)) (*gorm.DB, error) {
	plain, err := Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	pool, err := plain.DB()
	if err != nil {
		return nil, err
	}
	recorded := sql.OpenDB(connector{inner: pool.Driver(), dsn: dsn, fault: func() Fault { return FaultNone }, onQuery: onQuery})
	closeDB(plain)
	recorded.SetMaxOpenConns(8)
	return gorm.Open(&sqlite.Dialector{Conn: recorded}, config())
}

type connector struct {
	inner   driver.Driver
	dsn     string
	fault   func() Fault
	onQuery func(query string, args []driver.NamedValue)
}

func (c connector) Driver() driver.Driver { return c.inner }

func (c connector) Connect(context.Context) (driver.Conn, error) {
	inner, err := c.inner.Open(c.dsn)
	if err != nil {
		return nil, err
	}
	return &faultyConn{inner, c.fault, c.onQuery}, nil
}

// faultyConn is a connection that adds faults.
type faultyConn struct {
	driver.Conn
	fault   func() Fault
	onQuery func(query string, args []driver.NamedValue)
}

func (c *faultyConn) Ping(ctx context.Context) error {
	if p, ok := c.Conn.(driver.Pinger); ok {
		return p.Ping(ctx)
	}
	return nil
}

func (c *faultyConn) CheckNamedValue(v *driver.NamedValue) error {
	if checker, ok := c.Conn.(driver.NamedValueChecker); ok {
		return checker.CheckNamedValue(v)
	}
	return driver.ErrSkip
}

func (c *faultyConn) ResetSession(ctx context.Context) error {
	if r, ok := c.Conn.(driver.SessionResetter); ok {
		return r.ResetSession(ctx)
	}
	return nil
}

func (c *faultyConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	execer, ok := c.Conn.(driver.ExecerContext)
	if !ok {
		return nil, driver.ErrSkip
	}
	fault := c.fault()
	if fault == FaultRefused {
		return nil, ErrFault
	}
	result, err := execer.ExecContext(ctx, query, args)
	if err == nil && fault == FaultLost {
		return nil, ErrFault
	}
	return result, err
}

func (c *faultyConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	queryer, ok := c.Conn.(driver.QueryerContext)
	if !ok {
		return nil, driver.ErrSkip
	}
	c.onQuery(query, args)
	fault := c.fault()
	if fault == FaultRefused {
		return nil, ErrFault
	}
	rows, err := queryer.QueryContext(ctx, query, args)
	if err != nil || fault != FaultLost {
		return rows, err
	}
	// Read all rows, so that the statement makes all its changes.
	into := make([]driver.Value, len(rows.Columns()))
	for err = nil; err == nil; {
		err = rows.Next(into)
	}
	closed := rows.Close()
	if !errors.Is(err, io.EOF) {
		return nil, err
	}
	return nil, errors.Join(ErrFault, closed)
}

func (c *faultyConn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	beginner, ok := c.Conn.(driver.ConnBeginTx)
	if !ok {
		return nil, errors.New("testdb: the driver has no BeginTx")
	}
	inner, err := beginner.BeginTx(ctx, o)
	if err != nil {
		return nil, err
	}
	return faultyTx{inner, c.fault}, nil
}

type faultyTx struct {
	driver.Tx
	fault func() Fault
}

func (t faultyTx) Commit() error {
	fault := t.fault()
	if fault == FaultRefused {
		return errors.Join(ErrFault, t.Rollback())
	}
	if err := t.Tx.Commit(); err != nil {
		return err
	}
	if fault == FaultLost {
		return ErrFault
	}
	return nil
}
