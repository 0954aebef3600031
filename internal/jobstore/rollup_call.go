package jobstore

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/internal/statrow"
	"github.com/nawasara/nawasync/tracker"
)

// endpointRow is a row of nawasync_endpoints.
type endpointRow struct {
	Endpoint int64 `json:"v_endpoint"`
	Quota    int   `json:"v_quota"`
	callDelta
}

// callSum is a row of nawasync_calls.
type callSum struct {
	Period    string `json:"v_period"`
	Endpoint  int64  `json:"v_endpoint"`
	Bucket    int64  `json:"v_bucket"`
	Calls     int64  `json:"v_calls"`
	Errors    string `json:"v_errors"`
	Durations string `json:"v_durations"`

	errors    statrow.Counts
	durations tracker.Histogram
}

// quietFor is how long a quota must have been without calls for its data to begin again, in microseconds: a
// rate over a time in which no job ran says nothing.
const quietFor = "300000000"

var (
	// MySQL uses the new values of the columns that were set before, so last_at and left_at come last.
	upsertEndpoints = upsertStatement{
		"nawasync_endpoints",
		[]string{"endpoint"},
		[]string{
			"quota", "service:t", "instance:t", "budget:t", "method:t", "template:t", "first_at", "last_at", "left_calls", "left_at", "reset_at",
		},
		"first_at = CASE WHEN new.first_at > old.last_at + " + quietFor + " THEN new.first_at ELSE old.first_at END" +
			", last_at = CASE WHEN new.last_at > old.last_at THEN new.last_at ELSE old.last_at END" +
			", left_calls = CASE WHEN new.left_at >= old.left_at AND new.left_at > 0 THEN new.left_calls ELSE old.left_calls END" +
			", reset_at = CASE WHEN new.left_at >= old.left_at AND new.left_at > 0 THEN new.reset_at ELSE old.reset_at END" +
			", left_at = CASE WHEN new.left_at > old.left_at THEN new.left_at ELSE old.left_at END",
	}
	// The rows are read and added up before, because no database adds up the texts.
	replaceCalls = upsertStatement{
		"nawasync_calls",
		[]string{"period:t", "endpoint", "bucket"},
		[]string{"calls", "errors:t", "durations:t"},
		"calls = new.calls, errors = new.errors, durations = new.durations",
	}
)

// RollupCalls adds up to limit deltas of calls to the minute and hour rows of their endpoints, and to the
// totals of their limit scopes. It deletes these deltas and returns how many there were. Concurrent calls wait
// for each other, and for Rollup.
func (s *Store) RollupCalls(ctx context.Context, limit int) (moved int, err error) {
	if err := s.ensureLock(ctx, lockRollup); err != nil {
		return 0, fmt.Errorf("roll up calls: %w", err)
	}
	err = s.transaction(ctx, func(conn *sqlkit.Conn) error {
		if err := holdRollup(conn); err != nil {
			return err
		}
		ids, deltas, err := callDeltas(conn, limit)
		if err != nil || len(ids) == 0 {
			return err
		}
		deleted := conn.Exec("DELETE FROM nawasync_call_deltas WHERE id IN ?", ids)
		if deleted.Error != nil {
			return deleted.Error
		}
		if int(deleted.RowsAffected) != len(ids) {
			return errors.New("another process rolled up the same deltas")
		}
		moved = len(ids)
		endpoints, sums, err := sumCalls(deltas)
		if err != nil {
			return err
		}
		if err := s.upsert(conn, upsertEndpoints, endpoints); err != nil {
			return err
		}
		if err := s.addStoredCalls(conn, sums); err != nil {
			return err
		}
		return s.upsert(conn, replaceCalls, sums)
	})
	if err != nil {
		return 0, fmt.Errorf("roll up calls: %w", err)
	}
	return moved, nil
}

func callDeltas(conn *sqlkit.Conn, limit int) (ids []int64, list []callDelta, err error) {
	err = sqlkit.Each(conn, func(rows *sql.Rows) error {
		var id int64
		var d callDelta
		err := rows.Scan(&id, &d.Service, &d.Instance, &d.Budget, &d.Method, &d.Template, &d.Bucket, &d.Calls, &d.Errors, &d.Durations,
			&d.FirstAt, &d.LastAt, &d.LeftCalls, &d.LeftAt, &d.ResetAt)
		ids, list = append(ids, id), append(list, d)
		return err
	}, "SELECT id, "+columnNames(callDeltaColumns, "")+" FROM nawasync_call_deltas ORDER BY id LIMIT ?", limit)
	return ids, list, err
}

