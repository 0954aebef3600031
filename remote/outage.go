package remote

import (
	"context"

	"github.com/nawasara/nawasync/fault"
)

// outcome says for the breaker how an attempt has ended; see allow. ctx is the attempt's.
func (e *exchange) outcome(ctx context.Context, answer *Answer, err error) (connErr, ok bool, object string) {
	class := fault.ClassOf(err)
	unusable := class == fault.ClassTransient || class == fault.ClassTimeout || class == fault.ClassUnknownOutcome
	switch {
	case answer != nil && !unusable, e.oversized:
		return false, true, ""
	case answer != nil && answer.Status < 500: // such as a proxy's page
		return false, false, ""
	case answer != nil:
		return false, false, e.object
	case e.req.Context().Err() != nil || !unusable: // the caller has given up, or the certificate is not trusted
		return false, false, ""
	case ctx.Err() != nil && e.sent.Load():
		return false, false, e.object
	}
	return true, false, ""
}

// unavailable returns the error of an attempt that has changed nothing, while the breaker is open.
func unavailable(err error) error {
	out := &fault.Error{Class: fault.ClassUnavailable, Hint: hintUnavailable, Err: err}
	if f := fault.Outermost(err); f != nil {
		out.Err = f.Err
	}
	return out
}
