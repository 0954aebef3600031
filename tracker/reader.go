package tracker

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/jobrow"
	"github.com/nawasara/nawasync/internal/sqlkit"
)

// ErrNotFound is returned if no row has the given id. The row may have been pruned.
var ErrNotFound = errors.New("not found")

// Options configures a Reader. The zero value is ready to use.
type Options struct {
	// Now returns the current time. Queries never use the database's clock, so that tests can
	// set the time and an engine can correct the skew of its own clock. Default time.Now.
	Now func() time.Time
	// StatementTimeout is the time after which the database itself stops a query: MySQL and MariaDB let
	// a query run when its context has ended, and every database does when the process has died. The
	// method that ran the query then returns an error that is context.DeadlineExceeded. On SQLite the
	// driver must stop the query, which not every driver does. Default 10 s; a negative value is no
	// timeout.
	StatementTimeout time.Duration
	// Connections is how many queries run at the same time, each on its connection. Others wait until
	// their context ends. 0 is no limit.
	Connections int
	// BeforeScan is called before a search reads many jobs one by one because no index answers it. It
	// may wait. The search returns its error, or calls done at its end. Nil is no call.
	BeforeScan func(ctx context.Context) (done func(), err error)
}

// Reader reads jobs, their histories, statistics and the audit log. It never writes. Its
// methods return errors of the database, and ErrNotFound where documented. A list without
// rows is not an error. A Reader is safe for concurrent use.
type Reader struct {
	db      *gorm.DB
	dialect sqlkit.Dialect
	now     func() time.Time
	watch   func() time.Time                               // measures how long a search takes
	limit   *visibleSet                                    // what the caller may see; nil is everything
	scan    func(context.Context) (done func(), err error) // Options.BeforeScan
	guard   *sqlkit.Guard                                  // nil if the database must not stop queries
}

// New returns a Reader for db, whose dialect must be postgres, mysql or sqlite. It returns an
// error for any other dialect and if db is nil.
func New(db *gorm.DB, o Options) (*Reader, error) {
	if db == nil {
		return nil, errors.New("no database: pass an open *gorm.DB")
	}
	dialect, err := sqlkit.DialectOf(db.Name())
	if err != nil {
		return nil, err
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return (&Reader{db: db, dialect: dialect, now: o.Now, watch: time.Now}).WithOptions(o), nil
}

// Now returns the time of Options.Now in UTC, truncated to microseconds.
func (r *Reader) Now() time.Time { return r.now().UTC().Truncate(time.Microsecond) }

// Ping returns an error if the database does not answer.
func (r *Reader) Ping(ctx context.Context) error {
	pool, err := r.db.DB()
	if err != nil {
		return err
	}
	return pool.PingContext(ctx)
}

// session returns a database session without the host's conditions, hooks and SQL log.
func (r *Reader) session(ctx context.Context) *sqlkit.Conn {
	return sqlkit.Connect(ctx, r.db).Guarded(r.guard)
}

// jobs reads the jobs that the clause where selects. The clause calls the jobs table j. If wide
// is set, jobs also reads the arguments, results, diffs and progress. It leaves out jobs that the limit
// does not show.
func (r *Reader) jobs(ctx context.Context, wide bool, where string, args ...any) ([]*Job, error) {
	rows, err := jobrow.Query(r.session(ctx), wide, where, args...)
	if err != nil {
		return nil, err
	}
	jobs := make([]Job, len(rows))
	list := make([]*Job, 0, len(rows))
	for i, row := range rows {
		if r.limit.shows(row.Service, row.Instance) {
			jobs[i] = JobOf(row)
			list = append(list, &jobs[i])
		}
	}
	return list, nil
}

// Get returns the job with the given id, including its arguments, result and diff, or
// ErrNotFound.
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

// ByID returns the jobs with the given ids, without arguments, results and diffs. The map has
// no entry for an id without a row.
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

// maxLoadedDetail is the size of the largest document that LoadDetails reads, in bytes.
const maxLoadedDetail = 4 << 10

// LoadDetails reads Payload, Diff and Progress of up to 1,000 jobs that a list has returned without them, in one
// statement. It leaves out what has more than 4 KiB.
func (r *Reader) LoadDetails(ctx context.Context, jobs []*Job) error {
	byID, ids := map[int64]*Job{}, []int64{}
	for _, job := range jobs[:min(len(jobs), 1000)] {
		byID[job.ID], ids = job, append(ids, job.ID)
	}
	if len(ids) == 0 {
		return nil
	}
	err := sqlkit.Each(r.session(ctx), func(rows *sql.Rows) error {
		var id int64
		var payload, diff, progress sql.NullString
		if err := rows.Scan(&id, &payload, &diff, &progress); err != nil {
			return err
		}
		job := byID[id]
		job.Payload, job.Diff, job.Progress = sqlkit.RawJSON(payload), sqlkit.RawJSON(diff), sqlkit.RawJSON(progress)
		return nil
	}, `SELECT id, CASE WHEN LENGTH(payload) <= ? THEN payload END, CASE WHEN LENGTH(diff) <= ? THEN diff END,
 CASE WHEN LENGTH(progress) <= ? THEN progress END FROM nawasync_jobs WHERE id IN ?`, maxLoadedDetail, maxLoadedDetail, maxLoadedDetail, ids)
	if err != nil {
		return fmt.Errorf("read the arguments of jobs: %w", err)
	}
	return nil
}
