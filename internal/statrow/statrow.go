// Package statrow reads the stored rows of the statistics. Package tracker returns them to its
// callers, and the rollup adds them up.
package statrow

import (
	"cmp"
	"database/sql"

	"github.com/nawasara/nawasync/internal/sqlkit"
)

// StatKey has the fields by which jobs are counted.
type StatKey struct{ Service, Type, Instance, Action, Outcome string }

// Compare compares two keys field by field. It returns a negative number, 0 or a positive
// number, like cmp.Compare.
func (k StatKey) Compare(other StatKey) int {
	return cmp.Or(cmp.Compare(k.Service, other.Service), cmp.Compare(k.Type, other.Type), cmp.Compare(k.Instance, other.Instance),
		cmp.Compare(k.Action, other.Action), cmp.Compare(k.Outcome, other.Outcome))
}

// Delta is the contribution of one batch of ended jobs to the statistics. Times are in
// microseconds, histograms in their stored form.
type Delta struct {
	StatKey
	ID              int64
	Minute          int64
	Jobs            int64
	LastJob, LastAt int64 // the job that ended last, and when
	Waits, Runs     string

	Error     sql.NullInt64 // signature of the errors of the jobs; not valid if they have none
	ErrorText sql.NullString
	Class     sql.NullString
	FirstAt   sql.NullInt64 // when the first of the jobs ended; only with an Error
}

// Deltas reads up to limit deltas that are not rolled up yet, oldest first.
func Deltas(conn *sqlkit.Conn, limit int) (list []Delta, err error) {
	err = sqlkit.Each(conn, func(rows *sql.Rows) error {
		var d Delta
		err := rows.Scan(&d.ID, &d.Minute, &d.Service, &d.Type, &d.Action, &d.Instance, &d.Outcome, &d.Jobs, &d.LastJob, &d.LastAt, &d.Waits, &d.Runs,
			&d.Error, &d.Class, &d.ErrorText, &d.FirstAt)
		list = append(list, d)
		return err
	}, "SELECT id, minute, service, type, action, instance, outcome, jobs, last_job, last_at, waits, runs, error_signature, error_class, error_text, first_at"+
		" FROM nawasync_stat_deltas ORDER BY id LIMIT ?", limit)
	return list, err
}

// Bucket is one row of the rolled-up statistics.
type Bucket struct {
	StatKey
	Begin       int64 // start of the bucket in microseconds
	Jobs        int64
	Waits, Runs string
}

// Buckets reads the buckets of a period that meet the condition where. histograms lists the
// two columns to read as Waits and Runs: the columns themselves, or two empty SQL strings to
// skip them.
func Buckets(conn *sqlkit.Conn, period, histograms, where string, args ...any) (list []Bucket, err error) {
	err = sqlkit.Each(conn, func(rows *sql.Rows) error {
		var b Bucket
		err := rows.Scan(&b.Begin, &b.Service, &b.Type, &b.Instance, &b.Action, &b.Outcome, &b.Jobs, &b.Waits, &b.Runs)
		list = append(list, b)
		return err
	}, "SELECT bucket, service, type, instance, action, outcome, jobs, "+histograms+" FROM nawasync_stats WHERE period = ? AND "+where,
		append([]any{period}, args...)...)
	return list, err
}

// PeriodTotal is the period of the rows that count all jobs that ever ended, by service,
// instance and outcome. Their type and action are "". They are never deleted, so that a counter can be
// read without the rows of every day.
const PeriodTotal = "total"

// Total is the number of all jobs of a service that ever ended with one outcome.
type Total struct {
	Service, Outcome string
	Jobs             int64
	Waits, Runs      string
}

// Totals calls fn with the total rows and the deltas that are not rolled up yet, if they meet the
// condition where on the table t. It may call fn several times for one service and outcome. One statement reads both tables, so that a rollup
// in between cannot count a job twice or not at all.
func Totals(conn *sqlkit.Conn, where string, args []any, fn func(Total) error) error {
	return sqlkit.Each(conn, func(rows *sql.Rows) error {
		var t Total
		if err := rows.Scan(&t.Service, &t.Outcome, &t.Jobs, &t.Waits, &t.Runs); err != nil {
			return err
		}
		return fn(t)
	}, "SELECT service, outcome, jobs, waits, runs FROM nawasync_stats t WHERE period = ? AND "+where+
		" UNION ALL SELECT service, outcome, jobs, waits, runs FROM nawasync_stat_deltas t WHERE "+where, append(append([]any{PeriodTotal}, args...), args...)...)
}
