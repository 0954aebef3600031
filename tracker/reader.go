package tracker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/jobrow"
	"github.com/nawasara/nawasync/internal/sqlkit"
)

// ErrNotFound says that there is no such row; it may have been pruned.
var ErrNotFound = errors.New("not found")

// Options of a Reader. The zero value is ready to use.
type Options struct {
	// Now tells the time. No statement asks the database for it, so that a test can
	// turn the clock and one process's skew can be corrected. Default time.Now.
	Now func() time.Time
}

// Reader reads jobs and what belongs to them. It writes nothing. Methods return the
// database's error, and ErrNotFound where they say so; a list without rows is empty. It is
// safe for concurrent use.
type Reader struct {
	db      *gorm.DB
	dialect sqlkit.Dialect
	now     func() time.Time
}

// New returns a Reader of db, whose dialect is postgres, mysql or sqlite. It returns an
// error for another dialect and for nil.
func New(db *gorm.DB, o Options) (*Reader, error) {
	if db == nil {
		return nil, errors.New("no database: pass an open *gorm.DB")
	}
	d, err := sqlkit.DialectOf(db.Name())
	if err != nil {
		return nil, err
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Reader{db: db, dialect: d, now: o.Now}, nil
}

// Now is the corrected time, UTC, in whole microseconds.
func (r *Reader) Now() time.Time { return r.now().UTC().Truncate(time.Microsecond) }

// Ping returns an error when the database does not answer.
func (r *Reader) Ping(ctx context.Context) error {
	pool, err := r.db.DB()
	if err != nil {
		return err
	}
	return pool.PingContext(ctx)
}

// session is the database without the host's conditions, hooks and log.
func (r *Reader) session(ctx context.Context) *gorm.DB { return sqlkit.Session(ctx, r.db) }

func (r *Reader) jobs(ctx context.Context, wide bool, where string, args ...any) ([]*Job, error) {
	rows, err := jobrow.Query(r.session(ctx), wide, where, args...)
	if err != nil {
		return nil, err
	}
	jobs := make([]Job, len(rows))
	list := make([]*Job, len(rows))
	for i, row := range rows {
		jobs[i] = JobOf(row)
		list[i] = &jobs[i]
	}
	return list, nil
}

// Get returns one job with all that it holds, or ErrNotFound.
func (r *Reader) Get(ctx context.Context, id int64) (*Job, error) {
	list, err := r.jobs(ctx, true, "WHERE j.id = ?", id)
	if err != nil {
		return nil, fmt.Errorf("read job %d: %w", id, err)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("job %d: %w", id, ErrNotFound)
	}
	return list[0], nil
}

// ByID returns the jobs with these ids, without arguments, results and diffs. Ids
// without a row are not in it.
func (r *Reader) ByID(ctx context.Context, ids []int64) (map[int64]*Job, error) {
	found := map[int64]*Job{}
	if len(ids) == 0 {
		return found, nil
	}
	list, err := r.jobs(ctx, false, "WHERE j.id IN ?", ids)
	if err != nil {
		return nil, fmt.Errorf("read jobs: %w", err)
	}
	for _, job := range list {
		found[job.ID] = job
	}
	return found, nil
}
