package remote

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/remotecall"
)

// record counts an attempt of a call in the ledger.
func (e *exchange) record(start time.Time, answer *Answer, err error) {
	now := e.remote.config.Now()
	call := remotecall.Call{
		Scope: e.scope, Server: e.req.URL.Host, Method: e.req.Method, Class: string(fault.ClassOf(err)), Start: start, Duration: now.Sub(start), Left: -1,
	}
	if template := e.remote.config.Template; template != nil {
		call.Template = template(e.req)
	}
	if class := e.remote.config.Class; class != nil {
		call.Budget = class(e.req)
	}
	if answer != nil {
		call.Status = answer.Status
		if left, reset, ok := quotaLeft(answer.Header); ok {
			call.Left, call.Reset = left, now.Add(reset)
		}
	}
	e.remote.record(e.req.Context(), call)
}

// quotaLeft returns how many calls are left according to `Ratelimit: "default";r=50;t=30`, the lowest of
// several, and for how long.
func quotaLeft(h http.Header) (left int64, reset time.Duration, ok bool) {
	for item := range strings.SplitSeq(strings.Join(h.Values("Ratelimit"), ","), ",") {
		numbers := map[string]int64{}
		for parameter := range strings.SplitSeq(item, ";") {
			key, value, _ := strings.Cut(strings.TrimSpace(parameter), "=")
			if n, err := strconv.ParseInt(value, 10, 32); err == nil && n >= 0 {
				numbers[key] = n
			}
		}
		r, hasLeft := numbers["r"]
		t, hasReset := numbers["t"]
		if hasLeft && hasReset && (!ok || r < left) {
			left, reset, ok = r, time.Duration(t)*time.Second, true
		}
	}
	return left, reset, ok
}
