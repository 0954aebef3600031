package nawasync

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/nawasara/nawasync/internal/cached"
	"github.com/nawasara/nawasync/tracker"
)

const (
	// loadTimeout is how long a collection of the host's metrics waits for the database.
	loadTimeout = 5 * time.Second
	// loadMaxAge is how long the figures are used. Several readers then cost one query.
	loadMaxAge = 5 * time.Second
)

// loadGauges observes what the services have to do, whenever the host's metrics are collected.
type loadGauges struct {
	meter    metric.Meter
	now      func() time.Time
	services func() []string // those of this process are observed even without load
	logger   *slog.Logger
	load     *cached.Value[[]tracker.ServiceLoad]

	queued, due, running, stuck, parked, paused, held metric.Int64ObservableGauge
	oldest                                            metric.Float64ObservableGauge

	registration metric.Registration
}

// registerLoad registers the gauges. Each collection of the host's metrics then reads them, until
// the caller closes them. If that fails, which it does not with a correct SDK, it logs a warning and
// returns nil: jobs run without metrics, too.
func (e *Engine) registerLoad() *loadGauges {
	g := &loadGauges{
		meter: e.telemetry.meter, now: e.store.Now, services: e.Services, logger: e.logger,
		load: &cached.Value[[]tracker.ServiceLoad]{MaxAge: loadMaxAge, Timeout: loadTimeout, Read: func(ctx context.Context) ([]tracker.ServiceLoad, error) {
			list, _, err := e.store.ServiceLoads(ctx)
			return list, err
		}},
	}
	err := g.create()
	if err == nil {
		g.registration, err = g.meter.RegisterCallback(g.observe, g.queued, g.due, g.running, g.stuck, g.oldest, g.parked, g.paused, g.held)
	}
	if err != nil {
		e.logger.Warn("the gauges of the jobs could not be registered; check the meter provider", "error", err)
		return nil
	}
	return g
}

// create creates the instruments. They are gauges and not sums: every process reports the figures
// of the whole database, so adding them up would count each job several times.
func (g *loadGauges) create() (err error) {
	for _, gauge := range []struct {
		instrument              *metric.Int64ObservableGauge
		name, unit, description string
	}{
		{&g.queued, "nawasync.jobs.queued", "{job}", "Queued jobs, due or not. At most 50,000 open jobs are counted"},
		{&g.due, "nawasync.jobs.due", "{job}", "Queued jobs that are due"},
		{&g.running, "nawasync.jobs.running", "{job}", "Running jobs"},
		{&g.stuck, "nawasync.jobs.stuck", "{job}", "Running jobs past their deadline"},
		{&g.parked, "nawasync.scopes.parked", "{scope}", "Scopes that the engine parked"},
		{&g.paused, "nawasync.scopes.paused", "{scope}", "Scopes that an operator paused"},
		{&g.held, "nawasync.syncs.held", "{sync}", "Syncs that wait for an operator's decision"},
	} {
		if *gauge.instrument, err = g.meter.Int64ObservableGauge(gauge.name, metric.WithUnit(gauge.unit), metric.WithDescription(gauge.description)); err != nil {
			return err
		}
	}
	g.oldest, err = g.meter.Float64ObservableGauge("nawasync.jobs.oldest_queued", metric.WithUnit("s"),
		metric.WithDescription("How long the oldest due job has been waiting"))
	return err
}

// observe is the callback. If the figures cannot be read it observes nothing and returns no error:
// the SDK does not export any metric of the host if a callback returns one.
func (g *loadGauges) observe(ctx context.Context, o metric.Observer) error {
	list, err := g.load.Get(ctx)
	if errors.Is(err, cached.ErrClosed) {
		return nil
	}
	if err != nil {
		g.logger.WarnContext(ctx, "the gauges of the jobs could not be read from the database", "error", err)
		return nil
	}
	for _, name := range g.services() {
		if !slices.ContainsFunc(list, func(l tracker.ServiceLoad) bool { return l.Service == name }) {
			g.observeService(o, tracker.ServiceLoad{Service: name})
		}
	}
	for _, l := range list {
		g.observeService(o, l)
	}
	return nil
}

func (g *loadGauges) observeService(o metric.Observer, l tracker.ServiceLoad) {
	service := metric.WithAttributes(attribute.String("nawasync.job.service", l.Service))
	o.ObserveInt64(g.queued, l.Queued, service)
	o.ObserveInt64(g.due, l.Due, service)
	o.ObserveInt64(g.running, l.Running, service)
	o.ObserveInt64(g.stuck, l.Stuck, service)
	o.ObserveInt64(g.parked, l.Parked, service)
	o.ObserveInt64(g.paused, l.Paused, service)
	o.ObserveInt64(g.held, l.Held, service)
	age := 0.0
	if !l.Oldest.IsZero() {
		age = max(0, g.now().Sub(l.Oldest).Seconds())
	}
	o.ObserveFloat64(g.oldest, age, service)
}

// close unregisters the gauges, and ends a read of the database. It takes no longer than ctx and
// 2 seconds: to unregister, the SDK waits for a running collection, and with it for callbacks of the
// host.
func (g *loadGauges) close(ctx context.Context) {
	if g == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	g.load.Close(ctx)
	done := make(chan error, 1)
	go func() { done <- g.registration.Unregister() }()
	select {
	case err := <-done:
		if err != nil {
			g.logger.Warn("the gauges of the jobs could not be unregistered", "error", err)
		}
	case <-ctx.Done():
	}
}
