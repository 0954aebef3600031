package sim

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// Mode is the way in which a Fault makes a call fail.
type Mode string

// The modes of a Fault.
const (
	ModeSlow      Mode = "slow"       // answers after DelayMS
	ModeDown      Mode = "down"       // closes the connection and changes nothing
	ModeError     Mode = "error"      // answers with Status, by default 500, and changes nothing
	ModeHTML      Mode = "html"       // answers with a page of HTML and Status, by default 502, and changes nothing
	ModeRefuse    Mode = "refuse"     // answers with Status, by default 400, Code and Message, and changes nothing
	ModeForbidden Mode = "forbidden"  // answers with 403 and the code 10000
	ModeRateLimit Mode = "rate_limit" // answers with 429 and Retry-After
	ModeLost      Mode = "lost"       // carries the call out, then closes the connection
	ModeCut       Mode = "cut"        // carries the call out, and closes the connection in the middle of the answer
	ModeNoTotal   Mode = "no_total"   // leaves the total out of a list
)

var modes = []Mode{ModeSlow, ModeDown, ModeError, ModeHTML, ModeRefuse, ModeForbidden, ModeRateLimit, ModeLost, ModeCut, ModeNoTotal}

// Fault makes calls of an operation fail.
type Fault struct {
	Operation string `json:"operation"`      // "" and "*" mean every operation
	Zone      string `json:"zone,omitempty"` // the name or identifier of a zone; "" means every zone
	Page      int    `json:"page,omitempty"` // of a list; 0 means every page
	Mode      Mode   `json:"mode"`
	Times     int    `json:"times,omitempty"` // the number of calls; 0 means all calls until Clear
	Every     int    `json:"every,omitempty"` // makes each call of that number fail: 10 is one in ten; 0 and 1 are all
	// Seconds is how long the fault stays. 0 means until Clear. With ModeRateLimit, Retry-After is the rest of this time.
	Seconds    int    `json:"seconds,omitempty"`
	DelayMS    int    `json:"delay_ms,omitempty"`
	RetryAfter int    `json:"retry_after,omitempty"` // in seconds; default 1
	Status     int    `json:"status,omitempty"`
	Code       int    `json:"code,omitempty"`
	Message    string `json:"message,omitempty"`

	until time.Time // zero if Seconds is 0
	met   int       // calls that the fault concerns
}

// Inject adds a fault. An unknown mode is an error.
func (s *Server) Inject(f Fault) error {
	if !slices.Contains(modes, f.Mode) {
		return fmt.Errorf("unknown mode %q; use one of %v", f.Mode, modes)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.Seconds > 0 {
		f.until = s.now().Add(time.Duration(f.Seconds) * time.Second)
	}
	s.faults = append(s.faults, &f)
	return nil
}

// Clear removes all faults.
func (s *Server) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// concerns reports whether the fault is one of a call. The caller holds the lock.
func (f *Fault) concerns(s *Server, operation string, r *http.Request) bool {
	if f.Operation != "" && f.Operation != "*" && f.Operation != operation {
		return false
	}
	if f.Zone != "" {
		z, _ := s.findZone(r.PathValue("zone"))
		if z == nil || z.name != f.Zone && z.id != f.Zone {
			return false
		}
	}
	return f.Page == 0 || strconv.Itoa(f.Page) == cmp.Or(r.FormValue("page"), "1")
}

// nextFault returns the fault of a call, and counts it as used. nil means that there is none.
func (s *Server) nextFault(operation string, r *http.Request) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	s.faults = slices.DeleteFunc(s.faults, func(f *Fault) bool { return !f.until.IsZero() && !now.Before(f.until) })
	for i, f := range s.faults {
		if !f.concerns(s, operation, r) {
			continue
		}
		if f.met++; f.met%max(1, f.Every) != 0 {
			continue
		}
		used := *f
		if f.Mode == ModeRateLimit && !f.until.IsZero() {
			used.RetryAfter = int(math.Ceil(f.until.Sub(now).Seconds()))
		}
		if f.Times == 1 {
			s.faults = slices.Delete(s.faults, i, i+1)
		} else if f.Times > 1 {
			f.Times--
		}
		return &used
	}
	return nil
}

// before applies the fault before the operation. It reports whether it has answered the call, which is then not
// carried out.
func (f *Fault) before(w http.ResponseWriter, r *http.Request) bool {
	switch f.Mode {
	case ModeSlow:
		select {
		case <-time.After(time.Duration(f.DelayMS) * time.Millisecond):
		case <-r.Context().Done():
		}
		return false
	case ModeDown:
		panic(http.ErrAbortHandler)
	case ModeError:
		failed(cmp.Or(f.Status, http.StatusInternalServerError), cmp.Or(f.Code, 10001), cmp.Or(f.Message, "Internal server error")).write(w)
	case ModeHTML:
		w.Header().Set("Content-Type", "text/html; charset=UTF-8")
		w.WriteHeader(cmp.Or(f.Status, http.StatusBadGateway))
		_, _ = io.WriteString(w, "<!DOCTYPE html><html><head><title>api.cloudflare.com | 502: Bad gateway</title></head><body></body></html>")
	case ModeRefuse:
		failed(cmp.Or(f.Status, http.StatusBadRequest), f.Code, cmp.Or(f.Message, "The request was refused.")).write(w)
	case ModeForbidden:
		failed(http.StatusForbidden, 10000, "Authentication error").write(w)
	case ModeRateLimit:
		w.Header().Set("Retry-After", strconv.Itoa(max(1, f.RetryAfter)))
		failed(http.StatusTooManyRequests, 971, "Please wait and consider throttling your request speed").write(w)
	case ModeLost, ModeCut, ModeNoTotal:
		return false
	}
	return true
}

// after applies the fault after the operation. It reports whether it has answered the call.
func (f *Fault) after(w http.ResponseWriter, a *answer) bool {
	switch f.Mode {
	case ModeLost:
		panic(http.ErrAbortHandler) // net/http closes the connection
	case ModeCut:
		body := a.body()
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(a.status)
		_, _ = w.Write(body[:len(body)/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	case ModeNoTotal:
		a.info = nil
	case ModeSlow, ModeDown, ModeError, ModeHTML, ModeRefuse, ModeForbidden, ModeRateLimit:
	}
	return false
}
