package tracker

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nawasara/nawasync/internal/sqlkit"
)

// Search selects jobs for a list: all of its terms must hold.
type Search struct {
	// Services are those that the reader may see; nil is every service, an empty list
	// is none.
	Services []string
	Terms    []Term
	// Targets are the objects that a target term can mean; an empty list is none. Without
	// them (nil) such a term is looked for row by row.
	Targets []Target
	// From and To bound the time of creation, by the order in which jobs were added:
	// From inclusive, To exclusive, the zero time no bound.
	From, To time.Time
	// EndedFrom and EndedTo bound the time of the end in the same way: with one of
	// them only jobs that have ended are found.
	EndedFrom, EndedTo time.Time
	// Deleted lists the deleted jobs instead.
	Deleted bool

	// Before lists the jobs with lower ids, newest first, After the ones with the next
	// higher ids. Both 0 is the newest; Oldest is the other end of the list.
	Before, After int64
	Oldest        bool
	// Limit is the size of a page, 1 to 500; 0 is 50.
	Limit int
}

// Field is what a Term asks about.
type Field string

// The fields of a Term.
const (
	FieldID       Field = "id"
	FieldStatus   Field = "status"
	FieldService  Field = "service"
	FieldType     Field = "type"
	FieldAction   Field = "action"
	FieldInstance Field = "instance"
	FieldTarget   Field = "target"
	FieldBy       Field = "by"
	FieldSource   Field = "source"
	FieldClass    Field = "class"
	FieldError    Field = "error"    // its text contains the value, in any case of letters
	FieldText     Field = "text"     // the target or the error contains the value
	FieldRetryOf  Field = "retry"    // the job it is a retry of
	FieldAttempts Field = "attempts" // compared as a number
	FieldDuration Field = "duration" // of the last attempt, in milliseconds
	FieldStuck    Field = "stuck"    // runs past its deadline; no value
	FieldRepaired Field = "repaired" // a later job of the same target succeeded; no value
)

// Term is one condition. Its values are alternatives.
type Term struct {
	Field  Field
	Values []string
	Op     string // "", ">" or "<" of a number
	Not    bool
}

// Results is one page of a search, newest first.
type Results struct {
	Jobs []*Job // without arguments, results and diffs
	// Older and Newer are the bounds of the neighbouring pages; 0 says that there is
	// none.
	Older, Newer int64
	// Searched is how many jobs were read for terms that no index answers; 0 when an
	// index did. Partial says that the search stopped before the end of the list, at
	// Older, which it reached at Reached.
	Searched int64
	Partial  bool
	Reached  time.Time
}

// How far a search goes that no index answers.
const (
	maxSearched = 200_000
	maxSearch   = time.Second
	firstChunk  = 2_000
	maxChunk    = 40_000
)

// Search returns one page of jobs, newest first. A term that an index answers costs no
// more at any depth. Of others at most 200,000 jobs are read, from the end where the page
// begins, for at most a second; the results say how far that went.
func (r *Reader) Search(ctx context.Context, q Search) (Results, error) {
	limit := min(max(cmp.Or(q.Limit, 50), 1), 500)
	before, after := q.Before, q.After
	g, err := r.searchBounds(ctx, q)
	if err != nil {
		return Results{}, err
	}
	plan, err := r.plan(q, g)
	if err != nil || len(plan.streams) == 0 {
		return Results{}, err
	}
	w := walk{reader: r, plan: plan, limit: limit, up: after > 0 || q.Oldest}
	w.low, w.high = plan.low, plan.high
	if before > 0 {
		w.high = min(w.high, before)
	}
	if after > 0 {
		w.low = max(w.low, after+1)
	}
	if err := w.run(ctx); err != nil {
		return Results{}, fmt.Errorf("search jobs: %w", err)
	}
	out := Results{Searched: w.searched, Partial: w.partial, Reached: w.reached}
	more := len(w.ids) > limit
	if more {
		w.ids = w.ids[:limit]
	}
	if w.up {
		slices.Reverse(w.ids)
	}
	if len(w.ids) > 0 {
		if out.Jobs, err = r.jobs(ctx, false, "WHERE j.id IN ? ORDER BY j.id DESC", w.ids); err != nil {
			return Results{}, fmt.Errorf("search jobs: %w", err)
		}
	}
	out.Newer, out.Older = w.neighbours(q, more)
	return out, nil
}

