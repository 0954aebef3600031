package nawasync

import (
	"context"
	"maps"
	"slices"
	"strings"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

const (
	headerTraceparent = "traceparent"
	headerTracestate  = "tracestate"
	headerBaggage     = "baggage"
	// maxStoredTrace is the length of the column in which a job keeps the trace context of its dispatch.
	maxStoredTrace = 1024
)

// propagator returns the host's propagator: Config.Propagator, otherwise OpenTelemetry's global one.
// It returns W3C's if the host has set neither, so that attempts are linked to their dispatch.
func (t *telemetry) propagator() propagation.TextMapPropagator {
	if t.configured != nil {
		return t.configured
	}
	if global := otel.GetTextMapPropagator(); len(global.Fields()) > 0 {
		return global
	}
	return propagation.TraceContext{}
}

// inject returns the trace context of the caller's span as a job stores it, or "" if there is no
// span. The first line is the W3C traceparent; each further header of the host's propagator is a
// line "name: value". Baggage is left out, because the host may have put anything into it and the
// row is not encrypted. A header that would make the text too long is left out as a whole.
func (t *telemetry) inject(ctx context.Context) string {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		return ""
	}
	headers := propagation.MapCarrier{}
	t.propagator().Inject(ctx, headers)
	propagation.TraceContext{}.Inject(ctx, headers)
	var b strings.Builder
	b.WriteString(headers[headerTraceparent])
	add := func(name string) {
		line := name + ": " + headers[name]
		if headers[name] != "" && isPrintable(line) && b.Len()+1+len(line) <= maxStoredTrace {
			b.WriteString("\n" + line)
		}
	}
	add(headerTracestate)
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		if name != headerTraceparent && name != headerTracestate && !strings.EqualFold(name, headerBaggage) {
			add(name)
		}
	}
	return b.String()
}

// extract returns the span context that inject has stored. It is invalid if there is none.
func (t *telemetry) extract(stored string) trace.SpanContext {
	if stored == "" {
		return trace.SpanContext{}
	}
	parent, rest, _ := strings.Cut(stored, "\n")
	headers := propagation.MapCarrier{headerTraceparent: parent}
	for line := range strings.SplitSeq(rest, "\n") {
		if name, value, ok := strings.Cut(line, ": "); ok {
			headers[name] = value
		}
	}
	found := trace.SpanContextFromContext(t.propagator().Extract(context.Background(), headers))
	if !found.IsValid() { // another process may have another propagator
		found = trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), headers))
	}
	return found
}

// isPrintable reports whether the text is one line of ASCII, as headers are. A line break would be
// read as another header, and PostgreSQL refuses a NUL.
func isPrintable(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' })
}
