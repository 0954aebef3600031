package remote

import (
	"net/http"
	"net/url"
	"strconv"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/remotecall"
)

const tracerName = "github.com/nawasara/nawasync/remote"

// tracing is where the spans of calls go, and how their context gets into requests.
type tracing struct {
	tracer     trace.Tracer
	propagator func() propagation.TextMapPropagator
}

// Trace is for package nawasync, which sets the provider and the propagator of its configuration. A Remote
// without an engine uses OpenTelemetry's global ones, as does one with a nil provider.
func (r *Remote) Trace(key remotecall.Key, provider trace.TracerProvider, propagator func() propagation.TextMapPropagator) {
	if !key.Valid() {
		return
	}
	if provider == nil {
		provider = otel.GetTracerProvider()
	}
	r.tracing.Store(&tracing{provider.Tracer(tracerName), propagator})
}

// globalPropagator returns OpenTelemetry's global propagator, or W3C's if the host has set none.
func globalPropagator() propagation.TextMapPropagator {
	if global := otel.GetTextMapPropagator(); len(global.Fields()) > 0 {
		return global
	}
	return propagation.TraceContext{}
}

// startSpan starts the span of an attempt of a call, a child of the caller's, and adds its context to the
// request. Baggage is left out, because the host may have put anything into it. Attributes follow
// OpenTelemetry's conventions for HTTP clients (https://opentelemetry.io/docs/specs/semconv/http/http-spans/) but
// for url.full: a path can contain a secret, and names people.
func (e *exchange) startSpan(req *http.Request) (*http.Request, trace.Span) {
	method, template := e.remote.ledger.Names(req.Method, e.template())
	name := method
	list := []attribute.KeyValue{attribute.String("http.request.method", method), attribute.String("url.template", template)}
	if method == remotecall.UnknownMethod {
		name = "HTTP"
	}
	if template != remotecall.Other {
		name += " " + template
	}
	list = append(list, serverAttributes(req.URL)...)
	list = append(list, attribute.String("nawasync.job.service", e.remote.config.Service))
	if e.attempts > 1 {
		list = append(list, attribute.Int("http.request.resend_count", e.attempts-1))
	}
	tracing := e.remote.tracing.Load()
	ctx, span := tracing.tracer.Start(req.Context(), name, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(list...))
	tracing.propagator().Inject(baggage.ContextWithoutBaggage(ctx), propagation.HeaderCarrier(req.Header))
	return req.WithContext(ctx), span
}

// serverAttributes returns the address and the port of a URL.
func serverAttributes(target *url.URL) []attribute.KeyValue {
	list := []attribute.KeyValue{attribute.String("server.address", target.Hostname())}
	port, err := strconv.Atoi(target.Port())
	switch {
	case err == nil:
	case target.Scheme == "https":
		port = 443
	default:
		port = 80
	}
	return append(list, attribute.Int("server.port", port))
}

// endSpan ends the span of an attempt. error.type is the class of the error; its text is left out.
func endSpan(span trace.Span, answer *Answer, err error) {
	if answer != nil {
		span.SetAttributes(attribute.Int("http.response.status_code", answer.Status))
	}
	if err != nil {
		class := string(fault.ClassOf(err))
		span.SetAttributes(attribute.String("error.type", class))
		if answer != nil {
			class = "" // the status says it
		}
		span.SetStatus(codes.Error, class)
	}
	span.End()
}
