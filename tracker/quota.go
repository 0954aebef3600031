package tracker

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/nawasara/nawasync/internal/sqlkit"
)

// Quota is what a limit scope has used of a quota, and what it has left. All its endpoints of one class share it.
type Quota struct {
	Service  string `json:"service"`
	Instance string `json:"instance"` // the limit scope
	Budget   string `json:"budget"`   // the class of endpoints; see remote.Budget
	// Rate is how many calls a minute were made in the last 5 minutes.
	Rate float64 `json:"rate"`
	// Left is how many calls were left when the server last said so, at LeftAt; it is negative if the server
	// has not said so.
	Left     int64     `json:"left"`
	LeftAt   time.Time `json:"left_at,omitzero"`
	Reset    time.Time `json:"reset,omitzero"` // when the quota is full again, as the server said; zero if it did not
	Since    time.Time `json:"since"`          // since when calls have been made, without a break of 5 minutes
	LastAt   time.Time `json:"last_at"`        // when the last call ended
	Forecast Forecast  `json:"forecast"`
}

// Forecast says how long a quota lasts at the present rate.
type Forecast struct {
	State ForecastState `json:"state"`
	At    time.Time     `json:"at,omitzero"` // with ForecastUsedUp: when
}

// ForecastState is what is known of how long a quota lasts.
type ForecastState string

// The states of a forecast.
const (
	ForecastUnknown ForecastState = "unknown" // the server has not said what is left, or the quota was filled up since
	ForecastEarly   ForecastState = "early"   // calls have been made for less than 5 minutes
	ForecastParked  ForecastState = "parked"  // the limit scope is parked or paused, so its rate says nothing
	ForecastLasts   ForecastState = "lasts"   // the quota is full again before it is used up, or lasts for a day
	ForecastUsedUp  ForecastState = "used_up" // at Forecast.At
)

const (
	forecastData = 5 * time.Minute // what a forecast needs, and looks at
	forecastEnd  = 24 * time.Hour  // what it looks ahead, if the server does not say when the quota is full again
	quotaShown   = 24 * time.Hour  // how long a quota without calls is listed
	maxQuotas    = 1000
)

// Quotas lists the quotas of a service, or of all services if it is "", that were used in the last 24 hours, in
// the order of service and instance. It returns at most limit of them, by default and at most 1,000, and whether
// there are more. It runs two statements, which read six rows for each quota. A limited Reader leaves out limit
// scopes of which it does not show the instance of the same name.
func (r *Reader) Quotas(ctx context.Context, service string, limit int) (list []Quota, more bool, err error) {
	if limit <= 0 {
		limit = maxQuotas
	}
	limit = min(limit, maxQuotas)
	now := r.Now()
	from := PeriodMinute.Start(now.Add(-forecastData))
	visible, args := r.limitCondition("e")
	args = slices.Concat([]any{from.UnixMicro(), now.Add(-quotaShown).UnixMicro()}, args)
	where, order := visible, " ORDER BY e.service, e.instance, e.template, e.method, e.endpoint"
	if service != "" {
		order = endpointOrder
		where, args = where+" AND e.service = ?", append(args, service)
	}
	scopes, err := r.Scopes(ctx)
	if err != nil {
		return nil, false, err
	}
	err = sqlkit.Each(r.session(ctx), func(rows *sql.Rows) error {
		var q Quota
		var calls, first, last, leftAt, reset int64
		err := rows.Scan(&q.Service, &q.Instance, &q.Budget, &first, &last, &q.Left, &leftAt, &reset, &calls)
		q.Since, q.LastAt, q.LeftAt, q.Reset = sqlkit.FromMicros(first), sqlkit.FromMicros(last), sqlkit.FromMicros(leftAt), sqlkit.FromMicros(reset)
		q.Rate = float64(calls) / now.Sub(from).Minutes()
		stopped := slices.ContainsFunc(scopes, func(s Scope) bool { return s.Covers(q.Service, q.Instance) })
		q.Forecast = q.forecast(now, stopped)
		list = append(list, q)
		return err
	}, "SELECT e.service, e.instance, e.budget, e.first_at, e.last_at, e.left_calls, e.left_at, e.reset_at,"+
		" (SELECT COALESCE(SUM(c.calls), 0) FROM "+r.dialect.CallRows()+" WHERE c.period = 'minute' AND c.endpoint = e.endpoint AND c.bucket >= ?)"+
		" FROM "+r.dialect.EndpointRows()+" WHERE e.quota = 1 AND e.last_at >= ? AND "+where+order+" LIMIT ?",
		append(args, limit+1)...)
	if err != nil {
		return nil, false, fmt.Errorf("list quotas: %w", err)
	}
	if len(list) > limit {
		return list[:limit], true, nil
	}
	return list, false, nil
}

// forecast says how long the quota lasts.
func (q *Quota) forecast(now time.Time, stopped bool) Forecast {
	refilled := !q.Reset.IsZero() && !now.Before(q.Reset)
	switch {
	case stopped:
		return Forecast{State: ForecastParked}
	case q.Left < 0 || refilled:
		return Forecast{State: ForecastUnknown}
	case q.Rate == 0:
		return Forecast{State: ForecastLasts}
	case now.Sub(q.Since) < forecastData:
		return Forecast{State: ForecastEarly}
	}
	minutes := float64(q.Left) / q.Rate
	end := q.Reset
	if end.IsZero() {
		end = q.LeftAt.Add(forecastEnd)
	}
	if minutes >= end.Sub(q.LeftAt).Minutes() {
		return Forecast{State: ForecastLasts}
	}
	return Forecast{State: ForecastUsedUp, At: q.LeftAt.Add(time.Duration(minutes * float64(time.Minute)))}
}
