package nawasynctest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// RemoteTransport is the http.RoundTripper between a Remote that TestRemote tests and its server. The test makes it
// drop and cut answers, refuse connections, answer with errors, and wait. It is safe for concurrent use.
type RemoteTransport struct {
	// Base sends the requests. Set it before the first one. Nil is http.DefaultTransport.
	Base http.RoundTripper

	isWrite   func(*http.Request) bool
	errorBody func(status int, message string) string
	released  chan struct{}
	closed    sync.Once
	log       lockedBuffer

	mu       sync.Mutex
	fault    *transportFault
	matched  int // requests since inject that the fault is for
	affected int // requests that had the fault
	requests []transportRequest
	hanging  chan struct{} // closed when a request hangs
	meeting  chan struct{} // closed when another request arrives; nil while none waits
}

// transportRequest is a request as it arrived.
type transportRequest struct {
	write         bool
	done          bool // whether its context had ended
	affected      bool // whether it had the fault
	url           string
	authorization string
}

type faultKind int

const (
	faultStatus faultKind = iota // answers with a status, without the server
	faultDrop                    // lets the server answer, and loses the answer
	faultCut                     // lets the server answer, and loses the second half of the answer's body
	faultRefuse                  // refuses the connection
	faultHang                    // waits until the request's context ends
	faultMeet                    // waits a moment for another request, so that two of them are under way
)

// transportFault makes requests fail.
type transportFault struct {
	kind   faultKind
	name   string // for messages
	writes bool   // only requests that may change something
	from   int    // the first request that fails, from 0
	times  int    // how many requests fail; 0 means all from the first one
	status int
	header map[string]string
	body   string // "" is that of RemoteSuite.ErrorBody
	// echo makes the body repeat the request, with its credentials.
	echo bool
}

func newRemoteTransport(isWrite func(*http.Request) bool, errorBody func(int, string) string) *RemoteTransport {
	if isWrite == nil {
		isWrite = func(r *http.Request) bool {
			return !slices.Contains([]string{"", http.MethodGet, http.MethodHead, http.MethodOptions}, r.Method)
		}
	}
	if errorBody == nil {
		errorBody = func(_ int, message string) string { return message }
	}
	return &RemoteTransport{isWrite: isWrite, errorBody: errorBody, released: make(chan struct{}), hanging: make(chan struct{})}
}

// Logger returns a logger for the Remote's client. The test checks that what it logs has no secrets.
func (t *RemoteTransport) Logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(&t.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// RoundTrip sends a request, or makes it fail as the test says.
func (t *RemoteTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := takeBody(req)
	if err != nil {
		return nil, err
	}
	fault := t.note(req, body)
	switch {
	case req.Context().Err() != nil:
		return nil, context.Cause(req.Context())
	case fault == nil:
		return t.send(req, body)
	}
	switch fault.kind {
	case faultRefuse:
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	case faultHang:
		return nil, t.hang(req.Context())
	case faultMeet:
		t.meet()
		return t.send(req, body)
	case faultDrop, faultCut:
		resp, err := t.send(req, body)
		if err != nil {
			return nil, err
		}
		return loseAnswer(resp, fault.kind)
	}
	markSent(req.Context())
	return t.answer(req, body, fault), nil
}

// takeBody returns the body of a request, so that it can be read twice.
func takeBody(req *http.Request) ([]byte, error) {
	if req.Body == nil {
		return nil, nil
	}
	defer func() { _ = req.Body.Close() }()
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, fmt.Errorf("read the request's body: %w", err)
	}
	return body, nil
}

// note records a request and returns the fault that it has.
func (t *RemoteTransport) note(req *http.Request, body []byte) *transportFault {
	write := t.isWrite(withBody(req, body))
	t.mu.Lock()
	defer t.mu.Unlock()
	seen := transportRequest{write: write, done: req.Context().Err() != nil, url: req.URL.String(), authorization: req.Header.Get("Authorization")}
	fault := t.fault
	if fault != nil && (write || !fault.writes) {
		t.matched++
		seen.affected = t.matched > fault.from && (fault.times == 0 || t.affected < fault.times)
	}
	t.requests = append(t.requests, seen)
	if !seen.affected {
		return nil
	}
	t.affected++
	return fault
}

