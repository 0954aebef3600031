// Package jobstore writes the jobs that package tracker reads, with their attempts, scopes,
// schedules, statistics and audit log. No other package writes these tables.
//
// Every write of an attempt is fenced: it changes a row only if the row still has the attempt's
// id, epoch and status. A worker that resumes late therefore changes nothing. transitions.go
// shows the statements that change the status of a job.
package jobstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/jobrow"
	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

// Store writes jobs and the tables that belong to them. It also reads the columns of a job that
// only the engine uses. It is safe for concurrent use.
type Store struct {
	*tracker.Reader
	db      *gorm.DB
	dialect sqlkit.Dialect
	// needsReadCommitted says that single statements need a transaction; see Inspect.
	needsReadCommitted bool
	mariaDB            bool
	limitsIdle         bool // transactions of its own get a limit for being idle; see idle.go
	// single holds a token for SQLite's only writer. The Store's writers queue for it instead
	// of sleeping in SQLite's busy handler. Other databases do not use it.
	single chan struct{}
	// lostTables maps the name of each missing snapshot table to the time at which it was found
	// missing.
	lostTables sync.Map
	signatures errorLimit
	guard      *sqlkit.Guard // of background
	atMoment   func(Moment)  // nil outside of tests
}

// Options are the options of a Store. The zero value is ready to use.
type Options struct {
	// Now returns the current time. The default is time.Now.
	Now func() time.Time
	// At, if not nil, is called at each Moment. Only tests set it.
	At func(Moment)
}

// New returns a Store on db, whose dialect is postgres, mysql or sqlite.
func New(db *gorm.DB, o Options) (*Store, error) {
	reader, err := tracker.New(db, tracker.Options{Now: o.Now, StatementTimeout: -1}) // its context bounds each query
	if err != nil {
		return nil, err
	}
	d, err := sqlkit.DialectOf(db.Name())
	if err != nil {
		return nil, err
	}
	guard := &sqlkit.Guard{Dialect: d, Timeout: sqlkit.StatementTimeout}
	return &Store{Reader: reader, db: db, dialect: d, guard: guard, atMoment: o.At, single: make(chan struct{}, 1)}, nil
}

// DB returns a Conn on the database, for statements outside of any transaction.
func (s *Store) DB(ctx context.Context) *sqlkit.Conn { return sqlkit.Connect(ctx, s.db) }

// background returns a Conn for the queries with which the engine's loops look for something to do. PostgreSQL estimates
// some of them to be a thousand times as expensive as they are, and would compile them; see sqlkit.Guard.
func (s *Store) background(ctx context.Context) *sqlkit.Conn { return s.DB(ctx).Guarded(s.guard) }

