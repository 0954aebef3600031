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
	ModeDown      Mode = "down"       // closes the connection and changes nothing
	ModeError     Mode = "error"      // answers with Status, by default 500, and Message, and changes nothing
	ModeHTML      Mode = "html"       // answers with a page of HTML and Status, by default 502, and changes nothing
	ModeRateLimit Mode = "rate_limit" // answers with 429 and Retry-After, as a proxy in front of the server does
	ModeLost      Mode = "lost"       // carries the call out, then closes the connection
	ModeCut       Mode = "cut"        // carries the call out, and closes the connection in the middle of the answer
)

var modes = []Mode{ModeDown, ModeError, ModeHTML, ModeRateLimit, ModeLost, ModeCut}

// Fault makes calls of an operation fail.
type Fault struct {
	Operation string `json:"operation"`       // "" and "*" mean every operation
	Realm     string `json:"realm,omitempty"` // "" means every realm
	First     string `json:"first,omitempty"` // of a list: the offset of a page; "" means every page
	Mode      Mode   `json:"mode"`
	Times     int    `json:"times,omitempty"`   // the number of calls; 0 means all calls until Clear
	Every     int    `json:"every,omitempty"`   // makes each call of that number fail: 10 is one in ten; 0 and 1 are all
	Seconds   int    `json:"seconds,omitempty"` // how long the fault stays, and then Retry-After is what is left; 0 means until Clear
	Status    int    `json:"status,omitempty"`
	Message   string `json:"message,omitempty"`

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

// concerns reports whether the fault is one of a call.
func (f *Fault) concerns(operation string, r *http.Request) bool {
	return (f.Operation == "" || f.Operation == "*" || f.Operation == operation) &&
		(f.Realm == "" || f.Realm == r.PathValue("realm")) &&
		(f.First == "" || f.First == cmp.Or(r.URL.Query().Get("first"), "0"))
}

// nextFault returns the fault of a call, and counts it as used. nil means that there is none.
func (s *Server) nextFault(operation string, r *http.Request) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	s.faults = slices.DeleteFunc(s.faults, func(f *Fault) bool { return !f.until.IsZero() && !now.Before(f.until) })
	for i, f := range s.faults {
		if !f.concerns(operation, r) {
			continue
		}
		if f.met++; f.met%max(1, f.Every) != 0 {
			continue
		}
		used := *f
		if !f.until.IsZero() {
			used.Seconds = int(math.Ceil(f.until.Sub(now).Seconds()))
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

// before applies the fault before the operation. It reports whether it has answered the call, which is then not carried
// out.
func (f *Fault) before(w http.ResponseWriter) bool {
	switch f.Mode {
	case ModeDown:
		panic(http.ErrAbortHandler)
	case ModeError:
		failed(cmp.Or(f.Status, http.StatusInternalServerError), cmp.Or(f.Message, "unknown_error")).write(w)
	case ModeHTML:
		w.Header().Set("Content-Type", "text/html; charset=UTF-8")
		w.WriteHeader(cmp.Or(f.Status, http.StatusBadGateway))
		_, _ = io.WriteString(w, "<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body></body></html>")
	case ModeRateLimit:
		w.Header().Set("Retry-After", strconv.Itoa(max(1, f.Seconds)))
		failed(http.StatusTooManyRequests, "HTTP 429 Too Many Requests").write(w)
	case ModeLost, ModeCut:
		return false
	}
	return true
}

// after applies the fault after the operation. It reports whether it has answered the call.
func (f *Fault) after(w http.ResponseWriter, a answer) bool {
	switch f.Mode {
	case ModeLost:
		panic(http.ErrAbortHandler) // net/http closes the connection
	case ModeCut:
		body := a.text()
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)+1))
		w.WriteHeader(a.status)
		_, _ = w.Write(body[:len(body)/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	case ModeDown, ModeError, ModeHTML, ModeRateLimit:
	}
	return false
}
