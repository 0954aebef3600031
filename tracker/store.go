package tracker

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

// ErrNotFound says that there is no such row; it may have been pruned.
var ErrNotFound = errors.New("nawasync: not found")

// Options of a Store. The zero value is ready to use.
type Options struct {
	// Now tells the time. No statement asks the database for it, so that a test can
	// turn the clock and one process's skew can be corrected. Default time.Now.
	Now func() time.Time
	// Recheck is how long after a ring the relay looks whether the job was claimed.
	// Default 5 s.
	Recheck time.Duration
}

// Store reads and writes jobs. It is safe for concurrent use.
type Store struct {
	db      *gorm.DB
	dialect dialect
	now     func() time.Time
	recheck time.Duration
	// SQLite has one writer: our own writers queue here instead of sleeping in its
	// busy handler. Others do not use it.
	single chan struct{}
	// Snapshot tables that are not there any more.
	lostTables sync.Map
}

// New returns a Store on db, whose dialect is postgres, mysql or sqlite.
func New(db *gorm.DB, o Options) (*Store, error) {
	if db == nil {
		return nil, errors.New("nawasync: no database: pass an open *gorm.DB")
	}
	d, err := dialectOf(db.Name())
	if err != nil {
		return nil, err
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Recheck <= 0 {
		o.Recheck = 5 * time.Second
	}
	return &Store{db: db, dialect: d, now: o.Now, recheck: o.Recheck, single: make(chan struct{}, 1)}, nil
}

// Now is the corrected time, UTC, in whole microseconds.
func (s *Store) Now() time.Time { return s.now().UTC().Truncate(time.Microsecond) }

// DB is a session on the database that carries none of the host's conditions.
func (s *Store) DB(ctx context.Context) *gorm.DB { return session(ctx, s.db) }

// Ping reports whether the database answers.
func (s *Store) Ping(ctx context.Context) error {
	pool, err := s.db.DB()
	if err != nil {
		return err
	}
	return pool.PingContext(ctx)
}

// Transaction runs fn in a READ COMMITTED transaction of its own. Higher levels
// make the engine's batches block dispatches on MySQL and fail on PostgreSQL.
func (s *Store) Transaction(ctx context.Context, fn func(tx *gorm.DB) error) error {
	unlock, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	var o []*sql.TxOptions
	if s.dialect.name != "sqlite" {
		o = append(o, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
	}
	return s.DB(ctx).Transaction(fn, o...)
}

// passingTries is how often a transaction is run again for a deadlock.
const passingTries = 10

// Repeated is Transaction for an fn that may run again: a deadlock is the database's
// way to order transactions, not a failure.
func (s *Store) Repeated(ctx context.Context, fn func(tx *gorm.DB) error) error {
	return again(ctx, func() error { return s.Transaction(ctx, fn) })
}

func again(ctx context.Context, transaction func() error) error {
	for try := 1; ; try++ {
		err := transaction()
		if !Passing(err) || try == passingTries || ctx.Err() != nil {
			return err
		}
	}
}

// RepeatedOn is Repeated that also hands out the connection of the transaction, for what
// database/sql has no words for.
func (s *Store) RepeatedOn(ctx context.Context, fn func(tx *gorm.DB, conn *sql.Conn) error) error {
	return again(ctx, func() error {
		return s.DB(ctx).Connection(func(db *gorm.DB) error {
			conn, _ := db.Statement.ConnPool.(*sql.Conn)
			return db.Transaction(func(tx *gorm.DB) error { return fn(tx, conn) }, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
		})
	})
}

// ErrBusy says that SQLite's one writer was taken for longer than busyWait.
var ErrBusy = errors.New("nawasync: SQLite has one writer and it is taken; inside an open transaction of your own use DispatchTx with that transaction")

// busyWait is as long as the busy_timeout we recommend.
const busyWait = 5 * time.Second

func (s *Store) lock(ctx context.Context) (unlock func(), err error) {
	if s.dialect.name != "sqlite" {
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

// session detaches tx from its owner's conditions and from its SQL log: rows are
// large, and lookups that find nothing are no errors.
func session(ctx context.Context, tx *gorm.DB) *gorm.DB {
	return tx.Session(&gorm.Session{NewDB: true, Context: ctx, Logger: logger.Discard, SkipHooks: true})
}

// each runs a query and calls fn for every row.
func each(tx *gorm.DB, fn func(rows *sql.Rows) error, query string, args ...any) error {
	rows, err := tx.Raw(query, args...).Rows()
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

func (s *Store) jobs(tx *gorm.DB, wide bool, where string, args ...any) ([]*Job, error) {
	columns := narrowColumns
	if wide {
		columns += wideColumns
	}
	var list []*Job
	var scan jobScan
	err := each(tx, func(rows *sql.Rows) error {
		job, err := scan.scan(rows, wide)
		list = append(list, job)
		return err
	}, "SELECT "+columns+" FROM nawasync_jobs j "+where, args...)
	return list, err
}

// Get returns one job with all that it holds, or ErrNotFound.
func (s *Store) Get(ctx context.Context, id int64) (*Job, error) {
	return s.GetTx(ctx, s.db, id)
}

// ByID returns the jobs with these ids, without arguments, results and diffs. Ids
// without a row are not in it.
func (s *Store) ByID(ctx context.Context, ids []int64) (map[int64]*Job, error) {
	found := map[int64]*Job{}
	if len(ids) == 0 {
		return found, nil
	}
	list, err := s.jobs(s.DB(ctx), false, "WHERE j.id IN ?", ids)
	if err != nil {
		return nil, fmt.Errorf("nawasync: read jobs: %w", err)
	}
	for _, job := range list {
		found[job.ID] = job
	}
	return found, nil
}

// GetTx is Get inside the caller's transaction.
func (s *Store) GetTx(ctx context.Context, tx *gorm.DB, id int64) (*Job, error) {
	list, err := s.jobs(session(ctx, tx), true, "WHERE j.id = ?", id)
	if err != nil {
		return nil, fmt.Errorf("nawasync: read job %d: %w", id, err)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("job %d: %w", id, ErrNotFound)
	}
	return list[0], nil
}
