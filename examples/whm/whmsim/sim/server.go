// Package sim is a WHM server that is not one: it answers as WHM API 1 and UAPI
// do, with their oddities, from memory. What it knows of the wire is from
// api.docs.cpanel.net. A control API under /control/ makes it misbehave.
package sim

import (
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
)

// Options of a Server. The zero value has 40 mailboxes, and takes root's token "secret-token".
type Options struct {
	User, Token string
	Mailboxes   int // spread over several accounts; default 40
}

// Server is the simulator. It is safe for concurrent use.
type Server struct {
	user, token string
	control     *http.ServeMux

	mu       sync.Mutex
	accounts []*account
	faults   []*Fault
	calls    map[string]int    // by function
	tallies  map[string]*Tally // by address
}

// New returns a Server full of mailboxes.
func New(o Options) *Server {
	if o.User == "" {
		o.User = "root"
	}
	if o.Token == "" {
		o.Token = "secret-token"
	}
	if o.Mailboxes <= 0 {
		o.Mailboxes = 40
	}
	s := &Server{user: o.User, token: o.Token, accounts: seed(o.Mailboxes), calls: map[string]int{}, tallies: map[string]*Tally{}}
	s.control = s.controls()
	return s
}

// answer is a body on its way, and what it is called in the log.
type answer struct {
	status int
	body   any
}

func okAnswer(body any) answer { return answer{http.StatusOK, body} }

// ServeHTTP answers /json-api/{function} and /control/….
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/control/") {
		s.control.ServeHTTP(w, r)
		return
	}
	function, found := strings.CutPrefix(r.URL.Path, "/json-api/")
	if !found {
		// A browser is shown a login page, with status 200.
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, "<!DOCTYPE html><html><head><title>WHM Login</title></head><body><form id=\"login_form\"></form></body></html>")
		return
	}
	if err := r.ParseForm(); err != nil {
		write(w, answer{http.StatusBadRequest, map[string]any{"error": "bad form"}})
		return
	}
	name := function
	if function == "cpanel" {
		name = r.Form.Get("cpanel_jsonapi_func")
	}
	if function == "uapi_cpanel" {
		name = r.Form.Get("cpanel.function")
	}
	s.countCall(name, r)
	fault := s.take(name)
	if fault != nil && fault.before(w, r, name) {
		return
	}
	if !s.allowed(r) {
		write(w, answer{http.StatusForbidden, accessDenied})
		return
	}
	result := s.serveAction(function, r)
	if fault != nil && fault.after(w) {
		return
	}
	write(w, result)
}

func write(w http.ResponseWriter, a answer) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(a.status)
	_ = json.NewEncoder(w).Encode(a.body)
}

// accessDenied is what WHM says to a bad token: with status 403, in API 2's envelope.
var accessDenied = map[string]any{"cpanelresult": map[string]any{
	"apiversion": "2", "error": "Access denied", "type": "text", "data": map[string]any{"reason": "Access denied", "result": "0"},
}}

func (s *Server) allowed(r *http.Request) bool {
	want := "whm " + s.user + ":" + s.token
	return subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte(want)) == 1
}

// serveAction runs a function of WHM API 1.
func (s *Server) serveAction(function string, r *http.Request) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	if function != "cpanel" && r.Form.Get("api.version") != "1" {
		return whmFailed(function, "This function needs api.version=1.")
	}
	switch function {
	case "listaccts":
		return s.listAccounts(r)
	case "accountsummary":
		return s.accountSummary(r)
	case "createacct", "suspendacct", "unsuspendacct", "removeacct", "changepackage", "passwd":
		return s.changeAccount(function, r)
	case "cpanel":
		module, name := r.Form.Get("cpanel_jsonapi_module"), r.Form.Get("cpanel_jsonapi_func")
		return okAnswer(map[string]any{"apiversion": 3, "func": name, "module": module, "result": s.uapi(r, r.Form.Get("cpanel_jsonapi_user"), module, name)})
	case "uapi_cpanel":
		inner := s.uapi(r, r.Form.Get("cpanel.user"), r.Form.Get("cpanel.module"), r.Form.Get("cpanel.function"))
		return whmOK(function, "OK", map[string]any{"uapi": inner})
	}
	return whmFailed(function, fmt.Sprintf("Unknown app (“%s”) requested for this version (1) of the API.", function))
}

func whmOK(command, reason string, data any) answer {
	return okAnswer(map[string]any{"data": data, "metadata": map[string]any{"command": command, "reason": reason, "result": 1, "version": 1}})
}

// whmFailed is a failure as WHM tells it: with HTTP 200.
func whmFailed(command, reason string) answer {
	return okAnswer(map[string]any{"metadata": map[string]any{"command": command, "reason": reason, "result": 0, "version": 1}})
}

// uapiOK and uapiFailed are the inside of an answer of UAPI's.
func uapiOK(data any) map[string]any {
	return map[string]any{"status": 1, "data": data, "errors": nil, "messages": nil, "metadata": map[string]any{}, "warnings": nil}
}

func uapiFailed(reason string) map[string]any {
	return map[string]any{"status": 0, "data": nil, "errors": []string{reason}, "messages": nil, "metadata": map[string]any{}, "warnings": nil}
}
