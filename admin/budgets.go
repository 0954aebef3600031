package admin

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/nawasara/nawasync/admin/internal/format"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/remote"
	"github.com/nawasara/nawasync/tracker"
)

// budgetHealth is how a budget of one limit scope stands.
type budgetHealth struct {
	Instance    string             `json:"instance"` // the limit scope
	Class       string             `json:"class,omitempty"`
	Calls       int                `json:"calls"` // allowed in the window; 0 if there is no limit but a silence
	Window      time.Duration      `json:"window_ns"`
	Left        int                `json:"left"` // negative if Redis does not answer, as are the calls that were used
	People      remote.BudgetShare `json:"people"`
	Syncs       remote.BudgetShare `json:"syncs"`
	Bulk        remote.BudgetShare `json:"bulk"`
	Rate        float64            `json:"rate"` // calls a minute in the last 5 minutes
	SilentUntil time.Time          `json:"silent_until,omitzero"`
	ParkedUntil time.Time          `json:"parked_until,omitzero"` // or paused; tracker.Forever until an operator resumes the scope
	AwaySince   time.Time          `json:"redis_away_since,omitzero"`
	Shared      bool               `json:"shared"` // counted by all processes, in Redis
	Forecast    tracker.Forecast   `json:"forecast"`
}

const (
	maxBudgetScopes  = 200 // limit scopes of a service that are looked at: the busiest
	maxBudgetsShown  = 50
	earlyForecast    = 5 * time.Minute
	budgetOther      = "other" // the limit scopes of /metrics beyond maxBudgetSeries
	maxBudgetSeries  = 50
	shortestForecast = time.Minute // a shorter window is full again before anybody has read of it
)

// loadBudgets returns the budgets of the limit scopes that have quotas, by service, those that are used up first before
// others. The quotas are those that the subject may view.
func (p *request) loadBudgets(ctx context.Context, quotas []tracker.Quota, scopes []tracker.Scope) map[string][]budgetHealth {
	byService := map[string][]tracker.Quota{}
	for _, q := range quotas {
		byService[q.Service] = append(byService[q.Service], q)
	}
	asked := map[string][]string{}
	for service, list := range byService {
		asked[service] = busiest(list)
	}
	found := map[string][]budgetHealth{}
	for service, uses := range p.h.engine.Internals(host.NewKey()).Budgets(ctx, asked) {
		list := make([]budgetHealth, len(uses))
		for i := range uses {
			list[i] = newBudgetHealth(p.now, &uses[i], quotasOf(uses, i, byService[service]), scopes, service)
		}
		slices.SortStableFunc(list, func(a, b budgetHealth) int { return a.compare(&b) })
		found[service] = list
	}
	return found
}

// busiest returns the limit scopes with the most calls, up to maxBudgetScopes.
func busiest(quotas []tracker.Quota) (scopes []string) {
	rates := map[string]float64{}
	for _, q := range quotas {
		rates[q.Instance] += q.Rate
	}
	for scope := range rates {
		scopes = append(scopes, scope)
	}
	slices.SortFunc(scopes, func(a, b string) int { return cmp.Or(cmp.Compare(rates[b], rates[a]), cmp.Compare(a, b)) })
	return scopes[:min(len(scopes), maxBudgetScopes)]
}

// quotasOf returns the quotas whose calls a budget counts: those of its class, and with class "" those of the classes
// that have no budget.
func quotasOf(uses []remote.BudgetUse, i int, quotas []tracker.Quota) (list []tracker.Quota) {
	hasBudget := func(class string) bool {
		return slices.ContainsFunc(uses, func(u remote.BudgetUse) bool { return u.Scope == uses[i].Scope && u.Class == class })
	}
	for _, q := range quotas {
		if q.Instance == uses[i].Scope && (q.Budget == uses[i].Class || uses[i].Class == "" && !hasBudget(q.Budget)) {
			list = append(list, q)
		}
	}
	return list
}

func newBudgetHealth(now time.Time, u *remote.BudgetUse, quotas []tracker.Quota, scopes []tracker.Scope, service string) budgetHealth {
	b := budgetHealth{
		Instance: u.Scope, Class: u.Class, Calls: u.Calls, Window: u.Window, Left: u.Left, People: u.People, Syncs: u.Syncs, Bulk: u.Bulk,
		SilentUntil: u.SilentUntil, AwaySince: u.AwaySince, Shared: u.Shared,
	}
	since := now
	for _, q := range quotas {
		b.Rate += q.Rate
		if q.Since.Before(since) {
			since = q.Since
		}
	}
	for _, s := range scopes {
		if s.Covers(service, u.Scope) && s.Until.After(b.ParkedUntil) {
			b.ParkedUntil = s.Until
		}
	}
	b.Forecast = b.forecast(now, since, u)
	return b
}

