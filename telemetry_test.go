package nawasync_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
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
		case "send default":
			dispatch = s
		case "process default":
			attempt = s
		}
	}
	if dispatch == nil || attempt == nil || len(attempt.Links()) != 1 || attempt.Links()[0].SpanContext.SpanID() != dispatch.SpanContext().SpanID() {
		t.Fatalf("the span of the attempt is not linked to that of the dispatch: %v, %v", attempt, dispatch)
	}
	for name, span := range map[string]trace.ReadOnlySpan{"send": dispatch, "process": attempt} {
		got := attribute.NewSet(span.Attributes()...)
		for key, want := range map[attribute.Key]string{
			"messaging.system": "nawasync", "messaging.operation.name": name, "messaging.operation.type": name, "messaging.destination.name": "default",
			"messaging.message.id": fmt.Sprint(job.ID), "nawasync.job.service": "notes", "nawasync.job.type": "note", "nawasync.job.action": "write",
		} {
			if value, _ := got.Value(key); value.AsString() != want {
				t.Errorf("the span %s has %s %q, want %q", name, key, value.AsString(), want)
			}
		}
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
			if histogram, ok := m.Data.(metricdata.Histogram[float64]); ok {
				if bounds := histogram.DataPoints[0].Bounds; bounds[0] != 0.005 || bounds[len(bounds)-1] != 900 {
					t.Errorf("%s has the buckets %v, want 5 ms to 15 min", m.Name, bounds)
				}
			}
			sum, isSum := m.Data.(metricdata.Sum[int64])
			if m.Name != "nawasync.jobs.ended" || !isSum {
				continue
			}
			point := sum.DataPoints[0]
			outcome, _ := point.Attributes.Value("nawasync.job.outcome")
			if point.Value != 1 || outcome.AsString() != "success" || point.Attributes.Len() != 4 {
				t.Errorf("data point %+v, want 1 job with outcome success and four attributes", point)
			}
		}
	}
	for _, name := range []string{
		"nawasync.jobs.dispatched", "nawasync.jobs.ended", "nawasync.attempts.ended", "nawasync.attempts.wait",
		"nawasync.attempts.duration",
	} {
		if !seen[name] {
			t.Errorf("%s was not measured", name)
		}
	}
}

func TestEveryAttemptIsLoggedAndFailuresAreWarnings(t *testing.T) {
	t.Parallel()
	h := enginetest.New(t, testdb.SQLite(t))
	e := h.Engine(nil)
	enginetest.Register(t, e, func(_ context.Context, run *nawasync.Run[enginetest.JobArgs]) error {
		if run.Args.N == 1 {
			return nawasync.Permanent(enginetest.ErrBoom)
		}
		return nil
	})
	h.Start(e)
	good := enginetest.WaitStatus(t, e, enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "good"}).ID, tracker.StatusSuccess)
	bad := enginetest.WaitStatus(t, e, enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "bad", N: 1}).ID, tracker.StatusFailed)
	for _, want := range []string{
		fmt.Sprintf(`level=INFO msg="attempt ended" job_id=%d kind=notes/note/write attempt=1 outcome=success`, good.ID),
		fmt.Sprintf(`level=WARN msg="attempt ended" job_id=%d kind=notes/note/write attempt=1 outcome=failed`, bad.ID),
		"error_class=permanent error=boom",
	} {
		if log := h.Log.String(); strings.Count(log, want) != 1 {
			t.Errorf("the log has %d times, want once: %s\n%s", strings.Count(log, want), want, log)
		}
	}
}
