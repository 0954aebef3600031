package admin

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nawasara/nawasync/admin/internal/format"
	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

// callsView is what the page of a service shows of the calls of its external API.
type callsView struct {
	endpoints []tracker.Endpoint
	next      int64 // the last endpoint of the page if there are more, or 0
	later     bool  // it is not the first page
	quotas    []tracker.Quota
	budgets   []budgetHealth
}

const (
	endpointsPageSize = 50
	maxQuotasShown    = 1000
	afterEndpoint     = "endpoint" // the parameter of the page of endpoints
)

// loadCalls reads the endpoints that were called in the last hour, and the quotas that they use.
func (v *serviceView) loadCalls(ctx context.Context) error {
	search := tracker.EndpointSearch{Service: v.name, Limit: endpointsPageSize}
	if v.instance != "" {
		search.Instances = sqlkit.ScopesOf(v.instance)
	}
	search.After, _ = strconv.ParseInt(v.r.URL.Query().Get(afterEndpoint), 10, 64)
	page, err := v.store().Endpoints(ctx, search)
	if err != nil {
		return err
	}
	v.calls.endpoints, v.calls.next, v.calls.later = page.Endpoints, page.Next, search.After != 0
	if v.calls.quotas, _, err = v.store().Quotas(ctx, v.name, maxQuotasShown); err != nil {
		return err
	}
	shown := v.calls.quotas
	if v.instance != "" {
		shown = slices.DeleteFunc(slices.Clone(shown), func(q tracker.Quota) bool { return !slices.Contains(search.Instances, q.Instance) })
	}
	v.calls.budgets = v.loadBudgets(ctx, shown, v.scopes)[v.name]
	return nil
}

// quotaOf returns the quota that an endpoint shares with the others of its class, or nil if the server has not said what
// is left of it.
func (v *serviceView) quotaOf(e *tracker.Endpoint) *tracker.Quota {
	i := slices.IndexFunc(v.calls.quotas, func(q tracker.Quota) bool { return q.Instance == e.Instance && q.Budget == e.Budget })
	if i < 0 || v.calls.quotas[i].Left < 0 {
		return nil
	}
	return &v.calls.quotas[i]
}

// budgetOf returns the budget that counts the calls of an endpoint, the one that is used up first if there are several,
// or nil.
func (v *serviceView) budgetOf(e *tracker.Endpoint) *budgetHealth {
	for _, class := range []string{e.Budget, ""} {
		counts := func(b budgetHealth) bool { return b.Instance == e.Instance && b.Class == class }
		if i := slices.IndexFunc(v.calls.budgets, counts); i >= 0 {
			return &v.calls.budgets[i]
		}
	}
	return nil
}

// moreEndpointsURL returns the URL of the next page of endpoints.
func (v *serviceView) moreEndpointsURL() string {
	pairs := []string{afterEndpoint, strconv.FormatInt(v.calls.next, 10)}
	if v.instance != "" {
		pairs = append(pairs, "instance", v.instance)
	}
	return v.url("/services/"+v.name, pairs...) + "#calls"
}

// forecastText says how long a quota lasts.
func (p *request) forecastText(q *tracker.Quota) string {
	switch q.Forecast.State {
	case tracker.ForecastParked:
		return p.T("forecast unknown while parked or paused")
	case tracker.ForecastEarly:
		return p.T("forecast after 5 minutes of calls")
	case tracker.ForecastLasts:
		return p.T("lasts at this rate")
	case tracker.ForecastUsedUp:
		if left := q.Forecast.At.Sub(p.now); left > time.Second {
			return p.Tf("used up in %s at this rate", format.Span(p, left.Round(time.Second)))
		}
		return p.T("used up at this rate")
	case tracker.ForecastUnknown:
	}
	return p.T("forecast unknown")
}

// leftText says when the server told how many calls are left.
func (p *request) leftText(at time.Time) string {
	return p.Tf("as the server said at %s", p.fullTime(at))
}

// maxClassesShown is how many classes of errors a cell names.
const maxClassesShown = 3

// classesText lists the most frequent classes of failed calls with their numbers.
func (p *request) classesText(counts map[string]int64) string {
	classes := sortedKeys(counts)
	slices.SortStableFunc(classes, func(a, b string) int { return int(counts[b] - counts[a]) })
	var parts []string
	for _, class := range classes[:min(len(classes), maxClassesShown)] {
		parts = append(parts, unbroken(class+" "+format.Thousands(p, counts[class])))
	}
	if len(classes) > maxClassesShown {
		parts = append(parts, "…")
	}
	return strings.Join(parts, ", ")
}

// unbroken returns a text that is not broken at its spaces.
func unbroken(text string) string { return strings.ReplaceAll(text, " ", "\u00a0") }

// firstQuota returns the quota of a service that is used up first, or that has the least left. It returns nil if no
// server said what is left.
func firstQuota(quotas []tracker.Quota, service string) (first *tracker.Quota) {
	for i, q := range quotas {
		if q.Service == service && q.Left >= 0 && (first == nil || usedUpBefore(&q, first)) {
			first = &quotas[i]
		}
	}
	return first
}

// usedUpBefore reports whether a is used up before b.
func usedUpBefore(a, b *tracker.Quota) bool {
	aEnds, bEnds := a.Forecast.State == tracker.ForecastUsedUp, b.Forecast.State == tracker.ForecastUsedUp
	switch {
	case aEnds != bEnds:
		return aEnds
	case aEnds:
		return a.Forecast.At.Before(b.Forecast.At)
	}
	return a.Left < b.Left
}

// hasQuotas reports whether a service has a budget, or its server said what is left of a quota.
func (v *overviewView) hasQuotas() bool {
	return slices.ContainsFunc(v.Services, func(s serviceHealth) bool { return s.Quota != nil || len(s.Budgets) > 0 })
}

// callStatus says how a call of an attempt ended.
func callStatus(c *tracker.Call) string {
	switch {
	case c.Status == 0:
		return c.Class
	case c.Class == "":
		return strconv.Itoa(c.Status)
	}
	return strconv.Itoa(c.Status) + " " + c.Class
}
