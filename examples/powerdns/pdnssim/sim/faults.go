package sim

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/nawasara/nawasync/examples/internal/simcontrol"
)

// Mode is the way in which a Fault makes a call fail.
type Mode string

// The modes of a Fault.
const (
	ModeSlow  Mode = "slow"  // answers after DelayMS
	ModeDown  Mode = "down"  // closes the connection and changes nothing
	ModeError Mode = "error" // answers with Status, by default 500, and changes nothing
	ModeHTML  Mode = "html"  // answers with a page of HTML and Status, by default 502, and changes nothing
	ModeLost  Mode = "lost"  // carries the call out, then closes the connection
	ModeCut   Mode = "cut"   // carries the call out, and closes the connection in the middle of the answer
)

var modes = []Mode{ModeSlow, ModeDown, ModeError, ModeHTML, ModeLost, ModeCut}

// Fault makes calls of an operation fail.
type Fault struct {
	Operation string `json:"operation"` // "" and "*" mean every operation
	Mode      Mode   `json:"mode"`
	Times     int    `json:"times,omitempty"` // the number of calls; 0 means all calls until Clear
	Every     int    `json:"every,omitempty"` // makes each call of that number fail: 10 is one in ten; 0 and 1 are all
	DelayMS   int    `json:"delay_ms,omitempty"`
	Status    int    `json:"status,omitempty"`

	met int // calls that the fault concerns
}

// Inject adds a fault. An unknown mode is an error.
func (s *Server) Inject(f Fault) error {
	if !slices.Contains(modes, f.Mode) {
		return fmt.Errorf("unknown mode %q; use one of %v", f.Mode, modes)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &f)
	return nil
}

// Clear removes all faults.
func (s *Server) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// nextFault counts a call and returns its fault, which it counts as used. nil means that there is none.
func (s *Server) nextFault(operation string) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[operation]++
	for i, f := range s.faults {
		if f.Operation != "" && f.Operation != "*" && f.Operation != operation {
			continue
		}
		if f.met++; f.met%max(1, f.Every) != 0 {
			continue
		}
		used := *f
		if f.Times == 1 {
			s.faults = slices.Delete(s.faults, i, i+1)
		} else if f.Times > 1 {
			f.Times--
		}
		return &used
	}
	return nil
}

// before applies the fault before the operation. It reports whether it has answered the call, which is then not carried out.
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
		plain(cmp.Or(f.Status, http.StatusInternalServerError)).write(w)
	case ModeHTML:
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(cmp.Or(f.Status, http.StatusBadGateway))
		_, _ = io.WriteString(w, "<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body></body></html>")
	case ModeLost, ModeCut:
		return false
	}
	return true
}

// after applies the fault after the operation.
func (f *Fault) after(w http.ResponseWriter, a answer) {
	switch f.Mode {
	case ModeLost:
		panic(http.ErrAbortHandler) // net/http closes the connection
	case ModeCut:
		kind, text := a.body()
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Content-Length", strconv.Itoa(len(text)))
		w.WriteHeader(a.status)
		_, _ = w.Write(text[:len(text)/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	case ModeSlow, ModeDown, ModeError, ModeHTML:
	}
}

// ControlToken returns the token that requests to the control API need.
func (s *Server) ControlToken() string { return s.controlToken }

// controlMux serves the control API.
func (s *Server) controlMux() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /control/faults", func(w http.ResponseWriter, r *http.Request) {
		var f Fault
		if simcontrol.Decode(w, r, &f) {
			simcontrol.WriteResult(w, s.Inject(f))
		}
	})
	mux.HandleFunc("DELETE /control/faults", func(w http.ResponseWriter, _ *http.Request) {
		s.Clear()
		simcontrol.WriteResult(w, nil)
	})
	mux.HandleFunc("GET /control/calls", func(w http.ResponseWriter, _ *http.Request) { simcontrol.Write(w, s.Calls()) })
	return mux
}