// neighbours are the bounds of the pages before and after; 0 where there is none. A walk
// that was cut short goes on where it stopped.
func (w *walk) neighbours(q Search, more bool) (newer, older int64) {
	if len(w.ids) > 0 {
		first, last := w.ids[0], w.ids[len(w.ids)-1]
		if (!w.up && q.Before > 0) || (w.up && more) {
			newer = first
		}
		if (w.up && !q.Oldest) || (!w.up && more) {
			older = last
		}
	}
	switch {
	case !w.partial || more:
	case !w.up:
		older = w.high
	default:
		newer = w.low - 1
		if len(w.ids) == 0 && q.After > 0 {
			older = q.After + 1
		}
	}
	return newer, older
}

// MaxCount is the number above which Counts does not count.
const MaxCount = 10_000

// Counts counts the jobs of a search by status, none above CountUpTo+1. It counts
// nothing, and known is false, where terms are asked that no index answers: that would
// cost as much as reading it all.
func (r *Reader) Counts(ctx context.Context, q Search) (counts map[Status]int, known bool, err error) {
	q.Terms = slices.DeleteFunc(slices.Clone(q.Terms), func(t Term) bool { return t.Field == FieldStatus })
	var parts []string
	var args []any
	one := q
	one.Terms = append(slices.Clone(q.Terms), Term{Field: FieldStatus})
	g, err := r.searchBounds(ctx, one)
	if err != nil {
		return nil, false, err
	}
	for _, status := range Statuses() {
		one.Terms[len(q.Terms)].Values = []string{string(status)}
		plan, err := r.plan(one, g)
		if err != nil || len(plan.residual) > 0 {
			return nil, false, err
		}
		if len(plan.streams) == 0 {
			continue
		}
		union, a := plan.union("id", plan.low, plan.high, MaxCount+1, " ORDER BY id DESC")
		parts, args = append(parts, "SELECT '"+string(status)+"' AS status, COUNT(*) AS n FROM ("+union+fmt.Sprintf(" LIMIT %d) c", MaxCount+1)), append(args, a...)
	}
	counts = map[Status]int{}
	if len(parts) == 0 {
		return counts, true, nil
	}
	err = sqlkit.Each(r.session(ctx), func(rows *sql.Rows) error {
		var status Status
		var n int
		err := rows.Scan(&status, &n)
		counts[status] = n
		return err
	}, strings.Join(parts, " UNION ALL "), args...)
	if err != nil {
		return nil, false, fmt.Errorf("count jobs: %w", err)
	}
	return counts, true, nil
}

// Services lists every service that has ended jobs, by hopping over the index, and
// those of up to 10,000 open ones.
func (r *Reader) Services(ctx context.Context) ([]string, error) {
	var list []string
	for last := ""; ; {
		var next sql.NullString
		if err := r.session(ctx).Raw("SELECT MIN(service) FROM nawasync_jobs WHERE finished_at IS NOT NULL AND deleted_at IS NULL AND service > ?",
			last).Row().Scan(&next); err != nil {
			return nil, fmt.Errorf("list the services: %w", err)
		}
		if !next.Valid {
			break
		}
		list, last = append(list, next.String), next.String
	}
	var open []string
	if err := r.session(ctx).Raw("SELECT DISTINCT service FROM (SELECT service FROM nawasync_jobs WHERE open_lane IS NOT NULL LIMIT 10000) o").Scan(&open).Error; err != nil {
		return nil, fmt.Errorf("list the services: %w", err)
	}
	list = append(list, open...)
	slices.Sort(list)
	return slices.Compact(list), nil
}

