package nawasync_test

import (
	"context"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// collect returns the metrics by name.
func collect(t *testing.T, reader *metric.ManualReader) map[string]metricdata.Aggregation {
	t.Helper()
	var data metricdata.ResourceMetrics
	enginetest.NoError(t, reader.Collect(t.Context(), &data))
	found := map[string]metricdata.Aggregation{}
	for _, scope := range data.ScopeMetrics {
		for _, m := range scope.Metrics {
			found[m.Name] = m.Data
		}
	}
	return found
}

// gauges returns the values of the gauges for the service "notes".
func gauges(t *testing.T, reader *metric.ManualReader) map[string]float64 {
	t.Helper()
	values := map[string]float64{}
	for name, data := range collect(t, reader) {
		switch gauge := data.(type) {
		case metricdata.Gauge[int64]:
			for _, p := range gauge.DataPoints {
				if service, _ := p.Attributes.Value("nawasync.job.service"); service.AsString() == "notes" && p.Attributes.Len() == 1 {
					values[name] = float64(p.Value)
				}
			}
		case metricdata.Gauge[float64]:
			for _, p := range gauge.DataPoints {
				if service, _ := p.Attributes.Value("nawasync.job.service"); service.AsString() == "notes" && p.Attributes.Len() == 1 {
					values[name] = p.Value
				}
			}
		}
	}
	return values
}

var loadMetrics = []string{
	"nawasync.jobs.queued", "nawasync.jobs.due", "nawasync.jobs.running", "nawasync.jobs.stuck", "nawasync.jobs.oldest_queued",
	"nawasync.scopes.parked", "nawasync.scopes.paused", "nawasync.syncs.held",
}

func TestGaugesObserveTheLoadFromStartUntilStop(t *testing.T) {
	t.Parallel()
	h := enginetest.New(t, testdb.SQLite(t))
	reader := metric.NewManualReader()
	e := h.Engine(func(c *nawasync.Config) { c.MeterProvider = metric.NewMeterProvider(metric.WithReader(reader)) })
	running := make(chan struct{}, 1)
	enginetest.Register(t, e, func(ctx context.Context, _ *nawasync.Run[enginetest.JobArgs]) error {
		running <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	})
	if got := gauges(t, reader); len(got) != 0 {
		t.Errorf("gauges before Start: %v", got)
	}
	h.Start(e)
	enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "a"})
	<-running
	first := enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "a"}) // waits for its lane
	_, err := e.Dispatch(t.Context(), enginetest.JobArgs{ID: "b"}, nawasync.Options{Delay: time.Hour})
	enginetest.NoError(t, err)
	enginetest.NoError(t, h.DB.Exec("UPDATE nawasync_jobs SET not_before = not_before - 90000000 WHERE id = ?", first.ID).Error)
	enginetest.NoError(t, h.DB.Exec("INSERT INTO nawasync_scopes (service, instance, paused_until, parked, paused_by, created_at, reason) VALUES ('notes', 'x', ?, TRUE, '', 0, '')",
		tracker.Forever.UnixMicro()).Error)
	got := gauges(t, reader)
	want := map[string]float64{
		"nawasync.jobs.queued": 2, "nawasync.jobs.due": 1, "nawasync.jobs.running": 1, "nawasync.jobs.stuck": 0,
		"nawasync.scopes.parked": 1, "nawasync.scopes.paused": 0, "nawasync.syncs.held": 0,
	}
	for name, value := range want {
		if v, ok := got[name]; !ok || v != value {
			t.Errorf("%s is %v, want %v", name, v, value)
		}
	}
	if oldest := got["nawasync.jobs.oldest_queued"]; oldest < 90 || oldest > 180 {
		t.Errorf("the oldest job waits for %v s, want 90", oldest)
	}
	enginetest.NoError(t, e.Stop(t.Context()))
	if got := gauges(t, reader); len(got) != 0 {
		t.Errorf("gauges after Stop: %v", got)
	}
}

func TestServiceWithoutLoadIsObservedAsZero(t *testing.T) {
	t.Parallel()
	h := enginetest.New(t, testdb.SQLite(t))
	reader := metric.NewManualReader()
	e := h.Engine(func(c *nawasync.Config) { c.MeterProvider = metric.NewMeterProvider(metric.WithReader(reader)) })
	enginetest.Register(t, e, enginetest.DoNothing)
	h.Start(e)
	got := gauges(t, reader)
	for _, name := range loadMetrics {
		if v, ok := got[name]; !ok || v != 0 {
			t.Errorf("%s is %v, %v; want 0", name, v, ok)
		}
	}
}

func TestCollectionSucceedsWithoutGaugesWhenTheDatabaseFails(t *testing.T) {
	t.Parallel()
	h := enginetest.New(t, testdb.SQLite(t))
	reader := metric.NewManualReader()
	provider := metric.NewMeterProvider(metric.WithReader(reader))
	e := h.Engine(func(c *nawasync.Config) { c.MeterProvider = provider })
	enginetest.Register(t, e, enginetest.DoNothing)
	h.Start(e)
	hostCounter, err := provider.Meter("host").Int64Counter("host.requests")
	enginetest.NoError(t, err)
	hostCounter.Add(t.Context(), 1)
	enginetest.NoError(t, h.DB.Exec("ALTER TABLE nawasync_held RENAME TO renamed").Error)
	found := collect(t, reader)
	if found["host.requests"] == nil || found["nawasync.jobs.queued"] != nil {
		t.Errorf("collected %v", found)
	}
	if log := h.Log.String(); !strings.Contains(log, "the gauges of the jobs could not be read from the database") {
		t.Errorf("the log has no reason:\n%s", log)
	}
}

func TestHistogramsHaveTheSpanOfTheAttemptAsExemplar(t *testing.T) {
	t.Parallel()
	h := enginetest.New(t, testdb.SQLite(t))
	spans := tracetest.NewSpanRecorder()
	reader := metric.NewManualReader()
	ended := make(chan nawasync.Event, 1)
	e := h.Engine(func(c *nawasync.Config) {
		c.TracerProvider = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
		c.MeterProvider = metric.NewMeterProvider(metric.WithReader(reader))
		c.OnEvent = func(_ context.Context, event nawasync.Event) { ended <- event }
	})
	enginetest.Register(t, e, enginetest.DoNothing)
	h.Start(e)
	enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "a"})
	<-ended
	var want string
	for _, s := range spans.Ended() {
		if s.Name() == "process default" {
			want = s.SpanContext().SpanID().String()
		}
	}
	found := collect(t, reader)
	for _, name := range []string{"nawasync.attempts.wait", "nawasync.attempts.duration"} {
		histogram, ok := found[name].(metricdata.Histogram[float64])
		if !ok {
			t.Fatalf("%s was not measured", name)
		}
		exemplars := histogram.DataPoints[0].Exemplars
		if len(exemplars) != 1 || hex.EncodeToString(exemplars[0].SpanID) != want {
			t.Errorf("%s has the exemplars %+v, want the span %s", name, exemplars, want)
		}
	}
}
