package remote

import (
	"context"
	"time"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/remotecall"
)

// record counts an attempt of a call in the ledger. ctx is that of its span.
func (e *exchange) record(ctx context.Context, start time.Time, answer *Answer, err error) {
	now := e.remote.config.Now()
	call := remotecall.Call{
		Scope: e.scope, Budget: e.class(), Server: e.req.URL.Host, Method: e.req.Method, Template: e.template(),
		Class: string(fault.ClassOf(err)), Start: start, Duration: now.Sub(start), Left: -1,
	}
	if answer != nil {
		call.Status = answer.Status
	}
	if left, reset, ok := e.left(answer, now); ok {
		call.Left, call.Reset = int64(left), now.Add(reset)
	}
	e.remote.record(ctx, call)
}

// left returns how many calls are left and when there are all again, as the answer says, or else the budget.
func (e *exchange) left(answer *Answer, now time.Time) (left int, reset time.Duration, ok bool) {
	if answer != nil {
		if left, reset, ok = leftOf(answer.Header, now); ok {
			return left, reset, ok
		}
	}
	return e.remote.budgets.left(e.scope, e.class())
}

// left returns how many calls are left of the budgets of a class, the lowest number that this process knows, and
// how long a window is. It does not wait for Redis.
func (b *budgets) left(scope, class string) (left int, window time.Duration, ok bool) {
	for _, l := range b.of(scope, class) {
		select {
		case l.turn <- struct{}{}:
		default: // another call asks Redis, and will know
			continue
		}
		n, known := l.left, l.left >= 0 && l.terms.Calls > 0 && l.awaySince.IsZero()
		l.unlock()
		if known && (!ok || n < left) {
			left, window, ok = n, l.budget.Window, true
		}
	}
	return left, window, ok
}
