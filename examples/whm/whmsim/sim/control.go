package sim

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Mode is how a call goes wrong.
type Mode string

// The modes.
const (
	ModeSlow      Mode = "slow"       // answers after DelayMS
	ModeDown      Mode = "down"       // closes the connection before it does anything
	ModeError500  Mode = "error500"   // HTTP 500, nothing done
	ModeGarbage   Mode = "garbage"    // HTTP 200 with an HTML page, nothing done
	ModeTruncated Mode = "truncated"  // HTTP 200 with half an answer, nothing done
	ModeRefuse    Mode = "refuse"     // HTTP 200, result 0, with Reason
	ModeForbidden Mode = "forbidden"  // HTTP 403
	ModeRateLimit Mode = "rate_limit" // HTTP 429 with Retry-After
	ModeLost      Mode = "lost"       // does what it was asked, then closes the connection
)

// Fault makes calls go wrong.
type Fault struct {
	Function   string `json:"function"` // "" or "*" is every function
	Mode       Mode   `json:"mode"`
	Times      int    `json:"times"` // 0 is until cleared
	DelayMS    int    `json:"delay_ms,omitempty"`
	RetryAfter int    `json:"retry_after,omitempty"` // seconds; default 1
	Reason     string `json:"reason,omitempty"`
}

var modes = []Mode{ModeSlow, ModeDown, ModeError500, ModeGarbage, ModeTruncated, ModeRefuse, ModeForbidden, ModeRateLimit, ModeLost}

// Inject adds a fault.
func (s *Server) Inject(f Fault) error {
	if !slices.Contains(modes, f.Mode) {
		return fmt.Errorf("mode %q is none of %v", f.Mode, modes)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &f)
	return nil
}

// Clear takes all faults away.
func (s *Server) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// take finds the first fault for a call, and uses it up.
func (s *Server) take(function string) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range s.faults {
		if f.Function != "" && f.Function != "*" && f.Function != function {
			continue
		}
		taken := *f
		if f.Times == 1 {
			s.faults = slices.Delete(s.faults, i, i+1)
		} else if f.Times > 1 {
			f.Times--
		}
		return &taken
	}
	return nil
}

// before acts in the call's place; true says that the call is over.
func (f *Fault) before(w http.ResponseWriter, r *http.Request, function string) bool {
	switch f.Mode {
	case ModeSlow:
		select {
		case <-time.After(time.Duration(f.DelayMS) * time.Millisecond):
		case <-r.Context().Done():
		}
		return false
	case ModeDown:
		hangUp(w)
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

// after says that the answer is not to be given.
func (f *Fault) after(w http.ResponseWriter) bool {
	if f.Mode != ModeLost {
		return false
	}
	hangUp(w)
	return true
}

// hangUp closes the connection without a word.
func hangUp(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err == nil {
		_ = conn.Close()
	}
}

// Tally counts, by function, what was asked of one address and what was done.
type Tally struct {
	Calls   map[string]int `json:"calls"`
	Actions map[string]int `json:"acts"`
}

// countCall counts a call, with the mailbox that it names.
func (s *Server) countCall(function string, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[function]++
	if user := userOf(r); user != "" {
		s.tally(user).Calls[function]++
	}
	if a := s.byUser(r.Form.Get("cpanel_jsonapi_user")); a != nil {
		if _, email := named(a, r); email != "" {
			s.tally(email).Calls[function]++
		}
	}
}

func (s *Server) acted(email, function string) { s.tally(email).Actions[function]++ }

func (s *Server) tally(email string) *Tally {
	t := s.tallies[email]
	if t == nil {
		t = &Tally{Calls: map[string]int{}, Actions: map[string]int{}}
		s.tallies[email] = t
	}
	return t
}

// State is a mailbox as the control API shows and takes it.
type State struct {
	Email             string `json:"email"`
	Account           string `json:"account,omitempty"`
	Exists            bool   `json:"exists"`
	QuotaMB           *int64 `json:"quota_mb,omitempty"` // 0 is unlimited
	SuspendedLogin    *bool  `json:"suspended_login,omitempty"`
	SuspendedIncoming *bool  `json:"suspended_incoming,omitempty"`
	Tally
}

// Mailbox returns one mailbox's state, and what was done to it even where it is
// gone.
func (s *Server) Mailbox(email string) State {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := State{Email: email, Tally: Tally{maps.Clone(s.tally(email).Calls), maps.Clone(s.tally(email).Actions)}}
	a, m := s.find(email)
	if m == nil {
		return state
	}
	quota, login, incoming := m.quota/mebibyte, m.login, m.incoming
	state.Exists, state.Account, state.QuotaMB, state.SuspendedLogin, state.SuspendedIncoming = true, a.user, &quota, &login, &incoming
	return state
}

// Count is how many mailboxes there are.
func (s *Server) Count() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.accounts {
		n += len(a.boxes)
	}
	return n
}

// Edit lets someone else change a mailbox, or make it.
func (s *Server) Edit(email string, to State) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, m := s.find(email)
	if m == nil {
		name, domain, _ := strings.Cut(email, "@")
		i := slices.IndexFunc(s.accounts, func(a *account) bool { return a.domain == domain })
		if i < 0 || name == "" {
			return fmt.Errorf("no account has the domain of %q", email)
		}
		m = &mailbox{name: name, domain: domain}
		s.accounts[i].boxes[email] = m
	}
	if to.QuotaMB != nil {
		m.quota = *to.QuotaMB * mebibyte
	}
	if to.SuspendedLogin != nil {
		m.login = *to.SuspendedLogin
	}
	if to.SuspendedIncoming != nil {
		m.incoming = *to.SuspendedIncoming
	}
	return nil
}

