package jobstore

import (
	"cmp"
	"errors"
	"slices"

	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/internal/statrow"
	"github.com/nawasara/nawasync/tracker"
)

// What a row of nawasync_endpoints stands for: its column quota.
const (
	endpointOfScope = iota // a method and template of a limit scope
	quotaOfScope           // all calls of a class of a limit scope, which share a quota
	endpointTotal          // a method and template of a service, of all limit scopes; see templatesWithoutTotal
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

// callKey is the primary key of nawasync_calls.
type callKey struct {
	period           string
	endpoint, bucket int64
}

// sumCalls returns the rows that deltas add, in the order of their keys. The templates in others have no total of
// their own.
func sumCalls(deltas []callDelta, others map[serviceTemplate]bool) (endpoints []*endpointRow, sums []*callSum, err error) {
	byID, byKey := map[int64]*endpointRow{}, map[callKey]*callSum{}
	for i := range deltas {
		d := &deltas[i]
		for _, row := range endpointRows(d, others) {
			if known := byID[row.Endpoint]; known != nil {
				known.merge(&row.callDelta)
			} else {
				byID[row.Endpoint], endpoints = row, append(endpoints, row)
			}
			for _, k := range row.buckets() {
				sum := byKey[k]
				if sum == nil {
					sum = &callSum{Period: k.period, Endpoint: k.endpoint, Bucket: k.bucket, errors: statrow.Counts{}}
					byKey[k], sums = sum, append(sums, sum)
				}
				err = errors.Join(err, sum.add(d.Calls, d.Errors, d.Durations))
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

// endpointRows returns the rows to which a delta adds.
func endpointRows(d *callDelta, others map[serviceTemplate]bool) []*endpointRow {
	rows := []*endpointRow{{Quota: endpointOfScope, callDelta: *d}, {Quota: quotaOfScope, callDelta: *d}, {Quota: endpointTotal, callDelta: *d}}
	rows[1].Method, rows[1].Template = "", ""
	rows[2].Instance, rows[2].Budget, rows[2].Template = "", "", totalTemplate(d, others)
	rows[2].LeftCalls, rows[2].LeftAt, rows[2].ResetAt = -1, 0, 0 // each limit scope has its own
	for _, row := range rows {
		row.Endpoint = row.id()
	}
	return rows
}

// buckets returns the keys of the sums to which a row adds.
func (e *endpointRow) buckets() (keys []callKey) {
	if e.Quota != endpointTotal {
		at := sqlkit.FromMicros(e.Bucket)
		for _, period := range []tracker.Period{tracker.PeriodMinute, tracker.PeriodHour} {
			keys = append(keys, callKey{string(period), e.Endpoint, period.Start(at).UnixMicro()})
		}
	}
	if e.Quota != endpointOfScope {
		keys = append(keys, callKey{statrow.PeriodTotal, e.Endpoint, 0})
	}
	return keys
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
