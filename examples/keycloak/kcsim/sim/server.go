// Package sim simulates the parts of Keycloak that the example uses, in memory: tokens, users, clients and admin events of
// several realms, with the answers of Keycloak 26. A control API under /control/ injects faults and changes objects behind
// the example's back.
package sim

import (
	"cmp"
	"crypto/rand"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nawasara/nawasync/examples/internal/simcontrol"
)

// Options configures a Server.
type Options struct {
	// Realms are the realms. Default one realm main with the client nawasync and the secret "client-secret".
	Realms []Realm
	// Users is the number of users of the first realm. Other realms have a tenth of it, and at least 4. Default 40.
	Users int
	// Lifespan is how long an access token is valid. Default 5 minutes.
	Lifespan time.Duration
	// ControlToken is the token of the control API. Default a random one.
	ControlToken string
	// Now returns the current time, by which tokens expire and events are dated. Default time.Now.
	Now func() time.Time
}

// Realm is a realm of a Server, with the client whose service account may change its users and clients.
type Realm struct {
	Name     string
	ClientID string // default "nawasync"
	Secret   string
}

// Server is a simulated Keycloak. It is safe for concurrent use.
type Server struct {
	control      http.Handler
	controlToken string
	api          http.Handler
	lifespan     time.Duration
	now          func() time.Time

	mu     sync.Mutex
	ids    map[string]int // how many identifiers were given out of each kind
	realms []*realm
	tokens map[string]token
	faults []*Fault
	calls  map[string]int // by operation
}

// realm is a realm with its objects.
type realm struct {
	id, name  string
	users     *store
	apps      *store
	passwords map[string]password // by user identifier
	hidden    map[string]bool     // users that the service account may not see, by identifier
	forbidden bool                // whether the service account has lost its roles
	silent    bool                // whether admin events are not saved
	events    []event             // in the order of their times
	hold      int                 // how many of the next events are kept back
	held      []event             // those that were
}

// New returns a Server with realms, users and clients.
func New(o Options) *Server {
	if len(o.Realms) == 0 {
		o.Realms = []Realm{{Name: "main", Secret: "client-secret"}}
	}
	s := &Server{
		controlToken: cmp.Or(o.ControlToken, rand.Text()), lifespan: cmp.Or(o.Lifespan, 5*time.Minute), now: o.Now,
		ids: map[string]int{}, tokens: map[string]token{}, calls: map[string]int{},
	}
	if s.now == nil {
		s.now = time.Now
	}
	users := cmp.Or(o.Users, 40)
	for _, configured := range o.Realms {
		added := &realm{
			id: s.newID("realm " + configured.Name), name: configured.Name, users: newStore("username"), apps: newStore("clientId"),
			passwords: map[string]password{}, hidden: map[string]bool{},
		}
		s.realms = append(s.realms, added)
		s.seed(added, configured, users)
		users = max(4, cmp.Or(o.Users, 40)/10)
	}
	s.control, s.api = simcontrol.Protect(s.controlToken, s.controlMux()), s.apiMux()
	return s
}

// newID returns an identifier, which is the same in each Server. The caller holds the lock, or is New.
func (s *Server) newID(kind string) string {
	s.ids[kind]++
	return identifier(kind, s.ids[kind])
}

// ServeHTTP serves the API under /realms/ and /admin/realms/, and the control API under /control/.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasPrefix(r.URL.Path, "/control/"):
		s.control.ServeHTTP(w, r)
	case strings.Contains(r.URL.Path, "//"):
		described(http.StatusBadRequest, "missingNormalization", "Request path not normalized").write(w)
	default:
		s.api.ServeHTTP(w, r)
	}
}

// request is a call, and the realm that it concerns.
type request struct {
	*http.Request

	realm *realm
	body  []byte
}

// operation carries out a call. The caller holds the lock.
type operation func(r request) answer

// The names of the operations, in Fault.Operation and Server.Calls.
const (
	OpToken    = "token"
	OpRealm    = "realm.get"
	OpUsers    = "users.list"
	OpCount    = "users.count"
	OpUser     = "users.get"
	OpNewUser  = "users.create"
	OpEditUser = "users.update"
	OpDropUser = "users.delete"
	OpPassword = "users.password"
	OpApps     = "clients.list"
	OpApp      = "clients.get"
	OpNewApp   = "clients.create"
	OpEditApp  = "clients.update"
	OpDropApp  = "clients.delete"
	OpEvents   = "events.list"
)