// Remove lets someone else delete a mailbox.
func (s *Server) Remove(email string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a, _ := s.find(email); a != nil {
		delete(a.boxes, email)
	}
}

// Password reports whether the mailbox has that password.
func (s *Server) Password(email, password string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, m := s.find(email)
	want := sha256.Sum256([]byte(password))
	return m != nil && subtle.ConstantTimeCompare(m.password[:], want[:]) == 1
}

// Calls is how often a function was called.
func (s *Server) Calls(function string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[function]
}

// controls is the control API; docs/whm.md describes it.
func (s *Server) controls() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /control/faults", func(w http.ResponseWriter, r *http.Request) {
		var f Fault
		if take(w, r, &f) {
			done(w, s.Inject(f))
		}
	})
	mux.HandleFunc("DELETE /control/faults", func(w http.ResponseWriter, _ *http.Request) {
		s.Clear()
		done(w, nil)
	})
	mux.HandleFunc("GET /control/faults", func(w http.ResponseWriter, _ *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		write(w, okAnswer(append([]*Fault{}, s.faults...)))
	})
	mux.HandleFunc("GET /control/calls", func(w http.ResponseWriter, _ *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		write(w, okAnswer(s.calls))
	})
	mux.HandleFunc("GET /control/mailboxes/{email}", func(w http.ResponseWriter, r *http.Request) {
		write(w, okAnswer(s.Mailbox(r.PathValue("email"))))
	})
	mux.HandleFunc("PUT /control/mailboxes/{email}", func(w http.ResponseWriter, r *http.Request) {
		var to State
		if take(w, r, &to) {
			done(w, s.Edit(r.PathValue("email"), to))
		}
	})
	mux.HandleFunc("DELETE /control/mailboxes/{email}", func(w http.ResponseWriter, r *http.Request) {
		s.Remove(r.PathValue("email"))
		done(w, nil)
	})
	mux.HandleFunc("GET /control/accounts/{user}", func(w http.ResponseWriter, r *http.Request) {
		write(w, okAnswer(s.Account(r.PathValue("user"))))
	})
	mux.HandleFunc("PUT /control/accounts/{user}", func(w http.ResponseWriter, r *http.Request) {
		var to AccountState
		if take(w, r, &to) {
			done(w, s.EditAccount(r.PathValue("user"), to))
		}
	})
	mux.HandleFunc("DELETE /control/accounts/{user}", func(w http.ResponseWriter, r *http.Request) {
		s.RemoveAccount(r.PathValue("user"))
		done(w, nil)
	})
	mux.HandleFunc("POST /control/password", func(w http.ResponseWriter, r *http.Request) {
		var q struct{ Email, Password string }
		if take(w, r, &q) {
			write(w, okAnswer(map[string]bool{"match": s.Password(q.Email, q.Password)}))
		}
	})
	return mux
}

func take(w http.ResponseWriter, r *http.Request, into any) bool {
	d := json.NewDecoder(io.LimitReader(r.Body, 1<<16))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return false
	}
	return true
}

func done(w http.ResponseWriter, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
