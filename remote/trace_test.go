package remote_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/nawasara/nawasync/internal/remotecall"
	"github.com/nawasara/nawasync/remote"
)

// traced has the remote's spans exported, as an engine does.
func traced(r *remote.Remote, propagator propagation.TextMapPropagator) (trace.Tracer, *tracetest.InMemoryExporter) {
	exporter := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))
	r.Trace(remotecall.NewKey(), provider, func() propagation.TextMapPropagator { return propagator })
	return provider.Tracer("test"), exporter
}

// spanText returns a span in one line, without the address of the server.
func spanText(s tracetest.SpanStub) string {
	var list []string
	for _, a := range s.Attributes {
		if !strings.HasPrefix(string(a.Key), "server.") {
			list = append(list, string(a.Key)+"="+a.Value.String())
		}
	}
	return fmt.Sprintf("%s [%s] %s %s", s.Name, strings.Join(list, " "), s.Status.Code, s.Status.Description)
}

func TestEachAttemptOfACallIsASpanOfTheConventionsWithoutASecret(t *testing.T) {
	t.Parallel()
	sent := make(chan http.Header, 20)
	received := func(next http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			sent <- r.Header
			next(w, r)
		}
	}
	s := newServer(t, received(answer(503, "")), received(answer(200, "{}")), received(answer(409, `{"error":"b0dy"}`)),
		received(answer(200, "{}")), received(cut))
	r := s.remote(t, func(c *remote.Config) {
		c.Template = func(req *http.Request) string {
			if strings.HasPrefix(req.URL.Path, "/zones/") {
				return "/zones/{zone}?key=s3cret"
			}
			return ""
		}
	})
	tracer, exporter := traced(r, propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{}))
	member, err := baggage.NewMember("user", "s3cret")
	noError(t, err)
	bag, err := baggage.New(member)
	noError(t, err)
	ctx, parent := tracer.Start(baggage.ContextWithBaggage(t.Context(), bag), "process default")
	for _, call := range []remote.Call{
		{URL: s.URL + "/zones/s3cret?key=s3cret"},
		{Method: "PUT", URL: s.URL + "/zones/s3cret", JSON: "s3cret"},
		{Method: "BREW", URL: s.URL + "/pots"},
		{URL: s.URL + "/zones/1"},
	} {
		_, err = r.Call(ctx, "acme", call, nil)
	}
	if err == nil {
		t.Error("the last call has not failed")
	}
	parent.End()
	const service = "nawasync.job.service=test"
	want := []string{
		"GET /zones/{zone} [http.request.method=GET url.template=/zones/{zone} " + service + " http.response.status_code=503 error.type=transient] Error ",
		"GET /zones/{zone} [http.request.method=GET url.template=/zones/{zone} " + service + " http.request.resend_count=1 http.response.status_code=200] Unset ",
		"PUT /zones/{zone} [http.request.method=PUT url.template=/zones/{zone} " + service + " http.response.status_code=409 error.type=conflict] Error ",
		"HTTP [http.request.method=_OTHER url.template=other " + service + " http.response.status_code=200] Unset ",
		"GET /zones/{zone} [http.request.method=GET url.template=/zones/{zone} " + service + " error.type=transient] Error transient",
	}
	spans := exporter.GetSpans()
	for i, text := range want {
		span := spans[i]
		if got := spanText(span); got != text || span.SpanKind != trace.SpanKindClient {
			t.Errorf("span %d is %s\n%s, want\n%s", i, span.SpanKind, got, text)
		}
		attributes := attribute.NewSet(span.Attributes...)
		address, _ := attributes.Value("server.address")
		port, _ := attributes.Value("server.port")
		if got := "http://" + net.JoinHostPort(address.AsString(), strconv.FormatInt(port.AsInt64(), 10)); got != s.URL {
			t.Errorf("span %d names the server %s, want %s", i, got, s.URL)
		}
		if span.Parent.SpanID() != parent.SpanContext().SpanID() {
			t.Errorf("span %d is no child of the caller's", i)
		}
		headers := <-sent
		if got := headers.Get("Traceparent"); !strings.Contains(got, span.SpanContext.SpanID().String()) || headers.Get("Baggage") != "" {
			t.Errorf("call %d was sent with traceparent %s and baggage %q, want %s and none", i, got, headers.Get("Baggage"), span.SpanContext.SpanID())
		}
		if text := fmt.Sprint(span); strings.Contains(text, "s3cret") || strings.Contains(text, "b0dy") {
			t.Errorf("span %d contains a secret or a body: %s", i, text)
		}
	}
}

func TestSpanNamesAreBounded(t *testing.T) {
	t.Parallel()
	s := newServer(t, answer(200, "{}"))
	r := s.remote(t, func(c *remote.Config) { c.Template = func(req *http.Request) string { return req.URL.Path } })
	_, exporter := traced(r, propagation.TraceContext{})
	for i := range 220 {
		_, err := r.Call(context.Background(), "", remote.Call{URL: fmt.Sprint(s.URL, "/", i)}, nil)
		noError(t, err)
	}
	names := map[string]int{}
	for _, span := range exporter.GetSpans() {
		names[span.Name]++
		if span.Status.Code != codes.Unset {
			t.Errorf("the span %s has the status %v", span.Name, span.Status)
		}
	}
	if len(names) != 201 || names["GET"] != 20 {
		t.Errorf("%d names, %d of them without a template; want 200 and 20 without", len(names), names["GET"])
	}
}
