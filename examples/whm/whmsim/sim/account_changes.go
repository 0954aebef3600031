package sim

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/http"
	"regexp"
	"slices"
)

var userName = regexp.MustCompile(`^[a-z][a-z0-9]{0,15}$`)

var plans = []string{"default", "basic", "business"}

// userOf returns the username in a call of WHM API 1. The parameter's name depends on the function.
func userOf(r *http.Request) string {
	if user := r.Form.Get("username"); user != "" {
		return user
	}
	return r.Form.Get("user")
}

// changeAccount runs a WHM API 1 function that changes an account.
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
			return whmFailed(function, "The package must be an existing package: invalid package.")
		}
		a.plan = r.Form.Get("pkg")
	case "passwd":
		if len(r.Form.Get("password")) < 8 {
			return whmFailed(function, "Sorry, the password may not be used because it is too weak.")
		}
		a.password = sha256.Sum256([]byte(r.Form.Get("password")))
	}
	s.countChange(user, function)
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
	case slices.ContainsFunc(s.accounts, func(a *account) bool { return firstEight(a.user) == firstEight(user) }):
		return whmFailed(function, fmt.Sprintf("%s is taken.", firstEight(user)))
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
	s.countChange(user, function)
	out := whmOK(function, "Account Creation Ok", map[string]any{
		"ip": "192.0.2.10", "package": plan, "nameserver": "ns1.provider.example", "nameserver2": "ns2.provider.example",
	})
	// A real server also returns the password in plain text.
	out.body.(map[string]any)["metadata"].(map[string]any)["output"] = map[string]any{"raw": "UserName: " + user + " PassWord: " + r.Form.Get("password")}
	return out
}

// firstEight returns the part of a username that must be unique on a server, because the names of databases begin with it.
func firstEight(user string) string { return user[:min(8, len(user))] }

// AccountState is an account in the control API. EditAccount leaves fields that are nil unchanged.
type AccountState struct {
	User      string  `json:"user"`
	Exists    bool    `json:"exists"`
	Plan      *string `json:"plan,omitempty"`
	Suspended *bool   `json:"suspended,omitempty"`
	Reason    *string `json:"reason,omitempty"`
	Tally
}

// Account returns the state of an account. The counts remain after the account is deleted.
func (s *Server) Account(user string) AccountState {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := AccountState{User: user, Tally: s.tally(user).clone()}
	if a := s.byUser(user); a != nil {
		plan, suspended, reason := a.plan, a.suspended, a.reason
		state.Exists, state.Plan, state.Suspended, state.Reason = true, &plan, &suspended, &reason
	}
	return state
}

// EditAccount changes an account without an API call, like a user of WHM's own pages.
func (s *Server) EditAccount(user string, to AccountState) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.byUser(user)
	if a == nil {
		return fmt.Errorf("account %q does not exist", user)
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

// RemoveAccount deletes an account without an API call.
func (s *Server) RemoveAccount(user string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accounts = slices.DeleteFunc(s.accounts, func(a *account) bool { return a.user == user })
}

// AccountPassword reports whether the account exists and has the password.
func (s *Server) AccountPassword(user, password string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.byUser(user)
	want := sha256.Sum256([]byte(password))
	return a != nil && subtle.ConstantTimeCompare(a.password[:], want[:]) == 1
}
