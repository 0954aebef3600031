package tracker

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nawasara/nawasync/internal/sqlkit"
)

// Search selects the jobs that match all of its terms.
type Search struct {
	// Services limits the search to the jobs of these services, which an index finds. Nil means no
	// limit; an empty list matches no job. For what a caller may see, use Reader.Limited.
	Services []string
	Terms    []Term
	// Targets limits the search to the jobs of these objects, which an index finds. Nil means
	// no limit; an empty list matches no job. A FieldTarget term also works without Targets,
	// but the search then reads jobs one by one.
	Targets []Target
	// From (inclusive) and To (exclusive) bound the time of creation. The zero time is no
	// bound. Jobs are assumed to be created in the order of their ids.
	From, To time.Time
	// EndedFrom (inclusive) and EndedTo (exclusive) bound the time at which the job ended. If
	// either is set, only jobs that have ended match.
	EndedFrom, EndedTo time.Time
	// Deleted selects the deleted jobs instead of the others.
	Deleted bool

	// Before selects the newest jobs with ids below Before, and After the oldest jobs with
	// ids above After. If both are 0, the page has the newest jobs or, if Oldest is set, the
	// oldest ones. Every page lists newer jobs first.
	Before, After int64
	Oldest        bool
	// Limit is the number of jobs per page, 1 to 500. 0 is 50.
	Limit int
	// MaxTime is for how long Search and GroupJobs read jobs one by one if no index answers the search, at most
	// one second. They read the first 2,000 jobs, or fewer if the terms search for several texts, in any case.
	// 0 is one second.
	MaxTime time.Duration
}

// Field says which property of a job a Term tests.
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
	FieldError    Field = "error"    // the error text contains the value, ignoring case
	FieldText     Field = "text"     // the target id or the error text contains the value, ignoring case
	FieldRetryOf  Field = "retry"    // the id of the job that this job retries
	FieldAttempts Field = "attempts" // the number of attempts, compared with one value by Op
	FieldDuration Field = "duration" // the milliseconds of the last attempt, compared with one value by Op
	FieldStuck    Field = "stuck"    // the job runs past its deadline; has no value
	FieldRepaired Field = "repaired" // a later job of the same target succeeded, or a retry of the job; has no value
	FieldRetried  Field = "retried"  // the job has a retry, or its conflict an answer; has no value
	FieldRun      Field = "run"      // the id of the bulk run that added the job

	FieldErrorGroup Field = "group" // the ErrorGroup.ID of the job's error
)

// Term is one condition of a Search. A job matches if it matches one of the values.
type Term struct {
	Field  Field
	Values []string
	Op     string // "" (equal), ">" or "<"; for FieldAttempts and FieldDuration only
	Not    bool   // inverts the condition
}

// Results is one page of a search, newest first.
type Results struct {
	Jobs []*Job // without arguments, results and diffs
	// Older is the Search.Before of the next older page, Newer the Search.After of the next
	// newer page. 0 means that there is no such page.
	Older, Newer int64
	// Searched is the number of jobs that were read one by one because no index answers all
	// terms. It is 0 if an index answered the search, and always for a limited Reader.
	Searched int64
	// Partial is set if the search stopped at its limit before the page was full. Older (or
	// Newer, if the search went to newer jobs) then continues the search. Reached is the creation time
	// of the job at which it stopped; it is zero for a limited Reader.
	Partial bool
	Reached time.Time
}

// The limits of a search that no index answers.
const (
	maxSearched   = 200_000     // jobs
	maxSearchTime = time.Second // of Search.MaxTime
)

// Search returns one page of jobs, newest first. If an index answers all terms, every page of
// the list costs the same. Otherwise Search reads jobs one by one, starting where the previous
// page ended. It stops after 200,000 jobs or Search.MaxTime, and Results says how far it got. A search
// with more than MaxTerms terms or MaxTermValues values is an error.
func (r *Reader) Search(ctx context.Context, q Search) (Results, error) {
	limit := min(max(cmp.Or(q.Limit, 50), 1), 500)
	if err := q.checkSize(); err != nil {
		return Results{}, err
	}
	w, err := r.newWalk(ctx, q, limit)
	if err != nil || w == nil {
		return Results{}, err
	}
	if err := w.run(ctx); err != nil {
		return Results{}, fmt.Errorf("search jobs: %w", err)
	}
	out := Results{Searched: w.searched, Partial: w.partial, Reached: w.reached}
	if r.limit != nil { // these would tell about jobs that the limit hides
		out.Searched, out.Reached = 0, time.Time{}
	}
	more := len(w.ids) > limit
	if more {
		w.ids = w.ids[:limit]
	}
	if w.ascending {
		slices.Reverse(w.ids)
	}
	if len(w.ids) > 0 {
		if out.Jobs, err = r.jobs(ctx, false, "WHERE j.id IN ? ORDER BY j.id DESC", w.ids); err != nil {
			return Results{}, fmt.Errorf("search jobs: %w", err)
		}
	}
	out.Newer, out.Older = w.adjacentPages(q, more)
	return out, nil
}