func (t *RemoteTransport) send(req *http.Request, body []byte) (*http.Response, error) {
	base := t.Base
	if base == nil {
		base = http.DefaultTransport
	}
	return base.RoundTrip(withBody(req, body))
}

// withBody returns a copy of a request whose body can be read.
func withBody(req *http.Request, body []byte) *http.Request {
	out := req.Clone(req.Context())
	if req.Body != nil {
		out.Body = io.NopCloser(bytes.NewReader(body))
	}
	return out
}

// hang waits until the context or the test ends.
func (t *RemoteTransport) hang(ctx context.Context) error {
	t.mu.Lock()
	select {
	case <-t.hanging:
	default:
		close(t.hanging)
	}
	t.mu.Unlock()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.released:
		return errors.New("the test has ended while a request was waiting")
	}
}

// meetLimit is how long a request waits for another one.
const meetLimit = 2 * time.Millisecond

func (t *RemoteTransport) meet() {
	t.mu.Lock()
	waiting := t.meeting
	if waiting != nil {
		close(waiting)
		t.meeting = nil
		t.mu.Unlock()
		return
	}
	waiting = make(chan struct{})
	t.meeting = waiting
	t.mu.Unlock()
	select {
	case <-waiting:
	case <-time.After(meetLimit):
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.meeting == waiting {
			t.meeting = nil
		}
	}
}

// loseAnswer loses an answer, or the second half of its body.
func loseAnswer(resp *http.Response, kind faultKind) (*http.Response, error) {
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		return nil, err
	}
	if kind == faultDrop || len(body) == 0 {
		return nil, &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
	}
	resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body[:len(body)/2]), brokenReader{}))
	return resp, nil
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// markSent tells the request's trace that the server has received it.
func markSent(ctx context.Context) {
	trace := httptrace.ContextClientTrace(ctx)
	if trace == nil {
		return
	}
	if trace.WroteHeaders != nil {
		trace.WroteHeaders()
	}
	if trace.WroteRequest != nil {
		trace.WroteRequest(httptrace.WroteRequestInfo{})
	}
	if trace.GotFirstResponseByte != nil {
		trace.GotFirstResponseByte()
	}
}

// answer returns the answer of a fault with a status.
func (t *RemoteTransport) answer(req *http.Request, sent []byte, fault *transportFault) *http.Response {
	message := http.StatusText(fault.status)
	if fault.echo {
		var headers strings.Builder
		_ = req.Header.Write(&headers)
		message += ": " + req.URL.String() + " " + strings.Join(strings.Fields(headers.String()), " ") + " " + string(sent)
	}
	body := fault.body
	if body == "" {
		body = t.errorBody(fault.status, message)
	}
	header := http.Header{"Content-Type": {http.DetectContentType([]byte(body))}}
	if strings.HasPrefix(body, "{") || strings.HasPrefix(body, "[") {
		header.Set("Content-Type", "application/json")
	}
	for name, value := range fault.header {
		header.Set(name, value)
	}
	return &http.Response{
		Status: fmt.Sprintf("%d %s", fault.status, http.StatusText(fault.status)), StatusCode: fault.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), Request: req,
	}
}

// inject makes requests fail until clear.
func (t *RemoteTransport) inject(fault transportFault) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fault, t.matched, t.affected = &fault, 0, 0
}

func (t *RemoteTransport) clear() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fault = nil
}

// hits returns how many requests had the fault.
func (t *RemoteTransport) hits() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.affected
}

// count returns how many requests there were.
func (t *RemoteTransport) count() int { return len(t.since(0)) }

// since returns the requests from the nth one, counting from 0.
func (t *RemoteTransport) since(n int) []transportRequest {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.requests[n:])
}

// release ends the requests that hang.
func (t *RemoteTransport) release() { t.closed.Do(func() { close(t.released) }) }

// lockedBuffer is a buffer that several goroutines may write to.
type lockedBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
