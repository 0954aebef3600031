package admin

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/cached"
	"github.com/nawasara/nawasync/internal/host"
)

const (
	// collectTimeout is how long a scrape waits for the database.
	collectTimeout = 5 * time.Second
	// collectMaxAge is how long the figures are used. Several scrapers then cost one reading.
	collectMaxAge = 5 * time.Second
)

// Collector returns a collector for the application's own Prometheus registry. It reports what
// /metrics of the pages reports to a subject who may view every service. Prometheus has no identity
// that the pages accept, so serve the registry where only Prometheus can read it.
//
// The figures are those of the database, so every process reports the same ones: scrape one, or
// take the maximum over the processes and not their sum. A scrape reads the database for at most 5
// seconds, and its figures are used for 5 seconds. If they cannot be read, the only metric is
// nawasync_up with the value 0, the log of slog.Default has the reason, and the rest of the registry
// is served as usual.
//
// The engine need not be started. The collector is safe for concurrent use. One registry takes the
// collectors of several engines if each is registered with a label, through
// prometheus.WrapRegistererWith.
func Collector(engine *nawasync.Engine) prometheus.Collector {
	h := &handler{engine: engine, instances: instanceCache{sem: make(chan struct{}, 1)}}
	if engine != nil {
		h.reader = engine.Reader()
	}
	return &collector{newDescriptions(), h.warn, &cached.Value[*figures]{Read: h.allFigures, MaxAge: collectMaxAge, Timeout: collectTimeout}}
}

// collector implements prometheus.Collector.
type collector struct {
	*descriptions
	warn    func(text string, err error)
	figures *cached.Value[*figures]
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) { c.describe(ch) }

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	f, err := c.figures.Get(context.Background())
	if err != nil {
		c.warn("the metrics could not be read from the database", err)
		sendGauge(ch, c.up, 0)
		return
	}
	figuresCollector{c.descriptions, f}.Collect(ch)
}

// warn writes to the log of slog.Default, which is asked for each time because the application may set it
// late.
func (h *handler) warn(text string, err error) {
	logger := slog.Default()
	if h.engine != nil {
		logger = h.engine.Internals(host.NewKey()).Redacting(logger)
	}
	logger.Warn(text, "error", err)
}

// everyone permits everything. The collector uses it because nobody reads its figures by a request.
type everyone struct{}

// Enforce implements Enforcer.
func (everyone) Enforce(...any) (bool, error) { return true, nil }

// allFigures reads the figures of all services.
func (h *handler) allFigures(ctx context.Context) (*figures, error) {
	if h.engine == nil {
		return nil, errors.New("the engine is nil; pass the one that nawasync.New returned")
	}
	p := &request{
		h: h, r: (&http.Request{Method: http.MethodGet, URL: &url.URL{Path: "/metrics"}}).WithContext(ctx), zone: time.UTC, now: h.reader.Now(),
		viewer: &viewer{loaded: true, subject: "prometheus", enforcer: everyone{}, decisions: map[question]bool{}},
	}
	var err error
	if p.viewer.existing, err = h.instances.list(ctx, p.now, h.findInstances); err != nil {
		return nil, err
	}
	return p.loadFigures(ctx)
}