// boundIDs is the least id of a job that was created at or after a time: ids rise with
// the time of creation, so that a binary search finds it without an index of its own.
func (r *Reader) boundIDs(ctx context.Context, at time.Time) (int64, error) {
	var low, high int64
	if err := r.session(ctx).Raw("SELECT COALESCE((SELECT MIN(id) FROM nawasync_jobs), 0), COALESCE((SELECT MAX(id) FROM nawasync_jobs), 0)").Row().Scan(&low,
		&high); err != nil {
		return 0, fmt.Errorf("look for the beginning of a window: %w", err)
	}
	high++
	for low < high {
		middle := low + (high-low)/2
		var id, created int64
		if err := r.session(ctx).Raw("SELECT id, created_at FROM nawasync_jobs WHERE id >= ? ORDER BY id LIMIT 1", middle).Row().Scan(&id, &created); errors.Is(err,
			sql.ErrNoRows) {
			high = middle // there is none, or it has been pruned just now
			continue
		} else if err != nil {
			return 0, fmt.Errorf("look for the beginning of a window: %w", err)
		}
		if created >= at.UnixMicro() {
			high = middle
		} else {
			low = id + 1
		}
	}
	return low, nil
}

// walk reads the ids of a plan, in one direction.
type walk struct {
	reader    *Reader
	plan      *plan
	limit     int
	up        bool  // from the old to the new
	low, high int64 // ids from low until below high are still to be looked at
	ids       []int64
	searched  int64
	partial   bool
	reached   time.Time
}

func (w *walk) run(ctx context.Context) error {
	if len(w.plan.residual) == 0 {
		union, args := w.plan.union("id", w.low, w.high, w.limit+1, w.order())
		var err error
		w.ids, err = w.read(ctx, union+w.order()+fmt.Sprintf(" LIMIT %d", w.limit+1), args)
		return err
	}
	end := w.reader.Now().Add(maxSearch)
	for size := firstChunk; len(w.ids) <= w.limit; size = min(size*5, maxChunk) {
		chunk := min(size, maxSearched-int(w.searched))
		if chunk == 0 || (w.searched > 0 && w.reader.Now().After(end)) {
			return w.stop(ctx)
		}
		piece := func(columns string, low, high int64, limit int) (string, []any) {
			union, args := w.plan.union(columns, low, high, limit, w.order())
			return "(" + union + w.order() + fmt.Sprintf(" LIMIT %d) j", limit), args
		}
		ids, args := piece("id", w.low, w.high, chunk)
		var n int64
		var least, most sql.NullInt64
		if err := w.reader.session(ctx).Raw("SELECT COUNT(*), MIN(j.id), MAX(j.id) FROM "+ids, args...).Row().Scan(&n, &least, &most); err != nil {
			return err
		}
		if n == 0 {
			return nil
		}
		// The very rows that were counted: others may have come since.
		rows, args := piece(w.plan.residualColumns(), least.Int64, most.Int64+1, math.MaxInt32)
		found, err := w.read(ctx, "SELECT j.id FROM "+rows+" WHERE "+strings.Join(w.plan.residual, " AND ")+strings.Replace(w.order(), "id", "j.id",
			1)+fmt.Sprintf(" LIMIT %d", w.limit+1),
			append(args, w.plan.residualArgs...))
		if err != nil {
			return err
		}
		w.ids, w.searched = append(w.ids, found...), w.searched+n
		if w.up {
			w.low = most.Int64 + 1
		} else {
			w.high = least.Int64
		}
		if n < int64(chunk) {
			return nil
		}
	}
	return nil
}

// stop notes where the search was when it had read enough.
func (w *walk) stop(ctx context.Context) error {
	w.partial = true
	at := w.high
	if w.up {
		at = w.low
	}
	var created int64
	err := w.reader.session(ctx).Raw("SELECT created_at FROM nawasync_jobs WHERE id >= ? ORDER BY id LIMIT 1", at).Row().Scan(&created)
	w.reached = sqlkit.FromMicros(created)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	return err
}

func (w *walk) order() string {
	if w.up {
		return " ORDER BY id"
	}
	return " ORDER BY id DESC"
}

func (w *walk) read(ctx context.Context, query string, args []any) (ids []int64, err error) {
	err = sqlkit.Each(w.reader.session(ctx), func(rows *sql.Rows) error {
		var id int64
		err := rows.Scan(&id)
		ids = append(ids, id)
		return err
	}, query, args...)
	return ids, err
}

func parseIDs(values []string) ([]int64, error) {
	ids := make([]int64, len(values))
	for i, value := range values {
		var err error
		if ids[i], err = strconv.ParseInt(value, 10, 64); err != nil {
			return nil, fmt.Errorf("%q is no job id", value)
		}
	}
	return ids, nil
}
