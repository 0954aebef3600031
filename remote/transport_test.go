package remote_test

import (
	"io"
	"log"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/remote"
)

func discard() *log.Logger { return log.New(io.Discard, "", 0) }

func TestClientReturnsAnswersWhateverTheirStatus(t *testing.T) {
	t.Parallel()
	s := newServer(t, answer(404, `{"error":"no such thing"}`, "X-Request-Id", "7"))
	r := s.remote(t, nil)
	resp, err := r.Client("").Get(s.URL)
	noError(t, err)
	if err := r.Classify(resp); fault.ClassOf(err) != fault.ClassGone {
		t.Errorf("class %s, want gone: %v", fault.ClassOf(err), err)
	}
	body, err := io.ReadAll(resp.Body)
	noError(t, err)
	if resp.StatusCode != http.StatusNotFound || resp.Header.Get("X-Request-ID") != "7" || string(body) != `{"error":"no such thing"}` {
		t.Errorf("answer %d %v %s", resp.StatusCode, resp.Header, body)
	}
}

func TestClientRepeatsReadsAndTimesOutInTheBody(t *testing.T) {
	t.Parallel()
	s := newServer(t, cut, cutBody, answer(200, "{}"))
	client := s.remote(t, nil).Client("")
	if _, err := client.Get(s.URL); fault.ClassOf(err) != fault.ClassTransient || s.calls.Load() != 2 {
		t.Errorf("%d calls, want 2 that fail: %v", s.calls.Load(), err)
	}
	s = newServer(t, hangBody)
	client = s.remote(t, func(c *remote.Config) { c.Timeout = 100 * time.Millisecond }).Client("")
	if _, err := client.Post(s.URL, "text/plain", strings.NewReader("x")); fault.ClassOf(err) != fault.ClassUnknownOutcome {
		t.Errorf("class %s, want unknown_outcome: %v", fault.ClassOf(err), err)
	}
}

func TestClientFollowsNoRedirect(t *testing.T) {
	t.Parallel()
	s := newServer(t, answer(302, "", "Location", "/elsewhere"), answer(200, "{}"))
	resp, err := s.remote(t, nil).Client("").Get(s.URL)
	noError(t, err)
	if resp.StatusCode != http.StatusFound || s.calls.Load() != 1 {
		t.Errorf("status %d after %d calls, want the redirect", resp.StatusCode, s.calls.Load())
	}
}

func TestCallCarriesTheTraceContext(t *testing.T) {
	t.Parallel()
	got := make(chan string, 1)
	s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		got <- r.Header.Get("Traceparent")
		answer(200, "{}")(w, r)
	})
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}})
	_, err := s.remote(t, nil).Call(trace.ContextWithSpanContext(t.Context(), span), "", remote.Call{URL: s.URL}, nil)
	noError(t, err)
	if header := <-got; header != "00-"+span.TraceID().String()+"-"+span.SpanID().String()+"-00" {
		t.Errorf("traceparent %q", header)
	}
}
