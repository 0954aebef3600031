package nawasync

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/tracker"
)

const scopeName = "github.com/nawasara/nawasync"

// telemetry reports traces and metrics through the OpenTelemetry API. The labels of the metrics
// are service, type, action and outcome. Targets are not labels, so the number of time series
// is bounded.
type telemetry struct {
	tracer      trace.Tracer
	dispatches  metric.Int64Counter
	completions metric.Int64Counter
	attempts    metric.Int64Counter
	wait        metric.Float64Histogram
	duration    metric.Float64Histogram
}

func newTelemetry(tp trace.TracerProvider, mp metric.MeterProvider) (*telemetry, error) {
	if tp == nil {
		tp = otel.GetTracerProvider()
	}
	if mp == nil {
		mp = otel.GetMeterProvider()
	}
	t := &telemetry{tracer: tp.Tracer(scopeName)}
	meter := mp.Meter(scopeName)
	var errs [5]error
	t.dispatches, errs[0] = meter.Int64Counter("nawasync.jobs.dispatched", metric.WithDescription("Jobs dispatched"))
	t.completions, errs[1] = meter.Int64Counter("nawasync.jobs.ended", metric.WithDescription("Jobs that reached a terminal status"))
	t.attempts, errs[2] = meter.Int64Counter("nawasync.attempts.ended", metric.WithDescription("Attempts that ended"))
	t.wait, errs[3] = meter.Float64Histogram("nawasync.jobs.wait", metric.WithUnit("s"), metric.WithDescription("From first due to the start of the last attempt"))
	t.duration, errs[4] = meter.Float64Histogram("nawasync.attempts.duration", metric.WithUnit("s"), metric.WithDescription("How long attempts ran"))
	for _, err := range errs {
		if err != nil {
			return nil, fmt.Errorf("create a metric: %w", err)
		}
	}
	return t, nil
}

func labels(j *jobstore.Job, more ...attribute.KeyValue) metric.MeasurementOption {
	return metric.WithAttributes(append([]attribute.KeyValue{
		attribute.String("service", j.Service), attribute.String("type", j.Type), attribute.String("action", j.Action),
	}, more...)...)
}

// startDispatch starts the span of a dispatch. The job's row stores the span's context.
func (t *telemetry) startDispatch(ctx context.Context) (context.Context, trace.Span) {
	return t.tracer.Start(ctx, "nawasync dispatch", trace.WithSpanKind(trace.SpanKindProducer))
}

// recordDispatched counts new jobs and sets the span's attributes.
func (t *telemetry) recordDispatched(ctx context.Context, span trace.Span, jobs []*jobstore.Job) {
	first := jobs[0]
	span.SetAttributes(attribute.Int("nawasync.jobs", len(jobs)), attribute.Int64("nawasync.job", first.ID),
		attribute.String("nawasync.kind", first.Service+"/"+first.Type+"/"+first.Action))
	if !t.dispatches.Enabled(ctx) {
		return
	}
	for _, j := range jobs {
		t.dispatches.Add(ctx, 1, labels(j, attribute.Bool("coalesced", j.Coalesced)))
	}
}

// startAttempt starts the span of an attempt. The span is linked to the dispatch and is not its
// child, because an attempt may start hours later.
func (t *telemetry) startAttempt(ctx context.Context, j *jobstore.Job) (context.Context, trace.Span) {
	options := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindConsumer), trace.WithNewRoot(), trace.WithAttributes(
		attribute.Int64("nawasync.job", j.ID), attribute.Int("nawasync.attempt", j.Attempt), attribute.String("nawasync.instance", j.Instance))}
	if j.Trace != "" {
		from := propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{"traceparent": j.Trace})
		if link := trace.SpanContextFromContext(from); link.IsValid() {
			options = append(options, trace.WithLinks(trace.Link{SpanContext: link}))
		}
	}
	return t.tracer.Start(ctx, "nawasync "+j.Service+"/"+j.Type+"/"+j.Action, options...)
}

// recordOutcome sets the outcome on the span of an attempt. Secrets are already redacted from the
// error's text.
func (t *telemetry) recordOutcome(span trace.Span, out *jobstore.Outcome) {
	span.SetAttributes(attribute.String("nawasync.status", string(out.Status)), attribute.String("nawasync.error_class", out.ErrorClass))
	if out.Error != "" && out.Status != tracker.StatusSkipped {
		span.SetStatus(codes.Error, out.Error)
	}
}

// recordEnded counts the attempt that ended with the outcome, if there was one, and the job if
// it ended too.
func (t *telemetry) recordEnded(out *jobstore.Outcome, j *jobstore.Job) {
	ctx := context.Background()
	if !t.completions.Enabled(ctx) {
		return // no exporter: skip the cost of the labels
	}
	if out.Job.Status == tracker.StatusRunning {
		attempt := attribute.String("outcome", string(out.AttemptOutcome()))
		t.attempts.Add(ctx, 1, labels(j, attempt))
		t.duration.Record(ctx, j.Duration.Seconds(), labels(j, attempt))
	}
	outcome := attribute.String("outcome", string(j.Status))
	if !j.Status.Terminal() {
		return
	}
	t.completions.Add(ctx, 1, labels(j, outcome))
	if !j.StartedAt.IsZero() {
		t.wait.Record(ctx, j.StartedAt.Sub(j.DueAt).Seconds(), labels(j, outcome))
	}
}

// traceparent returns the context of the caller's span in W3C form, or "" if there is none.
func traceparent(ctx context.Context) string {
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return carrier["traceparent"]
}
