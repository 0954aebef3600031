package sim

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
)

// Transport returns a transport that hands requests to the server without a network, for tests in virtual time.
func (s *Server) Transport() http.RoundTripper { return transport{s} }

type transport struct{ server *Server }

// RoundTrip implements http.RoundTripper. An answer that the server cuts off ends with io.ErrUnexpectedEOF, and a
// request that it does not answer with io.EOF, as over a network.
func (t transport) RoundTrip(r *http.Request) (response *http.Response, err error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if trace := httptrace.ContextClientTrace(r.Context()); trace != nil && trace.WroteHeaders != nil {
		trace.WroteHeaders()
	}
	sent := r.Clone(r.Context())
	if sent.Body == nil {
		sent.Body = http.NoBody
	}
	recorder := httptest.NewRecorder()
	defer func() {
		if stopped := recover(); stopped == nil {
			return
		} else if stopped != http.ErrAbortHandler { //nolint:errorlint // what panicked is compared as it is
			panic(stopped)
		}
		if recorder.Body.Len() == 0 {
			response, err = nil, io.EOF
			return
		}
		response, err = recorder.Result(), nil
		response.Request = r
		response.Body = io.NopCloser(io.MultiReader(bytes.NewReader(recorder.Body.Bytes()), cutOff{}))
	}()
	t.server.ServeHTTP(recorder, sent)
	response = recorder.Result()
	response.Request = r
	return response, nil
}

// cutOff is the end of an answer that was cut off.
type cutOff struct{}

// Read implements io.Reader.
func (cutOff) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
