package remote

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
)

// Client returns a client for the calls of one limit scope, for an SDK or for your own requests; see also
// [Remote.Call]. It reads the answer completely, so that Config.Timeout includes the body. It returns an
// answer whatever its status: [Remote.Classify] gives the error. Without an answer the error has a class,
// but http.Client puts the URL with its query into the text.
// The client never follows a redirect, which could send credentials to another server. scope is the
// instance of the limit scope, as pages show it: "" for the whole service.
func (r *Remote) Client(scope string) *http.Client {
	return &http.Client{
		Transport:     &transport{remote: r, scope: scope},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Classify returns the error of an answer that Client has returned, or nil for status 2xx. It reads the
// body and replaces it, so that it can be read again. Config.Envelope is not asked.
func (r *Remote) Classify(resp *http.Response) error {
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(body))
	if err != nil {
		return err
	}
	e := &exchange{remote: r, req: resp.Request, read: isRead(resp.Request.Method)}
	return e.check(&Answer{Status: resp.StatusCode, Header: resp.Header, Body: body, Read: e.read})
}

type transport struct {
	remote    *Remote
	scope     string
	tokenless bool
}

// RoundTrip makes one call.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	e := &exchange{remote: t.remote, scope: t.scope, req: req, read: t.tokenless || isRead(req.Method), object: req.URL.Path, tokenless: t.tokenless}
	answer, err := e.do()
	if answer == nil {
		return nil, err
	}
	return answer.response(req), nil
}

// isRead reports whether a method changes nothing.
func isRead(method string) bool {
	switch method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions:
		return true
	}
	return false
}

// response returns the answer as net/http has it.
func (a *Answer) response(req *http.Request) *http.Response {
	return &http.Response{
		Status: strconv.Itoa(a.Status) + " " + http.StatusText(a.Status), StatusCode: a.Status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: a.Header, Body: io.NopCloser(bytes.NewReader(a.Body)), ContentLength: int64(len(a.Body)), Request: req,
	}
}
