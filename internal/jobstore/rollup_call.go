package jobstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/nawasara/nawasync/internal/sqlkit"
)

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
// totals of their limit scopes and of their methods and templates. It deletes these deltas and returns how many
// there were. Concurrent calls wait for each other, and for Rollup.
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
		others, err := s.templatesWithoutTotal(conn, deltas)
		if err != nil {
			return err
		}
		endpoints, sums, err := sumCalls(deltas, others)
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

// addStoredCalls adds the stored rows to sums with the same keys.
func (s *Store) addStoredCalls(conn *sqlkit.Conn, sums []*callSum) error {
	byKey := map[callKey]*callSum{}
	for _, sum := range sums {
		byKey[callKey{sum.Period, sum.Endpoint, sum.Bucket}] = sum
	}
	query, args, err := s.storedCalls(sums)
	if err != nil {
		return err
	}
	return sqlkit.Each(conn, func(rows *sql.Rows) error {
		var k callKey
		var calls sql.NullInt64
		var failed, durations sql.NullString
		if err := rows.Scan(&k.period, &k.endpoint, &k.bucket, &calls, &failed, &durations); err != nil {
			return err
		}
		sum := byKey[k]
		if sum == nil || !calls.Valid {
			return nil
		}
		err := sum.add(calls.Int64, failed.String, durations.String)
		sum.text()
		return err
	}, query, args...)
}

// storedCalls returns a query for the stored rows of sums. It may also return others, and rows without values.
func (s *Store) storedCalls(sums []*callSum) (query string, args []any, err error) {
	if s.dialect.Name == "postgres" {
		// With arrays the plan looks up the primary key, also a plan that was made while the table was small.
		var endpoints, buckets sqlkit.Array
		seen := map[int64]bool{}
		for i, sum := range sums {
			if i == 0 || sum.Endpoint != sums[i-1].Endpoint {
				endpoints.Append(sum.Endpoint)
			}
			if !seen[sum.Bucket] {
				seen[sum.Bucket] = true
				buckets.Append(sum.Bucket)
			}
		}
		const array = "ANY((SELECT CAST(CAST(? AS text) AS bigint[]))::bigint[])"
		return "SELECT period, endpoint, bucket, calls, errors, durations FROM nawasync_calls WHERE period IN ('minute', 'hour', 'total') AND endpoint = " + array +
			" AND bucket = " + array, []any{endpoints.String(), buckets.String()}, nil
	}
	// Each column is a query by the primary key: a join could become a scan of the table.
	column := func(name string) string {
		return "(SELECT c." + name + " FROM " + s.dialect.CallRows() + " WHERE c.period = v_period AND c.endpoint = v_endpoint AND c.bucket = v_bucket)"
	}
	text, err := sqlkit.JSONText(sums)
	return "SELECT v_period, v_endpoint, v_bucket, " + column("calls") + ", " + column("errors") + ", " + column("durations") +
		" FROM " + s.dialect.Rowset("period:t", "endpoint", "bucket"), []any{text}, err
}
