package sim

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nawasara/nawasync/examples/internal/simcontrol"
)

// Mode is the way in which a Fault makes a call fail.
type Mode string

// The modes of a Fault.
const (
	ModeSlow      Mode = "slow"       // executes the function after DelayMS
	ModeDown      Mode = "down"       // closes the connection and changes nothing
	ModeError500  Mode = "error500"   // answers with HTTP 500 and changes nothing
	ModeGarbage   Mode = "garbage"    // answers with an HTML page and changes nothing
	ModeTruncated Mode = "truncated"  // answers with incomplete JSON and changes nothing
	ModeRefuse    Mode = "refuse"     // answers with HTTP 200, result 0 and Reason
	ModeForbidden Mode = "forbidden"  // answers with HTTP 403
	ModeRateLimit Mode = "rate_limit" // answers with HTTP 429 and Retry-After
	ModeLost      Mode = "lost"       // executes the function, then closes the connection
)

// Fault makes calls of a function fail.
type Fault struct {
	Function string `json:"function"` // "" and "*" mean every function
	Mode     Mode   `json:"mode"`
	Times    int    `json:"times"` // the number of calls; 0 means all calls until Clear
	// Seconds is how long the fault stays. 0 means until Clear. With ModeRateLimit, Retry-After is the rest of
	// this time.
	Seconds    int    `json:"seconds,omitempty"`
	DelayMS    int    `json:"delay_ms,omitempty"`
	RetryAfter int    `json:"retry_after,omitempty"` // in seconds; default 1
	Reason     string `json:"reason,omitempty"`

	until time.Time // zero if Seconds is 0
}

var modes = []Mode{ModeSlow, ModeDown, ModeError500, ModeGarbage, ModeTruncated, ModeRefuse, ModeForbidden, ModeRateLimit, ModeLost}