// apiMux serves the operations.
func (s *Server) apiMux() *http.ServeMux {
	mux := http.NewServeMux()
	for pattern, o := range map[string]struct {
		name string
		do   operation
	}{
		"POST /realms/{realm}/protocol/openid-connect/token":  {OpToken, s.issue},
		"GET /admin/realms/{realm}":                           {OpRealm, s.getRealm},
		"GET /admin/realms/{realm}/users":                     {OpUsers, s.listUsers},
		"POST /admin/realms/{realm}/users":                    {OpNewUser, s.createUser},
		"GET /admin/realms/{realm}/users/count":               {OpCount, s.countUsers},
		"GET /admin/realms/{realm}/users/{id}":                {OpUser, s.getUser},
		"PUT /admin/realms/{realm}/users/{id}":                {OpEditUser, s.updateUser},
		"DELETE /admin/realms/{realm}/users/{id}":             {OpDropUser, s.deleteUser},
		"PUT /admin/realms/{realm}/users/{id}/reset-password": {OpPassword, s.resetPassword},
		"GET /admin/realms/{realm}/clients":                   {OpApps, s.listApps},
		"POST /admin/realms/{realm}/clients":                  {OpNewApp, s.createApp},
		"GET /admin/realms/{realm}/clients/{id}":              {OpApp, s.getApp},
		"PUT /admin/realms/{realm}/clients/{id}":              {OpEditApp, s.updateApp},
		"DELETE /admin/realms/{realm}/clients/{id}":           {OpDropApp, s.deleteApp},
		"GET /admin/realms/{realm}/admin-events":              {OpEvents, s.listEvents},
		"PATCH /admin/realms/{realm}/{kind}/{id}":             {"", notAllowed},
		"GET /admin/realms/{realm}/users/{$}":                 {OpUsers, s.listUsers},
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, o.name, o.do) })
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		failed(http.StatusNotFound, "Unable to find matching target resource method").write(w)
	})
	return mux
}

func notAllowed(request) answer {
	return failed(http.StatusMethodNotAllowed, "HTTP 405 Method Not Allowed")
}

// serve answers a call of an operation.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, name string, do operation) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return
	}
	fault := s.nextFault(name, r)
	if fault != nil && fault.before(w) {
		return
	}
	s.mu.Lock()
	s.calls[name]++
	result := s.carryOut(request{Request: r, body: body}, name, do)
	s.mu.Unlock()
	if fault != nil && fault.after(w, result) {
		return
	}
	result.write(w)
}

// carryOut checks the token of a call and runs the operation.
func (s *Server) carryOut(r request, name string, do operation) answer {
	r.realm = s.find(r.PathValue("realm"))
	if name == OpToken {
		if r.realm == nil {
			return failed(http.StatusNotFound, "Realm does not exist")
		}
		return do(r)
	}
	text, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	given, known := s.tokens[text]
	switch {
	case !known || !s.now().Before(given.expires):
		return failed(http.StatusUnauthorized, "HTTP 401 Unauthorized")
	case r.realm == nil:
		return failed(http.StatusNotFound, "Realm not found.")
	case given.realm != r.realm.name || r.realm.forbidden:
		return refused
	}
	return do(r)
}

func (s *Server) find(name string) *realm {
	for _, r := range s.realms {
		if r.name == name {
			return r
		}
	}
	return nil
}

func (s *Server) getRealm(r request) answer {
	return answer{status: http.StatusOK, body: map[string]any{
		"id": r.realm.id, "realm": r.realm.name, "enabled": true, "accessTokenLifespan": int(s.lifespan.Seconds()), "adminEventsEnabled": !r.realm.silent,
	}}
}

// AllCalls returns how many calls there were of each operation.
func (s *Server) AllCalls() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]int{}
	maps.Copy(out, s.calls)
	return out
}

// Calls returns how many calls there were of an operation.
func (s *Server) Calls(operation string) int { return s.AllCalls()[operation] }

// Realms returns the names of the realms.
func (s *Server) Realms() (names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.realms {
		names = append(names, r.name)
	}
	return slices.Clone(names)
}
