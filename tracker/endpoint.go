package tracker

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/internal/statrow"
)

// Endpoint is what the calls of one endpoint of an external API have in common: calls through package
// remote, of all processes, of one limit scope, by method and template.
type Endpoint struct {
	ID       int64            `json:"id,string"`
	Service  string           `json:"service"`
	Instance string           `json:"instance"` // the limit scope
	Budget   string           `json:"budget"`   // the class of endpoints with which it shares a quota; see Quota
	Method   string           `json:"method"`
	Template string           `json:"template"` // as the client gives it, or "other"
	Calls    int64            `json:"calls"`
	Failed   int64            `json:"failed"`
	Errors   map[string]int64 `json:"errors"` // failed calls by class
	// Durations are how long the calls took, until the end of the answer.
	Durations Histogram `json:"-"`
	// Left is how many calls the quota had left when the server last said so, at LeftAt; it is negative if
	// the server has not said so.
	Left   int64     `json:"left"`
	LeftAt time.Time `json:"left_at,omitzero"`
	LastAt time.Time `json:"last_at"` // when the last call ended
}

// EndpointSearch selects endpoints.
type EndpointSearch struct {
	Service string // required
	// Instances are limit scopes. Nil is all.
	Instances []string
	// Window is the length of the time up to now in which calls are counted. Up to 2 hours it is counted by
	// minutes, and otherwise by hours, so that it begins a little earlier. Default 1 hour, at most 30 days.
	Window time.Duration
	After  int64 // EndpointPage.Next of the page before; 0 is the first page
	Limit  int   // endpoints of a page; default 50, at most 200
}

// EndpointPage is a page of endpoints, in the order of instance, template and method.
type EndpointPage struct {
	Endpoints []Endpoint
	Next      int64 // EndpointSearch.After of the next page; 0 if this is the last
}

const (
	maxEndpoints     = 200
	minuteWindow     = 2 * time.Hour
	maxEndpointsTime = 30 * 24 * time.Hour
)

// Endpoints returns the endpoints that were called in a window of time. Processes report their calls every 5
// seconds. It runs up to three statements, which read one row for each endpoint of the page and each minute or
// hour of the window. A limited Reader leaves out limit scopes of which it does not show the instance of the
// same name. It returns an error if Service is empty.
func (r *Reader) Endpoints(ctx context.Context, q EndpointSearch) (EndpointPage, error) {
	if q.Service == "" {
		return EndpointPage{}, errors.New("list endpoints: EndpointSearch.Service is empty; set it to the service of the calls")
	}
	if q.Limit <= 0 {
		q.Limit = 50
	}
	q.Limit = min(q.Limit, maxEndpoints)
	if q.Window <= 0 {
		q.Window = time.Hour
	}
	period := PeriodMinute
	if q.Window > minuteWindow {
		period = PeriodHour
	}
	from := period.Start(r.Now().Add(-min(q.Window, maxEndpointsTime)))
	page, err := r.endpointPage(ctx, q, from)
	if err == nil {
		err = r.countCalls(ctx, page.Endpoints, period, from)
	}
	if err != nil {
		return EndpointPage{}, fmt.Errorf("list the endpoints of %s: %w", q.Service, err)
	}
	return page, nil
}

// endpointOrder is the order of the endpoints of one service. With a constant service before the others, MariaDB
// would sort all endpoints.
const endpointOrder = " ORDER BY e.instance, e.template, e.method, e.endpoint"

// endpointPage reads the endpoints of a page, without their calls.
func (r *Reader) endpointPage(ctx context.Context, q EndpointSearch, from time.Time) (page EndpointPage, err error) {
	visible, args := r.limitCondition("e")
	where, args := "e.quota = 0 AND e.service = ? AND e.last_at >= ? AND "+visible, slices.Concat([]any{q.Service, from.UnixMicro()}, args)
	if q.Instances != nil {
		where, args = where+" AND e.instance IN ?", append(args, append([]string{}, q.Instances...))
	}
	if q.After != 0 {
		after, afterArgs, err := r.afterEndpoint(ctx, q.After)
		if err != nil {
			return page, err
		}
		where, args = where+after, append(args, afterArgs...)
	}
	err = sqlkit.Each(r.session(ctx), func(rows *sql.Rows) error {
		var e Endpoint
		var leftAt, lastAt int64
		err := rows.Scan(&e.ID, &e.Service, &e.Instance, &e.Budget, &e.Method, &e.Template, &e.Left, &leftAt, &lastAt)
		e.LeftAt, e.LastAt, e.Errors = sqlkit.FromMicros(leftAt), sqlkit.FromMicros(lastAt), map[string]int64{}
		page.Endpoints = append(page.Endpoints, e)
		return err
	}, "SELECT e.endpoint, e.service, e.instance, e.budget, e.method, e.template, e.left_calls, e.left_at, e.last_at FROM "+r.dialect.EndpointRows()+" WHERE "+where+
		endpointOrder+" LIMIT ?", append(args, q.Limit+1)...)
	if len(page.Endpoints) > q.Limit {
		page.Endpoints = page.Endpoints[:q.Limit]
		page.Next = page.Endpoints[q.Limit-1].ID
	}
	return page, err
}

// afterEndpoint returns a condition for the endpoints after the one with the given id. The first comparison is
// for the index: databases do not look up a longer one.
func (r *Reader) afterEndpoint(ctx context.Context, id int64) (clause string, args []any, err error) {
	var instance, template, method string
	row := r.session(ctx).Row("SELECT instance, template, method FROM nawasync_endpoints WHERE endpoint = ?", id)
	if err := row.Scan(&instance, &template, &method); err != nil {
		if errors.Is(err, sql.ErrNoRows) {
			return "", nil, fmt.Errorf("the endpoint of EndpointSearch.After: %w", ErrNotFound)
		}
		return "", nil, err
	}
	return " AND e.instance >= ? AND (e.instance > ? OR e.template > ? OR e.template = ? AND (e.method > ? OR e.method = ? AND e.endpoint > ?))",
		[]any{instance, instance, template, template, method, method, id}, nil
}

// countCalls adds up the calls of endpoints since from.
func (r *Reader) countCalls(ctx context.Context, endpoints []Endpoint, period Period, from time.Time) error {
	if len(endpoints) == 0 {
		return nil
	}
	byID, ids := map[int64]*Endpoint{}, make([]int64, len(endpoints))
	for i := range endpoints {
		ids[i], byID[endpoints[i].ID] = endpoints[i].ID, &endpoints[i]
	}
	err := sqlkit.Each(r.session(ctx), func(rows *sql.Rows) error {
		var id, calls int64
		var failed, durations string
		if err := rows.Scan(&id, &calls, &failed, &durations); err != nil {
			return err
		}
		e := byID[id]
		e.Calls += calls
		h, err := ParseHistogram(durations)
		e.Durations.Merge(h)
		return errors.Join(err, statrow.Counts(e.Errors).Add(failed))
	}, "SELECT c.endpoint, c.calls, c.errors, c.durations FROM "+r.dialect.CallRows()+
		" WHERE c.period = ? AND c.endpoint IN ? AND c.bucket >= ?", string(period), ids, from.UnixMicro())
	for _, e := range byID {
		for _, n := range e.Errors {
			e.Failed += n
		}
	}
	return err
}
