package nawasync_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// upperPropagator stands for one that does not write W3C's headers.
type upperPropagator struct{}

func (upperPropagator) Inject(ctx context.Context, c propagation.TextMapCarrier) {
	s := trace.SpanContextFromContext(ctx)
	c.Set("x-upper", strings.ToUpper(s.TraceID().String()+"-"+s.SpanID().String()))
	c.Set("x-invalid", "a\nb: c")
}

func (upperPropagator) Extract(ctx context.Context, c propagation.TextMapCarrier) context.Context {
	ids, spans, _ := strings.Cut(strings.ToLower(c.Get("x-upper")), "-")
	traceID, err := trace.TraceIDFromHex(ids)
	spanID, spanErr := trace.SpanIDFromHex(spans)
	if err != nil || spanErr != nil {
		return ctx
	}
	state, _ := trace.ParseTraceState("from=upper")
	return trace.ContextWithRemoteSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{TraceID: traceID, SpanID: spanID, TraceState: state}))
}

func (upperPropagator) Fields() []string { return []string{"x-upper"} }

// tracestate returns a tracestate of n members of 250 bytes.
func tracestate(n int) string {
	members := make([]string, n)
	for i := range members {
		members[i] = fmt.Sprintf("vendor%d=%s", i, strings.Repeat("x", 242))
	}
	return strings.Join(members, ",")
}

// linkOfAttempt dispatches a job with ctx, runs it, and returns the job, the span of its dispatch,
// and the link of its attempt.
func linkOfAttempt(
	ctx context.Context, t *testing.T, db *testdb.Database, propagator propagation.TextMapPropagator,
) (job *tracker.Job, send, link trace.SpanContext) {
	t.Helper()
	h := enginetest.New(t, db)
	spans := tracetest.NewSpanRecorder()
	e := h.Engine(func(c *nawasync.Config) {
		c.TracerProvider = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
		c.Propagator = propagator
	})
	enginetest.Register(t, e, enginetest.DoNothing)
	h.Start(e)
	dispatched, err := e.Dispatch(ctx, enginetest.JobArgs{ID: "a"}, nawasync.Options{})
	enginetest.NoError(t, err)
	job = enginetest.WaitStatus(t, e, dispatched.ID, tracker.StatusSuccess)
	enginetest.NoError(t, e.Stop(t.Context())) // the next engine on this database is to run its own job
	for _, s := range spans.Ended() {
		switch {
		case s.Name() == "send default":
			send = s.SpanContext()
		case s.Name() == "process default" && len(s.Links()) == 1:
			link = s.Links()[0].SpanContext
		}
	}
	return job, send, link
}

func TestTracestateIsKeptWithTheJobUnlessItIsTooLong(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		for members, want := range map[int]string{1: tracestate(1), 3: tracestate(3), 5: ""} {
			state, err := trace.ParseTraceState(tracestate(members))
			enginetest.NoError(t, err)
			ctx := trace.ContextWithRemoteSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{
				TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled, TraceState: state,
			}))
			job, send, link := linkOfAttempt(ctx, t, db, nil)
			if send.TraceID() != (trace.TraceID{1}) || link.SpanID() != send.SpanID() || link.TraceID() != send.TraceID() || link.TraceState().String() != want {
				t.Errorf("%d members: the attempt is linked to %v, want span %s with tracestate %q", members, link, send.SpanID(), want)
			}
			if parent, _, _ := strings.Cut(job.Trace, "\n"); parent != fmt.Sprintf("00-%s-%s-01", send.TraceID(), send.SpanID()) {
				t.Errorf("the stored trace begins with %q", parent)
			}
		}
	})
}

func TestHostsPropagatorIsUsedWithoutItsBaggage(t *testing.T) {
	t.Parallel()
	member, err := baggage.NewMember("token", "sesame")
	enginetest.NoError(t, err)
	bag, err := baggage.New(member)
	enginetest.NoError(t, err)
	ctx := baggage.ContextWithBaggage(t.Context(), bag)
	job, send, link := linkOfAttempt(ctx, t, testdb.SQLite(t), propagation.NewCompositeTextMapPropagator(upperPropagator{}, propagation.Baggage{}))
	want := fmt.Sprintf("00-%s-%s-01\nx-upper: %s", send.TraceID(), send.SpanID(), strings.ToUpper(send.TraceID().String()+"-"+send.SpanID().String()))
	if job.Trace != want {
		t.Errorf("stored %q, want %q", job.Trace, want)
	}
	if link.SpanID() != send.SpanID() || link.TraceState().String() != "from=upper" {
		t.Errorf("the propagator did not extract the link %v", link)
	}
}

func TestDispatchWithoutASpanStoresNoTrace(t *testing.T) {
	t.Parallel()
	h := enginetest.New(t, testdb.SQLite(t))
	e := h.Engine(func(c *nawasync.Config) { c.Propagator = upperPropagator{} })
	enginetest.Register(t, e, enginetest.DoNothing)
	if job := enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "a"}); job.Trace != "" {
		t.Errorf("stored %q", job.Trace)
	}
}