// MaxCount is the largest count that Counts returns exactly.
const MaxCount = 10_000

// Counts counts the jobs of a search by status, regardless of its status terms. A count of
// MaxCount+1 means that there are more than MaxCount jobs. If no index answers all terms,
// Counts returns exact false, because counting would mean reading all jobs.
func (r *Reader) Counts(ctx context.Context, q Search) (counts map[Status]int, exact bool, err error) {
	if err := q.checkSize(); err != nil {
		return nil, false, err
	}
	q = r.limitServices(q)
	q.Terms = slices.DeleteFunc(slices.Clone(q.Terms), func(t Term) bool { return t.Field == FieldStatus })
	if q.isByGroup() {
		return r.groupCounts(ctx, q)
	}
	var parts []string
	var args []any
	byStatus := q
	byStatus.Terms = append(slices.Clone(q.Terms), Term{Field: FieldStatus})
	bounds, err := r.searchBounds(ctx, byStatus)
	if err != nil {
		return nil, false, err
	}
	for _, status := range Statuses() {
		byStatus.Terms[len(q.Terms)].Values = []string{string(status)}
		plan, err := r.plan(byStatus, bounds)
		if err != nil || len(plan.residual) > 0 {
			return nil, false, err
		}
		if len(plan.streams) == 0 {
			continue
		}
		union, unionArgs := plan.union("id", plan.low, plan.high, MaxCount+1, true)
		parts = append(parts, "SELECT '"+string(status)+"' AS status, COUNT(*) AS n FROM ("+union+fmt.Sprintf(" LIMIT %d) c", MaxCount+1))
		args = append(args, unionArgs...)
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

// Services lists the services that have jobs, in alphabetical order. It reads at most 10,000 open
// jobs, so it can miss a service that has no ended job.
func (r *Reader) Services(ctx context.Context) ([]string, error) {
	var list []string
	openRows, _ := r.dialect.LaneRows()
	// Each query finds the next service by one index lookup. A DISTINCT, or a MIN on MySQL, would
	// read all jobs.
	next := "SELECT service FROM " + r.dialect.ListRows() +
		" WHERE finished_at IS NOT NULL AND deleted_at IS NULL AND service > ? AND status <> 'queued' ORDER BY service LIMIT 1"
	for last := ""; ; {
		err := r.session(ctx).Row(next, last).Scan(&last)
		if errors.Is(err, sql.ErrNoRows) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("list services: %w", err)
		}
		list = append(list, last)
	}
	open, err := sqlkit.Column[string](r.session(ctx), "SELECT DISTINCT service FROM (SELECT service FROM "+openRows+" WHERE open_lane IS NOT NULL LIMIT 10000) o")
	if err != nil {
		return nil, fmt.Errorf("list services: %w", err)
	}
	list = slices.DeleteFunc(append(list, open...), func(service string) bool { return !r.limit.showsPart(service) })
	slices.Sort(list)
	return slices.Compact(list), nil
}

// firstIDSince returns the lowest id of the jobs created at or after the given time. It is a
// binary search, because ids rise with the time of creation and created_at has no index.
func (r *Reader) firstIDSince(ctx context.Context, at time.Time) (first int64, err error) {
	// One transaction for all steps saves their round trips; see sqlkit.Guard.
	err = r.snapshot(ctx, func(conn *sqlkit.Conn) error {
		first, err = firstIDSince(conn, at)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("find the first job since %s: %w", at.UTC().Format(time.RFC3339), err)
	}
	return first, nil
}

func firstIDSince(conn *sqlkit.Conn, at time.Time) (int64, error) {
	var low, high int64
	if err := conn.Row("SELECT COALESCE((SELECT MIN(id) FROM nawasync_jobs), 0), COALESCE((SELECT MAX(id) FROM nawasync_jobs), 0)").Scan(&low, &high); err != nil {
		return 0, err
	}
	high++
	for low < high {
		middle := low + (high-low)/2
		var id, created int64
		if err := conn.Row("SELECT id, created_at FROM nawasync_jobs WHERE id >= ? ORDER BY id LIMIT 1", middle).Scan(&id, &created); errors.Is(err,
			sql.ErrNoRows) {
			high = middle // no job has such an id, or the last one was just pruned
			continue
		} else if err != nil {
			return 0, err
		}
		if created >= at.UnixMicro() {
			high = middle
		} else {
			low = id + 1
		}
	}
	return low, nil
}

func parseIDs(values []string) ([]int64, error) {
	ids := make([]int64, len(values))
	for i, value := range values {
		var err error
		if ids[i], err = strconv.ParseInt(value, 10, 64); err != nil {
			return nil, fmt.Errorf("%q is not a job id", value)
		}
	}
	return ids, nil
}
