// Package sim simulates the parts of Cloudflare's API v4 that the example uses, in memory: tokens, zones and
// DNS records, with the limits of a token and the errors of the real service. A control API under /control/
// injects faults and changes records behind the example's back.
//
// It has what the example calls, and the two other ways to change records, PUT and batches. Out of scope are the GraphQL API
// with its own limit, which the example does not call, Audit Logs, and the record quotas of Enterprise accounts: a
// creation over a quota is refused as any other, with ModeRefuse.
package sim

import (
	"cmp"
	"crypto/rand"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/nawasara/nawasync/examples/internal/simcontrol"
)

// Options configures a Server.
type Options struct {
	// Accounts are the accounts. Those with the same token are what that token may see. Default one account main with
	// the token "secret-token" and three zones.
	Accounts []Account
	// Records is the number of records of the first zone. Other zones have a tenth of it, and at least 4. Default 40.
	Records int
	// Limit is how many requests a token may make in a Window. Default 1,200 in 5 minutes. After that each
	// request is refused for the next Window.
	Limit  int
	Window time.Duration
	// PerSecond is how many requests a second one IP address may make, with whatever tokens. The real
	// service allows PerSecond. Default no limit: without a network between them, tests call faster.
	PerSecond int
	// ControlToken is the token of the control API. Default a random one.
	ControlToken string
	// Now returns the current time. Default time.Now.
	Now func() time.Time
}

// Account is an account of a Server.
type Account struct {
	Name  string
	Token string
	Zones []string // names of domains
}

// Server is a simulated Cloudflare. It is safe for concurrent use.
type Server struct {
	control      http.Handler
	controlToken string
	api          http.Handler
	limit        int
	window       time.Duration
	perSecond    int
	now          func() time.Time

	mu       sync.Mutex
	ids      map[string]int // how many identifiers were given out of each kind
	tokens   map[string]*token
	seconds  map[string]*second // by IP address
	accounts []*account
	faults   []*Fault
	calls    map[string]int // by operation
	changes  map[string]int // by record identifier: changes that calls made
}

// token is an API token, which may see one account or several.
type token struct {
	revoked int // the status that refuses the token, 0 if it is valid
	spent   budget
}

// account is an account with the token that may see it.
type account struct {
	id, name string
	created  time.Time
	token    *token
	zones    []*zone
}

// New returns a Server with accounts, zones and records.
func New(o Options) *Server {
	if len(o.Accounts) == 0 {
		o.Accounts = []Account{{Name: "main", Token: "secret-token", Zones: []string{"alpha.example", "bravo.example", "carol.example"}}}
	}
	s := &Server{
		controlToken: cmp.Or(o.ControlToken, rand.Text()), limit: cmp.Or(o.Limit, 1200), window: cmp.Or(o.Window, 5*time.Minute), now: o.Now,
		perSecond: o.PerSecond, ids: map[string]int{}, tokens: map[string]*token{}, seconds: map[string]*second{}, calls: map[string]int{}, changes: map[string]int{},
	}
	if s.now == nil {
		s.now = time.Now
	}
	records := cmp.Or(o.Records, 40)
	for _, a := range o.Accounts {
		if s.tokens[a.Token] == nil {
			s.tokens[a.Token] = &token{}
		}
		added := s.addAccount(a.Name, s.tokens[a.Token])
		for _, name := range a.Zones {
			s.seed(s.addZone(added, name), records)
			records = max(4, cmp.Or(o.Records, 40)/10)
		}
	}
	s.control, s.api = simcontrol.Protect(s.controlToken, s.controlMux()), http.StripPrefix(prefix, s.apiMux())
	return s
}

// prefix is the path of the API.
const prefix = "/client/v4"

// ServeHTTP serves the API under /client/v4/ and the control API under /control/.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasPrefix(r.URL.Path, "/control/"):
		s.control.ServeHTTP(w, r)
	case strings.HasPrefix(r.URL.Path, prefix+"/"):
		s.api.ServeHTTP(w, r)
	default:
		w.Header().Set("Content-Type", "text/html; charset=UTF-8")
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, "<!DOCTYPE html><html><head><title>404 Not Found</title></head><body>Not found</body></html>")
	}
}

// request is a call with a valid token.
type request struct {
	*http.Request

	token   *token
	account *account // nil for an operation without an account or a zone
	zone    *zone    // nil for an operation without a zone
	body    []byte
}

// operation carries out a call. The caller holds the lock.
type operation func(r request) answer

// The names of the operations, in Fault.Operation and Server.Calls.
const (
	OpVerify    = "tokens.verify"
	OpAccounts  = "accounts.list"
	OpAccount   = "accounts.get"
	OpZones     = "zones.list"
	OpZone      = "zones.get"
	OpRecords   = "records.list"
	OpRecord    = "records.get"
	OpCreate    = "records.create"
	OpEdit      = "records.edit"
	OpOverwrite = "records.overwrite"
	OpDelete    = "records.delete"
	OpBatch     = "records.batch"
)

// apiMux serves the operations.
func (s *Server) apiMux() *http.ServeMux {
	mux := http.NewServeMux()
	for pattern, o := range map[string]struct {
		name string
		do   operation
	}{
		"GET /user/tokens/verify":                   {OpVerify, s.verify},
		"GET /accounts":                             {OpAccounts, s.listAccounts},
		"GET /accounts/{account}":                   {OpAccount, s.getAccount},
		"GET /zones":                                {OpZones, s.listZones},
		"GET /zones/{zone}":                         {OpZone, s.getZone},
		"GET /zones/{zone}/dns_records":             {OpRecords, s.listRecords},
		"POST /zones/{zone}/dns_records":            {OpCreate, s.createRecord},
		"POST /zones/{zone}/dns_records/batch":      {OpBatch, s.batch},
		"GET /zones/{zone}/dns_records/{record}":    {OpRecord, s.getRecord},
		"PATCH /zones/{zone}/dns_records/{record}":  {OpEdit, s.editRecord},
		"PUT /zones/{zone}/dns_records/{record}":    {OpOverwrite, s.overwriteRecord},
		"DELETE /zones/{zone}/dns_records/{record}": {OpDelete, s.deleteRecord},
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, o.name, o.do) })
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { noRoute(r.URL.Path).write(w) })
	return mux
}

// serve answers a call of an operation.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, name string, do operation) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return
	}
	found, refused := s.admit(w, r, name)
	if refused != nil {
		refused.write(w)
		return
	}
	fault := s.nextFault(name, r)
	if fault != nil && fault.before(w, r) {
		return
	}
	s.mu.Lock()
	result := s.carryOut(request{Request: r, token: found, body: body}, do)
	s.mu.Unlock()
	if fault != nil && fault.after(w, &result) {
		return
	}
	result.write(w)
}

// carryOut finds the account or the zone of a call and runs the operation.
func (s *Server) carryOut(r request, do operation) answer {
	account := r.PathValue("account")
	named := account != ""
	if zoneID := r.PathValue("zone"); zoneID != "" {
		named = true
		r.zone, r.account = s.findZone(zoneID)
	} else {
		r.account = s.findAccount(account)
	}
	switch {
	case !named:
	case r.account == nil:
		return noRoute(r.URL.Path)
	case r.account.token != r.token, r.zone != nil && r.zone.forbidden:
		return failed(http.StatusForbidden, 10000, "Authentication error")
	}
	return do(r)
}
