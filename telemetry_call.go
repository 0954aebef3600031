package nawasync

import (
	"context"
	"net"
	"strconv"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/nawasara/nawasync/internal/remotecall"
)

// newCallDuration creates the histogram of OpenTelemetry's conventions for HTTP clients
// (https://opentelemetry.io/docs/specs/semconv/http/http-metrics/), with the buckets that they recommend and
// one for a call that hangs.
func newCallDuration(meter metric.Meter) (metric.Float64Histogram, error) {
	return meter.Float64Histogram("http.client.request.duration", metric.WithUnit("s"), metric.WithDescription("Duration of HTTP client requests."),
		metric.WithExplicitBucketBoundaries(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 60))
}

// recordCall measures a call of an external API. The limit scope is no attribute, so the number of time series
// is bounded: by the methods, the classes of errors, the first 200 servers, and 200 templates of a service.
func (t *telemetry) recordCall(ctx context.Context, call remotecall.Call) {
	if !t.calls.Enabled(ctx) {
		return // no exporter: skip the cost of the attributes
	}
	list := []attribute.KeyValue{
		attribute.String("http.request.method", call.Method), attribute.String("url.template", call.Template),
		attribute.String("nawasync.job.service", call.Service),
	}
	if server := t.servers.member(call.Server); server != "" {
		address, port := server, ""
		if host, number, err := net.SplitHostPort(server); err == nil {
			address, port = host, number
		}
		list = append(list, attribute.String("server.address", address))
		if number, err := strconv.Atoi(port); err == nil {
			list = append(list, attribute.Int("server.port", number))
		}
	}
	if call.Status != 0 {
		list = append(list, attribute.Int("http.response.status_code", call.Status))
	}
	if call.Class != "" {
		list = append(list, attribute.String("error.type", call.Class))
	}
	t.calls.Record(ctx, call.Duration.Seconds(), metric.WithAttributes(list...))
}

// boundedSet has the first 200 texts. It is safe for concurrent use.
type boundedSet struct {
	mu   sync.Mutex
	list map[string]bool
}

// member returns a text of the set, or "_OTHER" for one that has come too late. It returns "" for "".
func (s *boundedSet) member(text string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case text == "" || s.list[text]:
		return text
	case len(s.list) >= 200:
		return "_OTHER"
	case s.list == nil:
		s.list = map[string]bool{}
	}
	s.list[text] = true
	return text
}