// forecast says how long the budget lasts at the rate of the last 5 minutes, which calls have been made since.
func (b *budgetHealth) forecast(now, since time.Time, u *remote.BudgetUse) tracker.Forecast {
	switch {
	case !b.SilentUntil.IsZero(), !b.ParkedUntil.IsZero():
		return tracker.Forecast{State: tracker.ForecastParked}
	case b.Left < 0 || b.Calls == 0:
		return tracker.Forecast{State: tracker.ForecastUnknown}
	case b.Rate == 0 || b.Window < shortestForecast:
		return tracker.Forecast{State: tracker.ForecastLasts}
	case now.Sub(since) < earlyForecast:
		return tracker.Forecast{State: tracker.ForecastEarly}
	}
	if at := u.LastsUntil(b.Rate); !at.IsZero() {
		return tracker.Forecast{State: tracker.ForecastUsedUp, At: at}
	}
	return tracker.Forecast{State: tracker.ForecastLasts}
}

// compare orders budgets by when they are used up, then by the part of them that is left.
func (b *budgetHealth) compare(other *budgetHealth) int {
	end := func(b *budgetHealth) int64 {
		if b.Forecast.State != tracker.ForecastUsedUp {
			return tracker.Forever.UnixMicro()
		}
		return b.Forecast.At.UnixMicro()
	}
	left := func(b *budgetHealth) float64 {
		if b.Left < 0 || b.Calls == 0 {
			return 2
		}
		return float64(b.Left) / float64(b.Calls)
	}
	return cmp.Or(cmp.Compare(end(b), end(other)), cmp.Compare(left(b), left(other)), cmp.Compare(b.Instance, other.Instance))
}

// budgetLeftText says how many calls are left.
func (p *request) budgetLeftText(b *budgetHealth) string {
	switch {
	case b.Calls == 0:
		return p.T("no limit")
	case b.Left < 0:
		return p.T("unknown")
	}
	return p.Tf("%s of %s in %s", format.Thousands(p, b.Left), format.Thousands(p, b.Calls), format.Span(p, b.Window))
}

// budgetStateText says why no calls are made, or how long the budget lasts.
func (p *request) budgetStateText(b *budgetHealth) string {
	switch {
	case !b.SilentUntil.IsZero():
		return p.Tf("no calls until %s, as the server has asked", p.shortTime(b.SilentUntil))
	case b.ParkedUntil.Equal(tracker.Forever):
		return p.T("parked or paused until an operator resumes the scope")
	case !b.ParkedUntil.IsZero():
		return p.Tf("parked or paused until %s", p.shortTime(b.ParkedUntil))
	case !b.AwaySince.IsZero():
		return p.Tf("unknown since %s, because Redis does not answer", p.shortTime(b.AwaySince))
	}
	return p.forecastText(&tracker.Quota{Forecast: b.Forecast})
}

// shareText says what one kind of work has used of a budget.
func (p *request) shareText(s remote.BudgetShare) string {
	if s.Used < 0 {
		return "–"
	}
	return format.Thousands(p, s.Used)
}

// shareTitle says how many calls the others leave to one kind of work.
func (p *request) shareTitle(s remote.BudgetShare) string {
	return p.Tf("of at least %s", format.Thousands(p, s.Minimum))
}

// budgetsOf returns the budgets that the page of a service shows, and how many more there are.
func (v *serviceView) shownBudgets() (list []budgetHealth, more int) {
	list = v.calls.budgets
	return list[:min(len(list), maxBudgetsShown)], max(0, len(list)-maxBudgetsShown)
}

// localBudgets reports whether budgets are those of this process.
func (v *serviceView) localBudgets() bool {
	return slices.ContainsFunc(v.calls.budgets, func(b budgetHealth) bool { return !b.Shared })
}

// firstBudget returns the budget of a service that is used up first, or nil.
func (s *serviceHealth) firstBudget() *budgetHealth {
	if len(s.Budgets) == 0 {
		return nil
	}
	return &s.Budgets[0]
}
