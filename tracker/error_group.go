package tracker

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/nawasara/nawasync/internal/signature"
	"github.com/nawasara/nawasync/internal/sqlkit"
)

// ErrorGroup counts the jobs that failed or ended in conflict with the same error: with the same class, and with
// texts that differ only in quoted texts, numbers, ids, addresses, paths and times.
type ErrorGroup struct {
	// ID is "other" for the group of errors beyond the 200 different ones that each process tells apart per
	// service and hour.
	ID    string
	Class string // "" in the group "other"
	// Text is the first line of the error with … for the parts that differ. It is "" in the group "other", for
	// jobs without a text, and after Forget.
	Text        string
	Jobs        int64
	First, Last time.Time // when the first and the last of the jobs ended
	LastJob     int64     // one of the jobs that ended last; it may have been pruned since
	Services    []string  // in alphabetical order
	Counts      []ErrorCount
}

// ErrorCount is how many jobs of an ErrorGroup ended in a bucket of the period, or in a minute that is not rolled up
// yet. The counts of a group are in no order, and several may be of one bucket.
type ErrorCount struct {
	Bucket time.Time
	Jobs   int64
}

// errorCounts is a table of the counts of a time range. Its parameters are those of errorCountArgs.
const errorCounts = `(SELECT service, instance, signature, bucket, jobs, last_job, first_at, last_at FROM nawasync_error_stats
 WHERE period = ? AND bucket >= ? AND bucket < ? AND %s
 UNION ALL SELECT service, instance, error_signature, minute, jobs, last_job, first_at, last_at FROM nawasync_stat_deltas
 WHERE error_signature IS NOT NULL AND minute >= ? AND minute < ? AND %s) e`

// ErrorGroups returns up to limit groups of the jobs that ended in a time range, those with most jobs first, and
// the number of jobs of all groups. The range begins with the bucket of the period that contains from, and ends
// before until. Jobs that were deleted or pruned since count too; jobs that ended before errors were grouped do
// not. Minutes are kept for a day, hours for 30 days, days for a year.
func (r *Reader) ErrorGroups(ctx context.Context, period Period, from, until time.Time, limit int) (groups []ErrorGroup, jobs int64, err error) {
	counts, args := r.errorCounts(period, from, until)
	err = r.snapshot(ctx, func(conn *sqlkit.Conn) error {
		groups, jobs = nil, 0
		var hashes []int64
		err := sqlkit.Each(conn, func(rows *sql.Rows) error {
			var g ErrorGroup
			var hash, first, last int64
			err := rows.Scan(&hash, &g.Jobs, &g.LastJob, &first, &last, &jobs)
			g.ID, g.First, g.Last = signature.ID(hash), sqlkit.FromMicros(first), sqlkit.FromMicros(last)
			groups, hashes = append(groups, g), append(hashes, hash)
			return err
		}, "SELECT signature, SUM(jobs), MAX(last_job), MIN(first_at), MAX(last_at), SUM(SUM(jobs)) OVER () FROM "+counts+
			" GROUP BY signature ORDER BY 2 DESC, 5 DESC, 1 LIMIT ?", append(slices.Clone(args), max(limit, 1))...)
		if err != nil || len(hashes) == 0 {
			return err
		}
		byHash := map[int64]*ErrorGroup{}
		for i := range groups {
			byHash[hashes[i]] = &groups[i]
		}
		if err := sqlkit.Each(conn, func(rows *sql.Rows) error {
			var hash, bucket, n int64
			var service string
			if err := rows.Scan(&hash, &service, &bucket, &n); err != nil {
				return err
			}
			g := byHash[hash]
			if last := len(g.Services) - 1; last < 0 || g.Services[last] != service {
				g.Services = append(g.Services, service)
			}
			g.Counts = append(g.Counts, ErrorCount{sqlkit.FromMicros(bucket), n})
			return nil
		}, "SELECT signature, service, bucket, SUM(jobs) FROM "+counts+" WHERE signature IN ? GROUP BY signature, service, bucket ORDER BY service", append(slices.Clone(args), hashes)...); err != nil {
			return err
		}
		return readErrorTexts(conn, hashes, byHash)
	})
	if err != nil {
		return nil, 0, fmt.Errorf("count errors: %w", err)
	}
	return groups, jobs, nil
}

// errorCounts returns a table of the counts that the limit shows.
func (r *Reader) errorCounts(period Period, from, until time.Time) (table string, args []any) {
	start, end := period.Start(from.UTC()).UnixMicro(), until.UnixMicro()
	visible, visibleArgs := r.limitCondition("nawasync_error_stats")
	visibleDeltas, _ := r.limitCondition("nawasync_stat_deltas")
	args = slices.Concat([]any{string(period), start, end}, visibleArgs, []any{start, end}, visibleArgs)
	return fmt.Sprintf(errorCounts, visible, visibleDeltas), args
}

// readErrorTexts sets the classes and texts of groups. Those of deltas are not rolled up yet.
func readErrorTexts(conn *sqlkit.Conn, hashes []int64, groups map[int64]*ErrorGroup) error {
	return sqlkit.Each(conn, func(rows *sql.Rows) error {
		var hash int64
		var class, text sql.NullString
		if err := rows.Scan(&hash, &class, &text); err != nil {
			return err
		}
		g := groups[hash]
		g.Class, g.Text = max(g.Class, class.String), max(g.Text, text.String)
		return nil
	}, "SELECT signature, class, text FROM nawasync_errors WHERE signature IN ?"+
		" UNION SELECT error_signature, error_class, error_text FROM nawasync_stat_deltas WHERE error_signature IN ?", hashes, hashes)
}