// sumCalls returns the rows that deltas add, in the order of their keys.
func sumCalls(deltas []callDelta) (endpoints []*endpointRow, sums []*callSum, err error) {
	type key struct {
		period           string
		endpoint, bucket int64
	}
	byID, byKey := map[int64]*endpointRow{}, map[key]*callSum{}
	add := func(period string, endpoint, bucket int64, d *callDelta) error {
		k := key{period, endpoint, bucket}
		sum := byKey[k]
		if sum == nil {
			sum = &callSum{Period: period, Endpoint: endpoint, Bucket: bucket, errors: statrow.Counts{}}
			byKey[k], sums = sum, append(sums, sum)
		}
		return sum.add(d.Calls, d.Errors, d.Durations)
	}
	for i := range deltas {
		d := &deltas[i]
		for quota := range 2 {
			id := endpointID(d, quota == 1)
			if row := byID[id]; row != nil {
				row.merge(d)
			} else {
				row = &endpointRow{Endpoint: id, Quota: quota, callDelta: *d}
				if quota == 1 {
					row.Method, row.Template = "", ""
				}
				byID[id], endpoints = row, append(endpoints, row)
			}
			at := sqlkit.FromMicros(d.Bucket)
			for _, period := range []tracker.Period{tracker.PeriodMinute, tracker.PeriodHour} {
				err = errors.Join(err, add(string(period), id, period.Start(at).UnixMicro(), d))
			}
			if quota == 1 {
				err = errors.Join(err, add(statrow.PeriodTotal, id, 0, d))
			}
		}
	}
	for _, sum := range sums {
		sum.text()
	}
	slices.SortFunc(endpoints, func(a, b *endpointRow) int { return cmp.Compare(a.Endpoint, b.Endpoint) })
	slices.SortFunc(sums, func(a, b *callSum) int {
		return cmp.Or(cmp.Compare(a.Period, b.Period), cmp.Compare(a.Endpoint, b.Endpoint), cmp.Compare(a.Bucket, b.Bucket))
	})
	return endpoints, sums, err
}

// merge adds the times and the quota of another delta of the same endpoint.
func (e *endpointRow) merge(d *callDelta) {
	e.FirstAt, e.LastAt = min(e.FirstAt, d.FirstAt), max(e.LastAt, d.LastAt)
	if d.LeftAt > 0 && d.LeftAt >= e.LeftAt {
		e.LeftCalls, e.LeftAt, e.ResetAt = d.LeftCalls, d.LeftAt, d.ResetAt
	}
}

func (c *callSum) add(calls int64, failed, durations string) error {
	h, err := tracker.ParseHistogram(durations)
	c.Calls += calls
	c.durations.Merge(h)
	return errors.Join(err, c.errors.Add(failed))
}

// text sets the stored forms.
func (c *callSum) text() { c.Errors, c.Durations = c.errors.String(), c.durations.String() }

// addStoredCalls adds the stored rows to sums with the same keys.
func (s *Store) addStoredCalls(conn *sqlkit.Conn, sums []*callSum) error {
	text, err := sqlkit.JSONText(sums)
	if err != nil {
		return err
	}
	// Each column is a query by the primary key: a join could become a scan of the table, by a plan that was
	// cached while the table was small.
	stored := func(column string) string {
		return "(SELECT c." + column + " FROM nawasync_calls c WHERE c.period = v_period AND c.endpoint = v_endpoint AND c.bucket = v_bucket)"
	}
	type key struct {
		period           string
		endpoint, bucket int64
	}
	byKey := map[key]*callSum{}
	for _, sum := range sums {
		byKey[key{sum.Period, sum.Endpoint, sum.Bucket}] = sum
	}
	return sqlkit.Each(conn, func(rows *sql.Rows) error {
		var k key
		var calls sql.NullInt64
		var failed, durations sql.NullString
		if err := rows.Scan(&k.period, &k.endpoint, &k.bucket, &calls, &failed, &durations); err != nil || !calls.Valid {
			return err
		}
		sum := byKey[k]
		err := sum.add(calls.Int64, failed.String, durations.String)
		sum.text()
		return err
	}, "SELECT v_period, v_endpoint, v_bucket, "+stored("calls")+", "+stored("errors")+", "+stored("durations")+
		" FROM "+s.dialect.Rowset("period:t", "endpoint", "bucket"), text)
}
