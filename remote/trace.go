package remote

import (
	"net/http"

	"go.opentelemetry.io/otel/propagation"
)

// injectTrace adds the trace context of the caller's span to a request, as W3C's headers traceparent and
// tracestate. Baggage is left out, because the host may have put anything into it.
func injectTrace(req *http.Request) {
	propagation.TraceContext{}.Inject(req.Context(), propagation.HeaderCarrier(req.Header))
}
