package remote

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nawasara/nawasync/fault"
)

// Error says which call has failed. It is the cause inside the *fault.Error that has the class; find it
// with errors.As. Its text contains no secret and no body.
type Error struct {
	Service  string
	Method   string
	Endpoint string // the template or Call.Endpoint; without one, the path
	// Status is the status of the answer, 0 without a complete one.
	Status int
	// Sent reports whether the server may have received the request. If not, it has changed nothing.
	Sent bool
	// Err is the cause.
	Err error
}

// Error returns the text.
func (e *Error) Error() string {
	text := e.Service + " " + e.Method + " " + e.Endpoint
	if e.Status != 0 && !isSuccess(e.Status) {
		text += fmt.Sprintf(": HTTP %d", e.Status)
	}
	return text + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// fail returns the error of a call without a complete answer.
func (e *exchange) fail(class fault.Class, hint string, err error) error {
	return e.failed(&fault.Error{Class: class, Hint: hint, Err: err}, 0)
}

// failed adds to an error which call has failed, and removes secrets.
func (e *exchange) failed(f *fault.Error, status int) error {
	redactor := e.redactor()
	method := cmp.Or(e.req.Method, "GET")
	cause := &Error{Service: e.remote.config.Service, Method: method, Endpoint: e.shownEndpoint(redactor), Status: status, Sent: e.sent.Load()}
	cause.Err = redact(redactor, f.Err)
	out := &fault.Error{Class: f.Class, RetryAfter: f.RetryAfter, Err: cause}
	if f.Hint != "" {
		out.Hint = redactor.Clip(oneLine(f.Hint), maxText)
	}
	return out
}

// unanswered returns the error of a request without a complete answer. ctx is the attempt's.
func (e *exchange) unanswered(ctx context.Context, err error) error {
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &certificate):
		return e.fail(fault.ClassConfig, "the server's certificate is not trusted: install a valid certificate, or set SSL_CERT_FILE to its CA", err)
	case errors.As(err, &record), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return e.fail(fault.ClassConfig, "the server does not speak TLS on this port: check scheme and port of the URL", err)
	case e.req.Context().Err() != nil:
		return e.interrupted(context.Cause(e.req.Context()))
	case ctx.Err() != nil:
		e.timedOut = true
		err = fmt.Errorf("%w: waited %s", errTimeout, e.remote.config.Timeout.Round(time.Millisecond))
		if e.sent.Load() && e.read {
			return e.fail(fault.ClassTimeout, "", err)
		}
	}
	if e.sent.Load() {
		return e.incomplete(err, 0)
	}
	return e.fail(fault.ClassTransient, "check that the server runs and that this machine can reach it", err)
}

// interrupted returns the error of a call whose caller has given up. A write that may have been sent has
// an unknown outcome; otherwise the class is that of the caller's cause.
func (e *exchange) interrupted(cause error) error {
	if e.sent.Load() && !e.read {
		return e.incomplete(cause, 0)
	}
	return e.fail("", "", cause)
}

// incomplete returns the error of an exchange without a usable answer. A write may have happened, so its
// outcome is unknown. A read can be repeated.
func (e *exchange) incomplete(err error, status int) error {
	f := &fault.Error{Class: fault.ClassTransient, Err: err}
	if !e.read {
		f.Class, f.Hint = fault.ClassUnknownOutcome, "the server may have made the change"
	}
	return e.failed(f, status)
}