// Inject adds a fault. An unknown mode is an error.
func (s *Server) Inject(f Fault) error {
	if !slices.Contains(modes, f.Mode) {
		return fmt.Errorf("unknown mode %q; use one of %v", f.Mode, modes)
	}
	if f.Seconds > 0 {
		f.until = time.Now().Add(time.Duration(f.Seconds) * time.Second)
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

// nextFault returns the first fault for a call of the function and counts it as used. nil means that
// there is no fault.
func (s *Server) nextFault(function string) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.faults = slices.DeleteFunc(s.faults, func(f *Fault) bool { return !f.until.IsZero() && !now.Before(f.until) })
	for i, f := range s.faults {
		if f.Function != "" && f.Function != "*" && f.Function != function {
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

// before applies the fault before the function is executed. It reports whether the fault has
// answered the call; if so, the function must not be executed.
func (f *Fault) before(w http.ResponseWriter, r *http.Request, function string) bool {
	switch f.Mode {
	case ModeSlow:
		select {
		case <-time.After(time.Duration(f.DelayMS) * time.Millisecond):
		case <-r.Context().Done():
		}
		return false
	case ModeDown:
		closeConnection(w)
	case ModeError500:
		http.Error(w, "Internal Server Error", http.StatusInternalServerError)
	case ModeGarbage:
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<html><body><h1>It works!</h1></body></html>")
	case ModeTruncated:
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"metadata":{"result":1,"rea`)
	case ModeRefuse:
		reason := f.Reason
		if reason == "" {
			reason = "The system could not do that."
		}
		if strings.HasSuffix(r.URL.Path, "/cpanel") {
			write(w, okAnswer(map[string]any{"apiversion": 3, "func": function, "module": "Email", "result": uapiFailed(reason)}))
		} else {
			write(w, whmFailed(function, reason))
		}
	case ModeForbidden:
		write(w, answer{http.StatusForbidden, accessDenied})
	case ModeRateLimit:
		w.Header().Set("Retry-After", strconv.Itoa(max(1, f.RetryAfter)))
		http.Error(w, "Too Many Requests", http.StatusTooManyRequests)
	case ModeLost:
		return false
	}
	return true
}

// after applies the fault after the function was executed. It reports whether the fault replaced the
// answer.
func (f *Fault) after(w http.ResponseWriter) bool {
	if f.Mode != ModeLost {
		return false
	}
	closeConnection(w)
	return true
}

// closeConnection closes the connection without an answer.
func closeConnection(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err == nil {
		_ = conn.Close()
	}
}

// Tally counts the calls for one mailbox or account by function, and the changes that they made.
type Tally struct {
	Calls   map[string]int `json:"calls"`
	Actions map[string]int `json:"effective"`
}

func (t *Tally) clone() Tally { return Tally{maps.Clone(t.Calls), maps.Clone(t.Actions)} }

// countCall counts a call of the function, in total and for the account or mailbox in its form.
func (s *Server) countCall(function string, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[function]++
	if user := userOf(r); user != "" {
		s.tally(user).Calls[function]++
	}
	if a := s.byUser(r.Form.Get("cpanel_jsonapi_user")); a != nil {
		if _, email := requestedMailbox(a, r); email != "" {
			s.tally(email).Calls[function]++
		}
	}
}

// countChange counts a change that the function made to an account or a mailbox. The name is a
// username or an address.
func (s *Server) countChange(name, function string) { s.tally(name).Actions[function]++ }

// tally returns the counts of an account or a mailbox.
func (s *Server) tally(name string) *Tally {
	t := s.tallies[name]
	if t == nil {
		t = &Tally{Calls: map[string]int{}, Actions: map[string]int{}}
		s.tallies[name] = t
	}
	return t
}

// State is a mailbox in the control API. Edit leaves fields that are nil unchanged.
type State struct {
	Email             string `json:"email"`
	Account           string `json:"account,omitempty"`
	Exists            bool   `json:"exists"`
	QuotaMB           *int64 `json:"quota_mb,omitempty"` // 0 is unlimited
	SuspendedLogin    *bool  `json:"suspended_login,omitempty"`
	SuspendedIncoming *bool  `json:"suspended_incoming,omitempty"`
	Tally
}

// Mailbox returns the state of a mailbox. The counts remain after the mailbox is deleted.
func (s *Server) Mailbox(email string) State {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := State{Email: email, Tally: s.tally(email).clone()}
	a, m := s.find(email)
	if m == nil {
		return state
	}
	state.Exists, state.Account, state.QuotaMB = true, a.user, new(m.quota/mebibyte)
	state.SuspendedLogin, state.SuspendedIncoming = new(m.suspendedLogin), new(m.suspendedIncoming)
	return state
}

// Count returns the number of mailboxes of all accounts.
func (s *Server) Count() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.accounts {
		n += len(a.boxes)
	}
	return n
}

// Edit changes a mailbox without an API call, like a user of WHM's own pages. Edit creates the
// mailbox if it does not exist.
func (s *Server) Edit(email string, to State) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, m := s.find(email)
	if m == nil {
		name, domain, _ := strings.Cut(email, "@")
		i := slices.IndexFunc(s.accounts, func(a *account) bool { return a.domain == domain })
		if i < 0 || name == "" {
			return fmt.Errorf("no account has the domain of the mailbox %q", email)
		}
		m = &mailbox{name: name, domain: domain}
		s.accounts[i].boxes[email] = m
	}
	if to.QuotaMB != nil {
		m.quota = *to.QuotaMB * mebibyte
	}
	if to.SuspendedLogin != nil {
		m.suspendedLogin = *to.SuspendedLogin
	}
	if to.SuspendedIncoming != nil {
		m.suspendedIncoming = *to.SuspendedIncoming
	}
	return nil
}

// Remove deletes a mailbox without an API call.
func (s *Server) Remove(email string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a, _ := s.find(email); a != nil {
		delete(a.boxes, email)
	}
}

// Password reports whether the mailbox exists and has the password.
func (s *Server) Password(email, password string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, m := s.find(email)
	want := sha256.Sum256([]byte(password))
	return m != nil && subtle.ConstantTimeCompare(m.password[:], want[:]) == 1
}

// Calls returns the number of calls of a function.
func (s *Server) Calls(function string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[function]
}

// controlMux serves the control API that docs/whm.md describes.
func (s *Server) controlMux() *http.ServeMux {
	mux := http.NewServeMux()
	s.handleFaults(mux)
	s.handleMailboxes(mux)
	s.handleAccounts(mux)
	mux.HandleFunc("GET /control/calls", func(w http.ResponseWriter, _ *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		write(w, okAnswer(s.calls))
	})
	return mux
}

func (s *Server) handleFaults(mux *http.ServeMux) {
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
	mux.HandleFunc("GET /control/faults", func(w http.ResponseWriter, _ *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		write(w, okAnswer(append([]*Fault{}, s.faults...)))
	})
}

func (s *Server) handleMailboxes(mux *http.ServeMux) {
	mux.HandleFunc("GET /control/mailboxes/{email}", func(w http.ResponseWriter, r *http.Request) {
		write(w, okAnswer(s.Mailbox(r.PathValue("email"))))
	})
	mux.HandleFunc("PUT /control/mailboxes/{email}", func(w http.ResponseWriter, r *http.Request) {
		var to State
		if simcontrol.Decode(w, r, &to) {
			simcontrol.WriteResult(w, s.Edit(r.PathValue("email"), to))
		}
	})
	mux.HandleFunc("DELETE /control/mailboxes/{email}", func(w http.ResponseWriter, r *http.Request) {
		s.Remove(r.PathValue("email"))
		simcontrol.WriteResult(w, nil)
	})
	mux.HandleFunc("POST /control/password", func(w http.ResponseWriter, r *http.Request) {
		var q struct{ Email, Password string }
		if simcontrol.Decode(w, r, &q) {
			write(w, okAnswer(map[string]bool{"match": s.Password(q.Email, q.Password)}))
		}
	})
}

func (s *Server) handleAccounts(mux *http.ServeMux) {
	mux.HandleFunc("GET /control/accounts/{user}", func(w http.ResponseWriter, r *http.Request) {
		write(w, okAnswer(s.Account(r.PathValue("user"))))
	})
	mux.HandleFunc("PUT /control/accounts/{user}", func(w http.ResponseWriter, r *http.Request) {
		var to AccountState
		if simcontrol.Decode(w, r, &to) {
			simcontrol.WriteResult(w, s.EditAccount(r.PathValue("user"), to))
		}
	})
	mux.HandleFunc("DELETE /control/accounts/{user}", func(w http.ResponseWriter, r *http.Request) {
		s.RemoveAccount(r.PathValue("user"))
		simcontrol.WriteResult(w, nil)
	})
}
