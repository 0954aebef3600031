package tracker

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/internal/statrow"
)

// CallTotal is what was counted of all calls of a service ever, also of those whose statistics were pruned.
type CallTotal struct {
	Service   string
	Calls     int64
	Errors    map[string]int64 // failed calls by class
	Durations Histogram
}

// CallTotals returns the totals of each service, in the order of their names. It reads a row for each limit scope
// and class of endpoints.
func (r *Reader) CallTotals(ctx context.Context) (list []CallTotal, err error) {
	visible, args := r.limitCondition("e")
	err = sqlkit.Each(r.session(ctx), func(rows *sql.Rows) error {
		var service, failed, durations string
		var calls int64
		if err := rows.Scan(&service, &calls, &failed, &durations); err != nil {
			return err
		}
		if n := len(list); n == 0 || list[n-1].Service != service {
			list = append(list, CallTotal{Service: service, Errors: map[string]int64{}})
		}
		t := &list[len(list)-1]
		t.Calls += calls
		h, err := ParseHistogram(durations)
		t.Durations.Merge(h)
		return errors.Join(err, statrow.Counts(t.Errors).Add(failed))
	}, "SELECT e.service, c.calls, c.errors, c.durations FROM nawasync_endpoints e JOIN "+r.dialect.CallRows()+" ON c.period = ? AND c.endpoint = e.endpoint AND c.bucket = 0"+
		" WHERE e.quota = 1 AND "+visible+" ORDER BY e.service", append([]any{statrow.PeriodTotal}, args...)...)
	if err != nil {
		return nil, fmt.Errorf("read the totals of calls: %w", err)
	}
	return list, nil
}

// EndpointTotals returns what was counted of each method and template ever, of all limit scopes together and also of
// those whose statistics were pruned, in the order of service, template and method. The figures only grow.
//
// Instance, Budget and ID of the endpoints are not set, and Left is -1. A service has at most 200 templates; the others,
// also those of earlier versions of its client, count as "other". EndpointTotals runs one statement, which reads two rows
// for each endpoint. A limited Reader leaves out services of which it does not show everything.
func (r *Reader) EndpointTotals(ctx context.Context) (list []Endpoint, err error) {
	visible, args := r.serviceCondition("e")
	err = sqlkit.Each(r.session(ctx), func(rows *sql.Rows) error {
		e := Endpoint{Left: -1, Errors: map[string]int64{}}
		var failed, durations string
		var lastAt int64
		err := rows.Scan(&e.Service, &e.Method, &e.Template, &lastAt, &e.Calls, &failed, &durations)
		if err == nil {
			e.Durations, err = ParseHistogram(durations)
		}
		err = errors.Join(err, statrow.Counts(e.Errors).Add(failed))
		for _, n := range e.Errors {
			e.Failed += n
		}
		e.LastAt = sqlkit.FromMicros(lastAt)
		list = append(list, e)
		return err
	}, "SELECT e.service, e.method, e.template, e.last_at, c.calls, c.errors, c.durations FROM "+r.dialect.EndpointRows()+
		" JOIN "+r.dialect.CallRows()+" ON c.period = ? AND c.endpoint = e.endpoint AND c.bucket = 0 WHERE e.quota = 2 AND "+visible+
		" ORDER BY e.service, e.template, e.method", append([]any{statrow.PeriodTotal}, args...)...)
	if err != nil {
		return nil, fmt.Errorf("read the totals of endpoints: %w", err)
	}
	return list, nil
}
