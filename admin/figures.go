package admin

import (
	"context"
	"slices"
	"time"

	"github.com/nawasara/nawasync/admin/internal/alert"
	"github.com/nawasara/nawasync/tracker"
)

// figures are what /metrics and Collector report. They are limited to what the subject may
// view.
type figures struct {
	at       time.Time
	services []serviceFigures // in order of their names
	alerts   []alert.Alert
	moreOpen bool // only tracker.MaxOpenJobs open jobs were counted
	workers  workerCounts
}

// serviceFigures are the figures of one service.
type serviceFigures struct {
	serviceHealth
	ended                map[tracker.Status]int64 // all jobs that ever ended
	allRuns, allWaits    tracker.Histogram        // of these jobs
	parked, paused, held int64
	calls                *tracker.CallTotal // of the external API; nil if there are none
	endpoints            []tracker.Endpoint // of the external API: all calls ever, by method and template
}

// loadFigures reads the figures. It costs the same however many jobs have ended: the totals have
// one row for each service and outcome, and of ended jobs only the newest conflicts are read.
func (p *request) loadFigures(ctx context.Context) (*figures, error) {
	window := timeWindows[2] // as the overview by default, so that the alerts are the same
	o := p.newOverview(window)
	o.readCounts(ctx, p, window)
	if err := o.err(); err != nil {
		return nil, err
	}
	o.sum(p.viewer.visibleServices())
	out := &figures{at: p.now, moreOpen: o.MoreOpen, workers: countWorkers(o.data.processes, o.data.open, p.now)}
	var err error
	if out.alerts, err = p.findAlerts(ctx, o); err != nil {
		return nil, err
	}
	for _, s := range o.Services {
		out.services = append(out.services, serviceFigures{serviceHealth: s, ended: map[tracker.Status]int64{}})
	}
	out.countScopes(o.data.scopes)
	for _, load := range []func(context.Context, *tracker.Reader) error{out.loadTotals, out.loadCalls, out.loadHolds} {
		if err := load(ctx, p.store()); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// service returns the figures of a service, or nil if the subject must not view it or there is
// none.
func (f *figures) service(name string) *serviceFigures {
	i := slices.IndexFunc(f.services, func(s serviceFigures) bool { return s.Service == name })
	if i < 0 {
		return nil
	}
	return &f.services[i]
}

func (f *figures) loadTotals(ctx context.Context, store *tracker.Reader) error {
	totals, err := store.EndedTotals(ctx)
	for _, total := range totals {
		if s := f.service(total.Service); s != nil {
			s.ended[total.Outcome] = total.Jobs
			s.allRuns.Merge(total.Runs)
			s.allWaits.Merge(total.Waits)
		}
	}
	return err
}

func (f *figures) loadCalls(ctx context.Context, store *tracker.Reader) error {
	totals, err := store.CallTotals(ctx)
	for i := range totals {
		if s := f.service(totals[i].Service); s != nil {
			s.calls = &totals[i]
		}
	}
	if err != nil {
		return err
	}
	endpoints, err := store.EndpointTotals(ctx)
	for _, e := range endpoints {
		if s := f.service(e.Service); s != nil {
			s.endpoints = append(s.endpoints, e)
		}
	}
	return err
}

func (f *figures) countScopes(scopes []tracker.Scope) {
	for _, scope := range scopes {
		switch s := f.service(scope.Service); {
		case s == nil:
		case scope.Parked:
			s.parked++
		default:
			s.paused++
		}
	}
}

func (f *figures) loadHolds(ctx context.Context, store *tracker.Reader) error {
	holds, err := store.Holds(ctx, "", "", true, maxHoldsCounted)
	for _, hold := range holds {
		if s := f.service(hold.Service); s != nil {
			s.held++
		}
	}
	return err
}

// maxHoldsCounted bounds how many held syncs are read.
const maxHoldsCounted = 10_000
