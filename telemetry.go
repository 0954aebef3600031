package nawasync

import (
	"context"
	"fmt"
	"strconv"

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

// telemetry reports traces and metrics through the OpenTelemetry API. Spans follow its semantic
// conventions for messaging (https://opentelemetry.io/docs/specs/semconv/messaging/). The
// attributes of the metrics are service, type, action, outcome and error class. Targets are not
// attributes, so the number of time series is bounded.
type telemetry struct {
	tracer      trace.Tracer
	meter       metric.Meter
	configured  propagation.TextMapPropagator // Config.Propagator
	dispatches  metric.Int64Counter
	completions metric.Int64Counter
	attempts    metric.Int64Counter
	wait        metric.Float64Histogram
	duration    metric.Float64Histogram
	calls       metric.Float64Histogram
	servers     boundedSet // of server.address
}

func newTelemetry(tp trace.TracerProvider, mp metric.MeterProvider, propagator propagation.TextMapPropagator) (*telemetry, error) {
	if tp == nil {
		tp = otel.GetTracerProvider()
	}
	if mp == nil {
		mp = otel.GetMeterProvider()
	}
	meter := mp.Meter(scopeName)
	t := &telemetry{tracer: tp.Tracer(scopeName), meter: meter, configured: propagator}
	var errs [6]error
	t.dispatches, errs[0] = meter.Int64Counter("nawasync.jobs.dispatched", metric.WithUnit("{job}"), metric.WithDescription("Jobs dispatched"))
	t.completions, errs[1] = meter.Int64Counter("nawasync.jobs.ended", metric.WithUnit("{job}"), metric.WithDescription("Jobs that ended"))
	t.attempts, errs[2] = meter.Int64Counter("nawasync.attempts.ended", metric.WithUnit("{attempt}"), metric.WithDescription("Attempts that ended"))
	// Attempts take from milliseconds to minutes.
	buckets := metric.WithExplicitBucketBoundaries(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900)
	t.wait, errs[3] = meter.Float64Histogram("nawasync.attempts.wait", metric.WithUnit("s"), buckets,
		metric.WithDescription("Time between an attempt's due time and its start"))
	t.duration, errs[4] = meter.Float64Histogram("nawasync.attempts.duration", metric.WithUnit("s"), buckets,
		metric.WithDescription("Run time of attempts"))
	t.calls, errs[5] = newCallDuration(meter)
	for _, err := range errs {
		if err != nil {
			return nil, fmt.Errorf("create a metric: %w", err)
		}
	}
	return t, nil
}

// kindAttributes returns the attributes of a job's kind, followed by more.
func kindAttributes(j *jobstore.Job, more ...attribute.KeyValue) []attribute.KeyValue {
	return append([]attribute.KeyValue{
		attribute.String("nawasync.job.service", j.Service), attribute.String("nawasync.job.type", j.Type), attribute.String("nawasync.job.action", j.Action),
	}, more...)
}

// outcomeAttributes returns the attributes of an outcome. error.type is the class of its error.
func outcomeAttributes(outcome, class string) []attribute.KeyValue {
	list := []attribute.KeyValue{attribute.String("nawasync.job.outcome", outcome)}
	if class != "" {
		list = append(list, attribute.String("error.type", class))
	}
	return list
}

// messagingAttributes returns the attributes of a span that sends or processes jobs.
func messagingAttributes(operation, queue string) []attribute.KeyValue {
	return []attribute.KeyValue{
		attribute.String("messaging.system", "nawasync"), attribute.String("messaging.operation.name", operation),
		attribute.String("messaging.operation.type", operation), attribute.String("messaging.destination.name", queue),
	}
}

// startDispatch starts the span of a dispatch. The job's row stores the span's context.
func (t *telemetry) startDispatch(ctx context.Context) (context.Context, trace.Span) {
	return t.tracer.Start(ctx, "send", trace.WithSpanKind(trace.SpanKindProducer))
}

// recordDispatched counts new jobs, and sets the span's attributes and its name, which is "send"
// with the queue of the first job.
func (t *telemetry) recordDispatched(ctx context.Context, span trace.Span, jobs []*jobstore.Job) {
	first := jobs[0]
	span.SetName("send " + first.Queue)
	span.SetAttributes(kindAttributes(first, messagingAttributes("send", first.Queue)...)...)
	if len(jobs) == 1 {
		span.SetAttributes(attribute.String("messaging.message.id", strconv.FormatInt(first.ID, 10)))
	} else {
		span.SetAttributes(attribute.Int("messaging.batch.message_count", len(jobs)))
	}
	if !t.dispatches.Enabled(ctx) {
		return
	}
	for _, j := range jobs {
		t.dispatches.Add(ctx, 1, metric.WithAttributes(kindAttributes(j, attribute.Bool("nawasync.job.coalesced", j.Coalesced))...))
	}
}

// startAttempt starts the span of an attempt. The span is linked to the dispatch and is not its
// child, because an attempt may start hours later.
func (t *telemetry) startAttempt(ctx context.Context, j *jobstore.Job) (context.Context, trace.Span) {
	attributes := kindAttributes(j, messagingAttributes("process", j.Queue)...)
	attributes = append(attributes, attribute.String("messaging.message.id", strconv.FormatInt(j.ID, 10)),
		attribute.Int("nawasync.job.attempt", j.Attempt), attribute.String("nawasync.job.instance", j.Instance))
	options := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindConsumer), trace.WithNewRoot(), trace.WithAttributes(attributes...)}
	if link := t.extract(j.Trace); link.IsValid() {
		options = append(options, trace.WithLinks(trace.Link{SpanContext: link}))
	}
	return t.tracer.Start(ctx, "process "+j.Queue, options...)
}

// recordOutcome sets the outcome on the span of an attempt, and the span on the outcome. Secrets are
// already redacted from the error's text.
func (t *telemetry) recordOutcome(span trace.Span, out *jobstore.Outcome) {
	out.Span = span.SpanContext()
	span.SetAttributes(outcomeAttributes(string(out.AttemptOutcome()), out.ErrorClass)...)
	if out.Error != "" && out.Status != tracker.StatusSkipped {
		span.SetStatus(codes.Error, out.Error)
	}
}

// recordEnded counts the attempt that ended with the outcome, if there was one, and the job if
// it ended too. The histograms can have the attempt's span as an exemplar.
func (t *telemetry) recordEnded(out *jobstore.Outcome, j *jobstore.Job) {
	ctx := trace.ContextWithSpanContext(context.Background(), out.Span)
	if !t.completions.Enabled(ctx) {
		return // no exporter: skip the cost of the attributes
	}
	if out.Job.Status == tracker.StatusRunning {
		attempt := metric.WithAttributes(kindAttributes(j, outcomeAttributes(string(out.AttemptOutcome()), out.ErrorClass)...)...)
		t.attempts.Add(ctx, 1, attempt)
		t.duration.Record(ctx, j.Duration.Seconds(), attempt)
		// NotBefore is when this attempt was due, so the wait does not include the backoff after
		// earlier attempts.
		t.wait.Record(ctx, max(0, out.Job.StartedAt.Sub(out.Job.NotBefore).Seconds()), metric.WithAttributes(kindAttributes(j)...))
	}
	if j.Status.Terminal() {
		t.completions.Add(ctx, 1, metric.WithAttributes(kindAttributes(j, outcomeAttributes(string(j.Status), j.ErrorClass)...)...))
	}
}
