// Package jobstore writes the jobs of package tracker, and what belongs to them:
// attempts, scopes, schedules, statistics, the audit log. Nothing else writes these
// tables.
//
// Every write of an attempt is fenced by id, epoch and status: a worker that comes back
// late changes nothing. transitions.go says which statement leads from which status to
// which.
package jobstore

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/jobrow"
	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

// Store writes jobs and what belongs to them, and reads with the columns that only the
// engine uses. It is safe for concurrent use.
type Store struct {
	*tracker.Reader
	db      *gorm.DB
	dialect sqlkit.Dialect
	recheck time.Duration
	// SQLite has one writer: our own writers queue here instead of sleeping in its
	// busy handler. Others do not use it.
	single chan struct{}
	// Snapshot tables that do not exist any more.
	lostTables sync.Map
	atMoment   func(Moment) // nil outside of tests
}

// Options of a Store. The zero value is ready to use.
type Options struct {
	// Now tells the time. Default time.Now.
	Now func() time.Time
	// Recheck is how long after a wake-up the relay looks whether the job was claimed.
	// Default 5 s.
	Recheck time.Duration
	// At is called at each Moment, for tests; nil is not.
	At func(Moment)
}

// New returns a Store on db, whose dialect is postgres, mysql or sqlite.
func New(db *gorm.DB, o Options) (*Store, error) {
	reader, err := tracker.New(db, tracker.Options{Now: o.Now})
	if err != nil {
		return nil, err
	}
	d, err := sqlkit.DialectOf(db.Name())
	if err != nil {
		return nil, err
	}
	return &Store{Reader: reader, db: db, dialect: d, recheck: cmp.Or(o.Recheck, 5*time.Second), atMoment: o.At, single: make(chan struct{}, 1)}, nil
}

// DB is a session on the database that carries none of the host's conditions.
func (s *Store) DB(ctx context.Context) *gorm.DB { return sqlkit.Session(ctx, s.db) }

// Transaction runs fn in a READ COMMITTED transaction of its own. Higher levels
// make the engine's batches block dispatches on MySQL and fail on PostgreSQL.
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
	return s.DB(ctx).Transaction(fn, o...)
}

// maxTries is how often a transaction is run again for a deadlock.
const maxTries = 10

// RetryTx is Transaction for an fn that may run again: a deadlock is the database's
// way to order transactions, not a failure.
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

// RetryTxConn is Repeated that also hands out the connection of the transaction, for what
// database/sql has no words for.
func (s *Store) RetryTxConn(ctx context.Context, fn func(tx *gorm.DB, conn *sql.Conn) error) error {
	return retryTx(ctx, func() error {
		return s.DB(ctx).Connection(func(db *gorm.DB) error {
			conn, _ := db.Statement.ConnPool.(*sql.Conn)
			return db.Transaction(func(tx *gorm.DB) error { return fn(tx, conn) }, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
		})
	})
}

// ErrBusy says that SQLite's one writer was taken for longer than busyWait.
var ErrBusy = errors.New("SQLite has one writer and it is taken; inside an open transaction of your own use DispatchTx with that transaction")

// busyWait is as long as the busy_timeout we recommend.
const busyWait = 5 * time.Second

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

// singleStatement runs one batch statement: by itself where it is atomic, in a transaction
// where it takes two.
func (s *Store) singleStatement(ctx context.Context, fn func(tx *gorm.DB) error) error {
	if s.dialect.Returning {
		return s.exec(ctx, fn)
	}
	return s.Transaction(ctx, fn)
}

// exec runs statements that need no transaction. A process that is stopped between
// a statement and its COMMIT keeps what the statement locked.
func (s *Store) exec(ctx context.Context, fn func(tx *gorm.DB) error) error {
	unlock, err := s.lockWriter(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	return fn(s.DB(ctx))
}

func (s *Store) query(tx *gorm.DB, wide bool, where string, args ...any) ([]*Job, error) {
	rows, err := jobrow.Query(tx, wide, where, args...)
	if err != nil {
		return nil, err
	}
	list := make([]*Job, len(rows))
	for i, row := range rows {
		list[i] = jobOf(row)
	}
	return list, nil
}

// Load returns one job with all that it holds, or ErrNotFound.
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
