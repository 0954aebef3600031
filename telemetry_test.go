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

func TestDispatchAndAttemptSpansAreLinkedAndCompletionsAreCounted(t *testing.T) {
	t.Parallel()
	h := enginetest.New(t, testdb.SQLite(t))
	spans := tracetest.NewSpanRecorder()
	reader := metric.NewManualReader()
	events := make(chan nawasync.Event, 1)
	e := h.Engine(func(c *nawasync.Config) {
		c.TracerProvider = trace.NewTracerProvider(trace.WithSpanProcessor(spans))
		c.MeterProvider = metric.NewMeterProvider(metric.WithReader(reader))
		c.OnEvent = func(_ context.Context, ev nawasync.Event) { events <- ev }
	})
	enginetest.Register(t, e, enginetest.DoNothing)
	h.Start(e)
	job := enginetest.WaitStatus(t, e, enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "a"}).ID, tracker.StatusSuccess)
	<-events
	var dispatch, attempt trace.ReadOnlySpan
	for _, s := range spans.Ended() {
		switch s.Name() {
		case "nawasync dispatch":
			dispatch = s
		case "nawasync notes/note/write":
			attempt = s
		}
	}
	if dispatch == nil || attempt == nil || len(attempt.Links()) != 1 || attempt.Links()[0].SpanContext.SpanID() != dispatch.SpanContext().SpanID() {
		t.Fatalf("the span of the attempt is not linked to that of the dispatch: %v, %v", attempt, dispatch)
	}
	if job.Trace == "" {
		t.Error("the job has no trace context")
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
				t.Errorf("data point %+v, want 1 job with outcome success and four attributes", point)
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
