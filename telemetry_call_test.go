package nawasync_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/remote"
	"github.com/nawasara/nawasync/tracker"
)

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestSpanOfACallIsAChildOfItsAttemptAndIsSentWithTheHostsPropagator(t *testing.T) {
	t.Parallel()
	h := enginetest.New(t, testdb.SQLite(t))
	sent := make(chan http.Header, 1)
	notes, err := remote.New(remote.Config{Service: "notes", Base: roundTripper(func(r *http.Request) (*http.Response, error) {
		sent <- r.Header
		return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
	})})
	enginetest.NoError(t, err)
	exporter := tracetest.NewInMemoryExporter()
	e := h.Engine(func(c *nawasync.Config) {
		c.TracerProvider = sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))
		c.Propagator = upperPropagator{}
		c.Remotes = []*remote.Remote{notes}
	})
	enginetest.NoError(t, nawasync.Register(e, &enginetest.Handler[enginetest.JobArgs]{Do: func(ctx context.Context, _ *nawasync.Run[enginetest.JobArgs]) error {
		_, err := notes.Call(ctx, "", remote.Call{URL: "https://notes.example/notes/7", Endpoint: "/notes/{id}"}, nil)
		return err
	}}))
	h.Start(e)
	enginetest.WaitStatus(t, e, enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "a"}).ID, tracker.StatusSuccess)
	enginetest.NoError(t, e.Stop(t.Context()))
	spans := map[string]tracetest.SpanStub{}
	for _, span := range exporter.GetSpans() {
		spans[span.Name] = span
	}
	call, attempt := spans["GET /notes/{id}"], spans["process default"]
	if call.SpanKind != trace.SpanKindClient || call.Parent.SpanID() != attempt.SpanContext.SpanID() ||
		call.SpanContext.TraceID() != attempt.SpanContext.TraceID() {
		t.Errorf("the span of the call is no child of the attempt's: %+v", spans)
	}
	header := <-sent
	if got := header.Get("X-Upper"); !strings.EqualFold(got, call.SpanContext.TraceID().String()+"-"+call.SpanContext.SpanID().String()) || header.Get("Traceparent") != "" {
		t.Errorf("the call was sent with X-Upper %q and traceparent %q, want those of Config.Propagator", got, header.Get("Traceparent"))
	}
}