// Transaction runs fn in a new READ COMMITTED transaction. At higher isolation levels, the
// engine's batches would block dispatches on MySQL and fail on PostgreSQL.
func (s *Store) Transaction(ctx context.Context, fn func(tx *gorm.DB) error) error {
	unlock, err := s.lockWriter(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	var o []*sql.TxOptions
	if s.dialect.Name != "sqlite" {
		o = append(o, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
	}
	tx := sqlkit.Session(ctx, s.db).Begin(o...)
	if tx.Error != nil {
		return tx.Error
	}
	ended := false
	defer func() {
		if !ended { // fn panicked
			_ = bounded(func() error { return tx.Rollback().Error })
		}
	}()
	err = fn(tx)
	ended = true
	if err != nil {
		_ = bounded(func() error { return tx.Rollback().Error })
		return err
	}
	return bounded(func() error { return tx.Commit().Error })
}

// bounded runs the end of a transaction. database/sql gives it no deadline: on a connection that has
// fallen silent, it would wait for as long as TCP does. bounded gives up after StatementTimeout and
// leaves the connection to the goroutine. Whether a commit took place is then unknown, as after any
// lost answer.
func bounded(end func() error) error {
	done := make(chan error, 1)
	go func() { done <- end() }()
	timer := time.NewTimer(sqlkit.StatementTimeout)
	defer timer.Stop()
	select {
	case err := <-done:
		return err
	case <-timer.C:
		return fmt.Errorf("end a transaction: %w", sqlkit.ErrNoResponse)
	}
}

// transactionTimeout is the deadline of a transaction of the Store that runs no code of the host.
const transactionTimeout = 3 * sqlkit.StatementTimeout

// transaction is like Transaction, for a transaction that runs no code of the host: it has a
// deadline, and a limit for being idle, which costs a round trip.
func (s *Store) transaction(ctx context.Context, fn func(conn *sqlkit.Conn) error) error {
	return s.frequentTransaction(ctx, func(conn *sqlkit.Conn) error {
		if err := s.limitIdle(conn); err != nil {
			return err
		}
		return fn(conn)
	})
}

// frequentTransaction is transaction without a limit for being idle, unless one of its statements sets it.
func (s *Store) frequentTransaction(ctx context.Context, fn func(conn *sqlkit.Conn) error) error {
	ctx, cancel := context.WithTimeout(ctx, transactionTimeout)
	defer cancel()
	return s.Transaction(ctx, func(tx *gorm.DB) error { return fn(sqlkit.Connect(ctx, tx)) })
}

// maxTries is how often a transaction is tried when it ends in a deadlock.
const maxTries = 10

// RetryTx is like Transaction, but tries again after a deadlock or serialization failure. fn must
// be safe to run several times.
func (s *Store) RetryTx(ctx context.Context, fn func(tx *gorm.DB) error) error {
	return retryTx(ctx, func() error { return s.Transaction(ctx, fn) })
}

func retryTx(ctx context.Context, transaction func() error) error {
	for try := 1; ; try++ {
		err := transaction()
		if !sqlkit.IsSerializationFailure(err) || try == maxTries || ctx.Err() != nil {
			return err
		}
	}
}

// RetryTxConn is like RetryTx, but also passes the connection of the transaction to fn, for
// driver features that database/sql does not offer. It does not wait for SQLite's only writer.
func (s *Store) RetryTxConn(ctx context.Context, fn func(tx *gorm.DB, conn *sql.Conn) error) error {
	return retryTx(ctx, func() error {
		return sqlkit.Session(ctx, s.db).Connection(func(db *gorm.DB) error {
			conn, _ := db.Statement.ConnPool.(*sql.Conn)
			return db.Transaction(func(tx *gorm.DB) error { return fn(tx, conn) }, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
		})
	})
}

// ErrBusy means that another transaction was SQLite's only writer for longer than busyWait.
var ErrBusy = errors.New("another transaction holds SQLite's write lock; inside a transaction of your own, call DispatchTx with that transaction")

// busyWait is how long a write waits for SQLite's only writer: as long as the recommended
// busy_timeout.
const busyWait = 5 * time.Second

// lockWriter waits on SQLite until no other write of this Store is in progress. The caller must
// call unlock. On other databases it does nothing.
func (s *Store) lockWriter(ctx context.Context) (unlock func(), err error) {
	if s.dialect.Name != "sqlite" {
		return func() {}, nil
	}
	select {
	case s.single <- struct{}{}:
		return func() { <-s.single }, nil
	default:
	}
	timer := time.NewTimer(busyWait)
	defer timer.Stop()
	select {
	case s.single <- struct{}{}:
		return func() { <-s.single }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-timer.C:
		return nil, ErrBusy
	}
}

// singleStatement runs fn for one call of batch. A database with RETURNING needs one statement for
// it and no transaction; the others need two statements and therefore a transaction.
func (s *Store) singleStatement(ctx context.Context, fn func(conn *sqlkit.Conn) error) error {
	if s.dialect.Returning {
		return s.exec(ctx, fn)
	}
	return s.frequentTransaction(ctx, fn)
}

// exec runs a statement without a transaction, unless the database's default isolation level is too
// high. Prefer it for single statements: a process that freezes between a statement and its COMMIT
// keeps the rows locked.
func (s *Store) exec(ctx context.Context, fn func(conn *sqlkit.Conn) error) error {
	if s.needsReadCommitted {
		return s.frequentTransaction(ctx, fn)
	}
	unlock, err := s.lockWriter(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	return fn(s.DB(ctx))
}

// Inspect reads what the Store has to know about the database. Call it before the first use of the
// Store. At a higher default isolation level than READ COMMITTED, each statement of the Store gets
// a transaction of its own.
func (s *Store) Inspect(ctx context.Context) error {
	var err error
	switch s.dialect.Name {
	case "postgres":
		var level string
		err = s.DB(ctx).Row("SHOW default_transaction_isolation").Scan(&level)
		if err == nil {
			var limit time.Duration
			limit, err = s.IdleLimit(ctx)
			s.limitsIdle = limit == 0
		}
		s.needsReadCommitted = level != "read committed"
	case "mysql":
		var version string
		err = s.DB(ctx).Row("SELECT VERSION()").Scan(&version)
		s.mariaDB = strings.Contains(version, "MariaDB")
	}
	if err != nil {
		return fmt.Errorf("read the settings of the database: %w", err)
	}
	return nil
}

// withoutLockWait makes a statement fail at once instead of waiting for a lock. MySQL has no such
// setting for a single statement.
func (s *Store) withoutLockWait(statement string) string {
	return sqlkit.Pick(s.mariaDB, "SET STATEMENT innodb_lock_wait_timeout = 0 FOR ", "") + statement
}

// query reads the jobs that a clause selects. The clause begins with WHERE or JOIN and calls the
// jobs table j. If wide is set, query also reads arguments and texts.
func (s *Store) query(conn *sqlkit.Conn, wide bool, where string, args ...any) ([]*Job, error) {
	rows, err := jobrow.Query(conn, wide, where, args...)
	if err != nil {
		return nil, err
	}
	list := make([]*Job, len(rows))
	for i, row := range rows {
		list[i] = jobOf(row)
	}
	return list, nil
}

// Load returns one job with all its columns, or tracker.ErrNotFound.
func (s *Store) Load(ctx context.Context, id int64) (*Job, error) {
	list, err := s.query(s.DB(ctx), true, "WHERE j.id = ?", id)
	if err != nil {
		return nil, fmt.Errorf("read job %d: %w", id, err)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("job %d: %w", id, tracker.ErrNotFound)
	}
	return list[0], nil
}

func (s *Store) quote(table string) string { return s.db.Statement.Quote(table) }
