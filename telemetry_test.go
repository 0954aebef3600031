package nawasync_test

import (
	"context"
	"testing"

	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

func TestDispatchAndAttemptAreLinkedSpansAndEndingsAreCounted(t *testing.T) {
	t.Parallel()
	h := enginetest.New(t, testdb.SQLite(t))
	spans := tracetest.NewSpanRecorder()
	reader := metric.NewManualReader()
	ended := make(chan nawasync.Event, 1)
	e := h.Engine(func(c *nawasync.Config) {
		c.TracerProvider = trace.NewTracerProvider(trace.WithSpanProcessor(spans))
		c.MeterProvider = metric.NewMeterProvider(metric.WithReader(reader))
		c.OnEvent = func(_ context.Context, ev nawasync.Event) { ended <- ev }
	})
	enginetest.Register(t, e, enginetest.DoNothing)
	h.Start(e)
	job := enginetest.WaitStatus(t, e, enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "a"}).ID, tracker.StatusSuccess)
	<-ended
	var from, to trace.ReadOnlySpan
	for _, s := range spans.Ended() {
		switch s.Name() {
		case "nawasync dispatch":
			from = s
		case "nawasync notes/note/write":
			to = s
		}
	}
	if from == nil || to == nil || len(to.Links()) != 1 || to.Links()[0].SpanContext.SpanID() != from.SpanContext().SpanID() {
		t.Fatalf("the spans are not linked: %v %v", from, to)
	}
	if job.Trace == "" {
		t.Error("the row has no trace")
	}
	var data metricdata.ResourceMetrics
	enginetest.NoError(t, reader.Collect(t.Context(), &data))
	seen := map[string]bool{}
	for _, scope := range data.ScopeMetrics {
		for _, m := range scope.Metrics {
			seen[m.Name] = true
			sum, isSum := m.Data.(metricdata.Sum[int64])
			if m.Name != "nawasync.jobs.ended" || !isSum {
				continue
			}
			point := sum.DataPoints[0]
			outcome, _ := point.Attributes.Value("outcome")
			if point.Value != 1 || outcome.AsString() != "success" || point.Attributes.Len() != 4 {
				t.Errorf("%+v", point)
			}
		}
	}
	for _, name := range []string{
		"nawasync.jobs.dispatched", "nawasync.jobs.ended", "nawasync.attempts.ended", "nawasync.jobs.wait",
		"nawasync.attempts.duration",
	} {
		if !seen[name] {
			t.Errorf("%s was not measured", name)
		}
	}
}
