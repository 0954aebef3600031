package tracker

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/nawasara/nawasync/internal/sqlkit"
)

// walk collects the ids of matching jobs in one direction, up to one more than limit.
type walk struct {
	reader    *Reader
	plan      *plan
	limit     int
	maxTime   time.Duration
	ascending bool  // from older to newer jobs
	low, high int64 // ids in [low, high) are not read yet
	ids       []int64
	searched  int64
	partial   bool
	reached   time.Time
}

// newWalk returns a walk that collects up to limit+1 jobs of the page of a search, or nil if no job can match.
func (r *Reader) newWalk(ctx context.Context, q Search, limit int) (*walk, error) {
	q = r.limitServices(q)
	bounds, err := r.searchBounds(ctx, q)
	if err != nil {
		return nil, err
	}
	plan, err := r.plan(q, bounds)
	if err != nil || len(plan.streams) == 0 {
		return nil, err
	}
	w := &walk{reader: r, plan: plan, limit: limit, ascending: q.After > 0 || q.Oldest, maxTime: min(max(0, cmp.Or(q.MaxTime, maxSearchTime)), maxSearchTime)}
	w.low, w.high = plan.low, plan.high
	if q.Before > 0 {
		w.high = min(w.high, q.Before)
	}
	if q.After > 0 {
		w.low = max(w.low, q.After+1)
	}
	return w, nil
}

// adjacentPages returns Results.Newer and Results.Older. more says that the walk found more
// jobs than fit on the page. If the walk is partial, the next page starts where it stopped.
func (w *walk) adjacentPages(q Search, more bool) (newer, older int64) {
	if len(w.ids) > 0 {
		first, last := w.ids[0], w.ids[len(w.ids)-1]
		if (!w.ascending && q.Before > 0) || (w.ascending && more) {
			newer = first
		}
		if (w.ascending && !q.Oldest) || (!w.ascending && more) {
			older = last
		}
	}
	switch {
	case !w.partial || more:
	case !w.ascending:
		older = w.high
	default:
		newer = w.low - 1
		if len(w.ids) == 0 && q.After > 0 {
			older = q.After + 1
		}
	}
	return newer, older
}

func (w *walk) run(ctx context.Context) error {
	if len(w.plan.residual) == 0 && w.plan.known != nil {
		w.ids = w.nextIDs(w.plan.known)
		return nil
	}
	if len(w.plan.residual) == 0 {
		union, args := w.plan.union("id", w.low, w.high, w.limit+1, !w.ascending)
		var err error
		w.ids, err = w.read(ctx, union+w.order()+fmt.Sprintf(" LIMIT %d", w.limit+1), args)
		return err
	}
	return w.scan(ctx)
}

// counted is what countChunk has found.
type counted struct {
	jobs, matches   int64
	lowest, highest sql.NullInt64 // ids
}

// readChunk reads the next jobs of the walk, at most size, and collects those that match the
// residual conditions. It returns the number of jobs read.
func (w *walk) readChunk(ctx context.Context, size int) (int64, error) {
	c, err := w.countChunk(ctx, size)
	if err != nil || c.jobs == 0 {
		return 0, err
	}
	if c.matches > 0 {
		// The bounds select the rows that were just counted, not jobs that were added since.
		rows, args := w.chunkQuery(w.plan.residualColumns(), c.lowest.Int64, c.highest.Int64+1, math.MaxInt32)
		found, err := w.read(ctx, "SELECT j.id FROM "+rows+" WHERE "+w.matches()+strings.Replace(w.order(), "id", "j.id", 1)+fmt.Sprintf(" LIMIT %d", w.limit+1),
			append(args, w.plan.residualArgs...))
		if err != nil {
			return 0, err
		}
		w.ids = append(w.ids, found...)
	}
	w.searched += c.jobs
	if w.ascending {
		w.low = c.highest.Int64 + 1
	} else {
		w.high = c.lowest.Int64
	}
	return c.jobs, nil
}

// countChunk finds the next jobs of the walk, at most size. It also looks for matches, in the same statement, if the
// jobs before had none: these have none either, in most cases, and are not read again. Otherwise it
// returns that all may match.
func (w *walk) countChunk(ctx context.Context, size int) (c counted, err error) {
	columns, matches, args := "id", "COUNT(*)", []any(nil)
	if w.searched > 0 && len(w.ids) == 0 {
		columns, matches, args = w.plan.residualColumns(), "SUM(CASE WHEN "+w.matches()+" THEN 1 ELSE 0 END)", w.plan.residualArgs
	}
	rows, rowArgs := w.chunkQuery(columns, w.low, w.high, size)
	var matching sql.NullInt64 // a sum of no rows is NULL
	err = w.reader.session(ctx).Row("SELECT COUNT(*), MIN(j.id), MAX(j.id), "+matches+" FROM "+rows, slices.Concat(args, rowArgs)...).
		Scan(&c.jobs, &c.lowest, &c.highest, &matching)
	c.matches = matching.Int64
	return c, err
}

// matches is a condition: the job j matches the terms that no index answers. Its parameters are residualArgs.
func (w *walk) matches() string { return strings.Join(w.plan.residual, " AND ") }

// chunkQuery returns a subquery, called j, for the first limit rows with ids in [low, high).
func (w *walk) chunkQuery(columns string, low, high int64, limit int) (query string, args []any) {
	union, args := w.plan.union(columns, low, high, limit, !w.ascending)
	return "(" + union + w.order() + fmt.Sprintf(" LIMIT %d) j", limit), args
}

// stop marks the walk as partial and reads the creation time of the job at which it stopped.
func (w *walk) stop(ctx context.Context) error {
	w.partial = true
	at := w.high
	if w.ascending {
		at = w.low
	}
	var created int64
	err := w.reader.session(ctx).Row("SELECT created_at FROM nawasync_jobs WHERE id >= ? ORDER BY id LIMIT 1", at).Scan(&created)
	w.reached = sqlkit.FromMicros(created)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	return err
}

func (w *walk) order() string { return idOrder("id", !w.ascending) }

func (w *walk) read(ctx context.Context, query string, args []any) (ids []int64, err error) {
	err = sqlkit.Each(w.reader.session(ctx), func(rows *sql.Rows) error {
		var id int64
		err := rows.Scan(&id)
		ids = append(ids, id)
		return err
	}, query, args...)
	return ids, err
}
