// Package statrow reads the rows of the statistics, for those who show them and those
// who fold them.
package statrow

import (
	"cmp"
	"database/sql"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/sqlkit"
)

// Key is what jobs are counted by.
type Key struct{ Service, Type, Instance, Action, Outcome string }

// Compare orders keys by their parts.
func (k Key) Compare(other Key) int {
	return cmp.Or(cmp.Compare(k.Service, other.Service), cmp.Compare(k.Type, other.Type), cmp.Compare(k.Instance, other.Instance),
		cmp.Compare(k.Action, other.Action), cmp.Compare(k.Outcome, other.Outcome))
}

// Delta is what a batch of endings adds to the statistics. Times are in microseconds,
// histograms in their stored form.
type Delta struct {
	Key
	ID              int64
	Minute          int64
	Jobs            int64
	LastJob, LastAt int64 // the last of them to end
	Waits, Runs     string
}

// Deltas reads up to limit deltas that are not folded yet, oldest first.
func Deltas(tx *gorm.DB, limit int) (list []Delta, err error) {
	err = sqlkit.Each(tx, func(rows *sql.Rows) error {
		var d Delta
		err := rows.Scan(&d.ID, &d.Minute, &d.Service, &d.Type, &d.Action, &d.Instance, &d.Outcome, &d.Jobs, &d.LastJob, &d.LastAt, &d.Waits, &d.Runs)
		list = append(list, d)
		return err
	}, "SELECT id, minute, service, type, action, instance, outcome, jobs, last_job, last_at, waits, runs FROM nawasync_stat_deltas ORDER BY id LIMIT ?", limit)
	return list, err
}

// Bucket is one row of the folded statistics.
type Bucket struct {
	Key
	Begin       int64 // in microseconds
	Jobs        int64
	Waits, Runs string
}

// Buckets reads the buckets of a period that meet a condition. histograms are the two
// columns to read, or "”, ”" to leave them out.
func Buckets(tx *gorm.DB, period, histograms, where string, args ...any) (list []Bucket, err error) {
	err = sqlkit.Each(tx, func(rows *sql.Rows) error {
		var b Bucket
		err := rows.Scan(&b.Begin, &b.Service, &b.Type, &b.Instance, &b.Action, &b.Outcome, &b.Jobs, &b.Waits, &b.Runs)
		list = append(list, b)
		return err
	}, "SELECT bucket, service, type, instance, action, outcome, jobs, "+histograms+" FROM nawasync_stats WHERE period = ? AND "+where,
		append([]any{period}, args...)...)
	return list, err
}
