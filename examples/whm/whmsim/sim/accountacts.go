package sim

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
)

var userName = regexp.MustCompile(`^[a-z][a-z0-9]{0,15}$`)

var plans = []string{"default", "basic", "business"}

// userOf is the account that a call of WHM API 1 is about.
func userOf(r *http.Request) string {
	if user := r.Form.Get("username"); user != "" {
		return user
	}
	return r.Form.Get("user")
}

// changeAccount runs the functions that change accounts.
func (s *Server) changeAccount(function string, r *http.Request) answer {
	user := userOf(r)
	a := s.byUser(user)
	if function == "createacct" {
		return s.createAccount(r, user)
	}
	if a == nil {
		return whmFailed(function, fmt.Sprintf("The user “%s” does not exist.", user))
	}
	switch function {
	case "suspendacct":
		a.suspended, a.reason = true, r.Form.Get("reason")
	case "unsuspendacct":
		a.suspended, a.reason = false, ""
	case "removeacct":
		s.accounts = slices.DeleteFunc(s.accounts, func(other *account) bool { return other == a })
	case "changepackage":
		if !slices.Contains(plans, r.Form.Get("pkg")) {
			return whmFailed(function, "Specified package must be one that is there: invalid package.")
		}
		a.plan = r.Form.Get("pkg")
	case "passwd":
		if len(r.Form.Get("password")) < 8 {
			return whmFailed(function, "Sorry, the password may not be used because it is too weak.")
		}
		a.password = sha256.Sum256([]byte(r.Form.Get("password")))
	}
	s.acted(user, function)
	return whmOK(function, map[string]string{"removeacct": user + " account removed"}[function], map[string]any{})
}

func (s *Server) createAccount(r *http.Request, user string) answer {
	const function = "createacct"
	plan := r.Form.Get("plan")
	if plan == "" {
		plan = "default"
	}
	switch {
	case !userName.MatchString(user):
		return whmFailed(function, fmt.Sprintf("“%s” is an invalid username.", user))
	case s.byUser(user) != nil:
		return whmFailed(function, "Sorry, a group for that username already exists.")
	case slices.ContainsFunc(s.accounts, func(a *account) bool { return a.domain == r.Form.Get("domain") }):
		return whmFailed(function, fmt.Sprintf("Sorry, the domain %s is already taken.", r.Form.Get("domain")))
	case r.Form.Get("domain") == "":
		return whmFailed(function, "A domain is required.")
	case !slices.Contains(plans, plan):
		return whmFailed(function, "Invalid package.")
	case len(r.Form.Get("password")) < 8:
		return whmFailed(function, "Sorry, the password may not be used because it is too weak.")
	}
	s.accounts = append(s.accounts, &account{
		user: user, domain: r.Form.Get("domain"), plan: plan, contact: r.Form.Get("contactemail"),
		password: sha256.Sum256([]byte(r.Form.Get("password"))), boxes: map[string]*mailbox{},
	})
	s.acted(user, function)
	out := whmOK(function, "Account Creation Ok", map[string]any{"ip": "192.0.2.10", "package": plan})
	// So it does: the password, in the clear.
	out.body.(map[string]any)["metadata"].(map[string]any)["output"] = map[string]any{"raw": "UserName: " + user + " PassWord: " + r.Form.Get("password")}
	return out
}

// AccountState is an account as the control API shows and takes it.
type AccountState struct {
	User      string  `json:"user"`
	Exists    bool    `json:"exists"`
	Plan      *string `json:"plan,omitempty"`
	Suspended *bool   `json:"suspended,omitempty"`
	Reason    *string `json:"reason,omitempty"`
	Tally
}

// Account returns one account's state, and what was done to it even where it is gone.
func (s *Server) Account(user string) AccountState {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := AccountState{User: user, Tally: Tally{maps.Clone(s.tally(user).Calls), maps.Clone(s.tally(user).Actions)}}
	if a := s.byUser(user); a != nil {
		plan, suspended, reason := a.plan, a.suspended, a.reason
		state.Exists, state.Plan, state.Suspended, state.Reason = true, &plan, &suspended, &reason
	}
	return state
}

// EditAccount lets someone else change an account.
func (s *Server) EditAccount(user string, to AccountState) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.byUser(user)
	if a == nil {
		return fmt.Errorf("no account %q", user)
	}
	if to.Plan != nil {
		a.plan = *to.Plan
	}
	if to.Suspended != nil {
		a.suspended = *to.Suspended
	}
	if to.Reason != nil {
		a.reason = *to.Reason
	}
	return nil
}

// RemoveAccount lets someone else delete an account.
func (s *Server) RemoveAccount(user string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accounts = slices.DeleteFunc(s.accounts, func(a *account) bool { return a.user == user })
}

// AccountPassword reports whether the account has that password.
func (s *Server) AccountPassword(user, password string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.byUser(user)
	want := sha256.Sum256([]byte(password))
	return a != nil && subtle.ConstantTimeCompare(a.password[:], want[:]) == 1
}
