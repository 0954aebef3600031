package remote

import (
	"bytes"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/nawasara/nawasync/fault"
)

func isSuccess(status int) bool { return status >= 200 && status < 300 }

// check returns the error that an answer reports, or nil.
func (e *exchange) check(a *Answer) error {
	var reported error
	if e.envelope != nil {
		reported = e.envelope(a)
	}
	f := fault.Outermost(reported)
	switch {
	case reported == nil && isSuccess(a.Status):
		return nil
	case f != nil:
		f = takeApart(reported, f)
	case isSuccess(a.Status): // the answer has not the form of an answer
		return e.incomplete(reported, a.Status)
	default:
		f = e.ofStatus(a)
		if reported != nil {
			f.Err = reported
		}
	}
	if f.Class == fault.ClassRateLimited && f.RetryAfter == 0 {
		f.RetryAfter = e.remote.retryAfter(a)
	}
	return e.failed(f, a.Status)
}

// takeApart returns an error with the class of f, which is in its tree. The text has the hint once.
func takeApart(err error, f *fault.Error) *fault.Error {
	if err != error(f) { //nolint:errorlint // the text of another error has the hint already
		return &fault.Error{Class: f.Class, RetryAfter: f.RetryAfter, Err: err}
	}
	out := *f
	if out.Err == nil {
		out.Err = errors.New(string(f.Class))
	}
	return &out
}

// ofStatus classifies an answer by its status.
func (e *exchange) ofStatus(a *Answer) *fault.Error {
	f := &fault.Error{Class: classOfStatus(a.Status, e.req.Method, e.read), Err: errors.New(textOfStatus(a))}
	switch {
	case a.Status == http.StatusUnauthorized:
		f.Hint = "check the credentials"
	case a.Status == http.StatusForbidden:
		f.Hint = "check what the credentials may do"
	case a.Status == http.StatusServiceUnavailable && f.Class == fault.ClassTransient && a.Header.Get("Retry-After") != "":
		f.Class = fault.ClassRateLimited
	case f.Class == fault.ClassUnknownOutcome:
		f.Hint = "the server may have made the change"
	case a.Status >= 300 && a.Status < 400:
		f.Hint = "set the URL to the redirect's target: " + redirectTarget(a.Header.Get("Location"))
	case f.Class == fault.ClassConfig:
		f.Hint = "check the URL and the method"
	}
	return f
}

// textOfStatus says what is known of an answer that has only a status. Its body is not quoted.
func textOfStatus(a *Answer) string {
	text := http.StatusText(a.Status)
	if text == "" {
		text = "unknown status"
	}
	if bytes.HasPrefix(bytes.TrimSpace(a.Body), []byte("<")) {
		text += ", with an HTML page"
	}
	return text
}

// redirectTarget returns a URL without its query, which may have credentials.
func redirectTarget(location string) string {
	target, err := url.Parse(location)
	if err != nil {
		return "(not a URL)"
	}
	return (&url.URL{Scheme: target.Scheme, Host: target.Host, Path: target.Path}).String()
}

// classOfStatus returns the class of a status that is not 2xx.
func classOfStatus(status int, method string, read bool) fault.Class {
	switch status {
	case http.StatusUnauthorized:
		return fault.ClassCredentials
	case http.StatusForbidden:
		return fault.ClassForbidden
	case http.StatusNotFound, http.StatusGone:
		return fault.ClassGone
	case http.StatusTooManyRequests:
		return fault.ClassRateLimited
	case http.StatusConflict:
		if method == http.MethodPost {
			return fault.ClassAlreadyExists
		}
		return fault.ClassConflict
	case http.StatusPreconditionFailed:
		return fault.ClassConflict
	case http.StatusRequestTimeout, http.StatusLocked, http.StatusTooEarly: // not done
		return fault.ClassTransient
	case http.StatusMethodNotAllowed, http.StatusProxyAuthRequired, http.StatusNotImplemented:
		return fault.ClassConfig
	}
	switch {
	case status >= 500 && read:
		return fault.ClassTransient
	case status >= 500:
		return fault.ClassUnknownOutcome
	case status >= 400:
		return fault.ClassPermanent
	}
	return fault.ClassConfig // 1xx and 3xx
}

// retryAfter returns how long the answer asks to wait, or 0.
func (r *Remote) retryAfter(a *Answer) time.Duration {
	wait, asked := retryAfterOf(a.Header, r.config.Now())
	if !asked {
		return 0
	}
	return max(wait, time.Second)
}
