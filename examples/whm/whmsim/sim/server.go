// Package sim simulates a WHM server in memory. It answers calls of WHM API 1 and UAPI in the
// formats of api.docs.cpanel.net, with the irregularities of real servers. A control API under
// /control/ injects faults.
//
// It has what the example calls. Out of scope are, of WHM API 1, listsuspended, verify_new_username and batch, which are
// unknown functions here, chunks, filters and columns of lists, and of UAPI all modules but Email. A parameter that would
// change an answer and that the simulator does not know is refused with status 501: it would be wrong to ignore it.
package sim

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/nawasara/nawasync/examples/internal/simcontrol"
)

// Options configures a Server.
type Options struct {
	User      string // default "root"
	Token     string // default "secret-token"
	Mailboxes int    // the number of mailboxes of all accounts; default 40
	// Accounts are the usernames of the accounts that have mailboxes. Default alpha, bravo, carol and delta.
	Accounts []string
	// ControlToken is the token of the control API. Default a random one.
	ControlToken string
}

// Server is a simulated WHM server. It is safe for concurrent use.
type Server struct {
	user, token string
	control     http.Handler
	// controlToken is the token of control, which can do more than the WHM API.
	controlToken string

	mu       sync.Mutex
	accounts []*account
	hidden   map[string]*mailbox // by address
	faults   []*Fault
	calls    map[string]int    // by function
	tallies  map[string]*Tally // by username or address
}

// New returns a Server with accounts and mailboxes.
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
	s := &Server{
		user: o.User, token: o.Token, controlToken: cmp.Or(o.ControlToken, rand.Text()), accounts: seed(o.Mailboxes, o.Accounts),
		hidden: map[string]*mailbox{}, calls: map[string]int{}, tallies: map[string]*Tally{},
	}
	s.control = simcontrol.Protect(s.controlToken, s.controlMux())
	return s
}

// answer is the HTTP status of an answer and the value of its JSON body.
type answer struct {
	status int
	body   any
}

func okAnswer(body any) answer { return answer{http.StatusOK, body} }

// ServeHTTP serves /json-api/{function}, UAPI under /execute/{module}/{function} as cPanel's own port does, and the
// control API under /control/.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/control/") {
		s.control.ServeHTTP(w, r)
		return
	}
	c, found := callOf(r)
	if !found {
		// Like a real server, answer other paths with a login page and status 200.
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, "<!DOCTYPE html><html><head><title>WHM Login</title></head><body><form id=\"login_form\"></form></body></html>")
		return
	}
	if err := r.ParseForm(); err != nil {
		write(w, answer{http.StatusBadRequest, map[string]any{"error": "bad form"}})
		return
	}
	name := c.name(r)
	s.countCall(name, r)
	fault := s.nextFault(name)
	if fault != nil && fault.before(w, r, name) {
		return
	}
	result := s.answerTo(c, r)
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

// accessDenied is WHM's answer to a wrong token. The answer has the form of API 2 and is sent with
// status 403.
var accessDenied = map[string]any{"cpanelresult": map[string]any{
	"apiversion": "2", "error": "Access denied", "type": "text", "data": map[string]any{"reason": "Access denied", "result": "0"},
}}

// callFunction runs a WHM API 1 function.
func (s *Server) callFunction(function string, r *http.Request) answer {
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
		return textResult(whmOK(function, "OK", map[string]any{"uapi": inner}))
	}
	return whmFailed(function, fmt.Sprintf("Unknown app (“%s”) requested for this version (1) of the API.", function))
}

func whmOK(command, reason string, data any) answer {
	return okAnswer(map[string]any{"data": data, "metadata": map[string]any{"command": command, "reason": reason, "result": 1, "version": 1}})
}

// textResult sends the result of an answer as the text "1", as some versions of WHM do.
func textResult(a answer) answer {
	a.body.(map[string]any)["metadata"].(map[string]any)["result"] = "1"
	return a
}

// whmFailed returns the answer for a failure. WHM sends failures with status 200.
func whmFailed(command, reason string) answer {
	return okAnswer(map[string]any{"metadata": map[string]any{"command": command, "reason": reason, "result": 0, "version": 1}})
}

// uapiOK and uapiFailed return the payload of a UAPI answer.
func uapiOK(data any) map[string]any {
	return map[string]any{"status": 1, "data": data, "errors": nil, "messages": nil, "metadata": map[string]any{}, "warnings": nil}
}

func uapiFailed(reason string) map[string]any {
	return map[string]any{"status": 0, "data": nil, "errors": []string{reason}, "messages": nil, "metadata": map[string]any{}, "warnings": nil}
}
