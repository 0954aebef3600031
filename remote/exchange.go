package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"

	"golang.org/x/oauth2"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/secret"
)

// retryPause is the pause before a read is sent again.
const retryPause = 100 * time.Millisecond

// exchange is one call: the request, and what is known about it. It is not safe for concurrent use.
type exchange struct {
	remote   *Remote
	scope    string // the limit scope
	req      *http.Request
	read     bool                // the request changes nothing
	object   string              // what the request is about, for the breaker
	endpoint string              // as Call names it
	secrets  []secret.Secret     // of this request
	envelope func(*Answer) error // nil accepts status 2xx

	tokenless bool          // the call is a request for an access token, and gets none
	token     *oauth2.Token // of the last attempt

	attempts                 int
	sent                     atomic.Bool // the server may have received the request
	begun                    bool        // the answer has begun
	timedOut                 bool        // the attempt took longer than Config.Timeout
	retried, waited, renewed bool
}

// do makes the call. The answer is nil if there is none; with an answer, the error is what it reports.
func (e *exchange) do() (*Answer, error) {
	for {
		answer, err := e.attempt()
		if err == nil || !e.again(answer, err) {
			e.closeBody()
			return answer, err
		}
	}
}

// closeBody closes the body of a request that was not sent, as net/http does with one that was.
func (e *exchange) closeBody() {
	if e.attempts == 0 && e.req.Body != nil {
		_ = e.req.Body.Close()
	}
}

// again decides whether the call is made once more, and waits until then. Only a read is repeated because
// it has failed. A call that the server has refused, for a short time or because of its access token, was
// not done.
func (e *exchange) again(answer *Answer, err error) bool {
	classified := fault.Outermost(err)
	if classified == nil || e.attempts == 0 || e.req.Context().Err() != nil || !e.repeatable() {
		return false
	}
	switch {
	case answer != nil && answer.Status == http.StatusUnauthorized && e.token != nil:
		e.remote.dropToken(e.scope, e.token)
		again := !e.renewed
		e.renewed = true
		return again
	case classified.Class == fault.ClassRateLimited:
		if e.waited || answer == nil || classified.RetryAfter <= 0 || classified.RetryAfter > e.remote.config.MaxWait {
			return false
		}
		e.waited = true
		return e.pause(classified.RetryAfter)
	case classified.Class == fault.ClassTransient && e.read && !e.retried:
		e.retried = true
		return e.pause(retryPause)
	}
	return false
}

// pause waits. It reports whether the context is still valid.
func (e *exchange) pause(wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-e.req.Context().Done():
		return false
	}
}

// repeatable reports whether the body of the request can be sent again.
func (e *exchange) repeatable() bool {
	return e.req.Body == nil || e.req.Body == http.NoBody || e.req.GetBody != nil
}

var errTimeout = errors.New("no complete answer in time")

// attempt sends the request once and reads the answer.
func (e *exchange) attempt() (*Answer, error) {
	e.sent.Store(false)
	e.begun, e.timedOut = false, false
	token, err := e.accessToken(e.req.Context())
	if err != nil {
		return nil, e.tokenError(err)
	}
	done, err := e.remote.allow(e.req.Context(), e.scope)
	if err != nil {
		return nil, err
	}
	if err := e.remote.takeBudget(e.req.Context(), e.scope, e.class()); err != nil {
		_ = done(false, false, "")
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(e.req.Context(), e.remote.config.Timeout, errTimeout)
	defer cancel()
	req, err := e.request(ctx, token)
	if err != nil {
		_ = done(false, false, "")
		return nil, err
	}
	e.attempts++
	answer, err := e.send(req)
	return e.ended(done, answer, err)
}

// send sends a request, and counts and traces it.
func (e *exchange) send(req *http.Request) (*Answer, error) {
	req, span := e.startSpan(req)
	start := e.remote.config.Now()
	answer, err := e.roundTrip(req)
	if err == nil {
		err = e.check(answer)
	}
	e.record(req.Context(), start, answer, err)
	endSpan(span, answer, err)
	return answer, err
}

// class returns the class of endpoints whose budget the call uses.
func (e *exchange) class() string {
	if e.remote.config.Class == nil {
		return ""
	}
	return e.remote.config.Class(e.req)
}

// request returns the request of the next attempt.
func (e *exchange) request(ctx context.Context, token *oauth2.Token) (req *http.Request, err error) {
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { e.sent.Store(true) }})
	req = e.req.Clone(ctx)
	if e.attempts > 0 && e.req.GetBody != nil {
		if req.Body, err = e.req.GetBody(); err != nil {
			return nil, e.fail(fault.ClassConfig, "", fmt.Errorf("repeat the body of the request: %w", err))
		}
	}
	if token != nil {
		e.token = token
		token.SetAuthHeader(req)
	}
	return req, nil
}

// ended tells the breaker how an attempt has ended. If the breaker is open now and nothing was changed, the call
// fails because the remote is unavailable.
func (e *exchange) ended(done func(connErr, ok bool, object string) error, answer *Answer, err error) (*Answer, error) {
	lost, failed := false, false
	switch {
	case e.req.Context().Err() != nil, fault.ClassOf(err) == fault.ClassConfig: // says nothing about the remote
	case answer != nil:
		failed = answer.Status >= 500
	default:
		lost, failed = !e.sent.Load() || !e.begun && !e.timedOut, true
	}
	object := ""
	if failed {
		object = e.object
	}
	unavailable := done(lost, answer != nil && !failed, object)
	if unavailable != nil && (e.read || !e.sent.Load()) {
		return nil, fmt.Errorf("%w: %w", unavailable, err)
	}
	return answer, err
}

// roundTrip sends a request and reads the answer completely.
func (e *exchange) roundTrip(req *http.Request) (*Answer, error) {
	resp, err := e.remote.config.Base.RoundTrip(req)
	if err != nil {
		return nil, e.unanswered(req.Context(), err)
	}
	defer func() { _ = resp.Body.Close() }()
	e.sent.Store(true)
	e.begun = true
	e.remote.noteLimits(req.Context(), e.scope, e.class(), resp)
	limit := e.remote.config.MaxBody
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	switch {
	case err != nil:
		return nil, e.unanswered(req.Context(), fmt.Errorf("read the answer: %w", err))
	case int64(len(body)) > limit:
		err := fmt.Errorf("the answer is larger than %d bytes; ask for fewer objects at once, or raise remote.Config.MaxBody", limit)
		if e.read {
			return nil, e.fail(fault.ClassPermanent, "", err)
		}
		return nil, e.incomplete(err, 0)
	}
	return &Answer{Status: resp.StatusCode, Header: resp.Header, Body: body, Data: body, Read: e.read}, nil
}

// template returns the endpoint of the call with placeholders, or "".
func (e *exchange) template() (endpoint string) {
	endpoint = e.endpoint
	if endpoint == "" && e.remote.config.Template != nil {
		endpoint = e.remote.config.Template(e.req)
	}
	if endpoint == "" && e.tokenless {
		endpoint = tokenEndpoint
	}
	return endpoint
}
