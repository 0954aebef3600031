package main

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// openTraces creates the provider that receives the spans of the pages, the engine and the calls. Without -traces,
// there are none.
func (a *example) openTraces(context.Context) error {
	a.tracers = noop.NewTracerProvider()
	if a.settings.traces == "" {
		return nil
	}
	// A program of its own sends the spans to a collector: see docs/whm.md.
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(spanLog{a.Logger}, sdktrace.WithBatchTimeout(time.Second)))
	a.OnClose(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := provider.Shutdown(ctx); err != nil {
			a.Logger.Warn("the last spans were not written", "error", err)
		}
	})
	a.tracers = provider
	return nil
}

// spanLog is an exporter that writes each span to the log, for people without a collector.
type spanLog struct{ logger *slog.Logger }

// ExportSpans implements sdktrace.SpanExporter.
func (l spanLog) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	for _, s := range spans {
		list := []slog.Attr{
			slog.String("name", s.Name()), slog.String("trace_id", s.SpanContext().TraceID().String()),
			slog.String("span_id", s.SpanContext().SpanID().String()), slog.Duration("duration", s.EndTime().Sub(s.StartTime())),
		}
		if s.Parent().IsValid() {
			list = append(list, slog.String("parent_id", s.Parent().SpanID().String()))
		}
		for _, link := range s.Links() {
			list = append(list, slog.String("linked_trace_id", link.SpanContext.TraceID().String()),
				slog.String("linked_span_id", link.SpanContext.SpanID().String()))
		}
		if s.Status().Code == codes.Error {
			list = append(list, slog.String("error", cmp.Or(s.Status().Description, "failed")))
		}
		for _, a := range s.Attributes() {
			list = append(list, slog.Any(string(a.Key), a.Value.AsInterface()))
		}
		l.logger.LogAttrs(ctx, slog.LevelInfo, "span", list...)
	}
	return nil
}

// Shutdown implements sdktrace.SpanExporter.
func (spanLog) Shutdown(context.Context) error { return nil }

// traceRequests returns a handler that has a span for each request, by OpenTelemetry's conventions for HTTP servers. What
// a request dispatches is in the same trace. A program of its own uses otelhttp.
func traceRequests(provider trace.TracerProvider, next http.Handler) http.Handler {
	tracer := provider.Tracer("github.com/nawasara/nawasync/examples/whm")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		method := r.Method
		if !slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodPost}, method) {
			method = "_OTHER" // a client may send any word
		}
		ctx, span := tracer.Start(r.Context(), method, trace.WithSpanKind(trace.SpanKindServer))
		defer span.End()
		answer := &statusWriter{ResponseWriter: w}
		r = r.WithContext(ctx)
		next.ServeHTTP(answer, r)
		_, route, found := strings.Cut(r.Pattern, " ")
		if !found {
			route = r.Pattern // it is for all methods
		}
		status := cmp.Or(answer.status, http.StatusOK)
		span.SetName(method + " " + route)
		span.SetAttributes(attribute.String("http.request.method", method), attribute.String("http.route", route), attribute.Int("http.response.status_code", status))
		if status >= http.StatusInternalServerError {
			span.SetStatus(codes.Error, "")
		}
	})
}

// statusWriter remembers the status of an answer.
type statusWriter struct {
	http.ResponseWriter

	status int
}

// WriteHeader implements http.ResponseWriter.
func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
