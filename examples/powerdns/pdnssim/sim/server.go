// Package sim simulates the parts of PowerDNS's HTTP API that the example uses, in memory, with the answers of version 4.7
// as its tests have found them. A control API under /control/ injects faults.
package sim

import (
	"cmp"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"

	"github.com/nawasara/nawasync/examples/internal/simcontrol"
)

// Options configures a Server.
type Options struct {
	Key   string   // the API key. Default "secret-key"
	Zones []string // names with a dot at their end
	// Sets is the number of record sets of the first zone. Other zones have a tenth of it, and at least 6. Default 40.
	Sets int
	// ControlToken is the token of the control API. Default a random one.
	ControlToken string
}

// Server is a simulated PowerDNS. It is safe for concurrent use.
type Server struct {
	control      http.Handler
	controlToken string
	api          http.Handler
	key          string

	mu     sync.Mutex
	zones  map[string]*zone // by name
	faults []*Fault
	calls  map[string]int // by operation
}

// New returns a Server with zones and record sets.
func New(o Options) *Server {
	s := &Server{controlToken: cmp.Or(o.ControlToken, rand.Text()), key: cmp.Or(o.Key, "secret-key"), zones: map[string]*zone{}, calls: map[string]int{}}
	sets := cmp.Or(o.Sets, 40)
	for _, name := range o.Zones {
		s.zones[name] = seeded(name, sets)
		sets = max(6, cmp.Or(o.Sets, 40)/10)
	}
	s.control, s.api = simcontrol.Protect(s.controlToken, s.controlMux()), s.apiMux()
	return s
}

// ServeHTTP serves the API under /api/ and the control API under /control/.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/control/") {
		s.control.ServeHTTP(w, r)
		return
	}
	s.api.ServeHTTP(w, r)
}

// The names of the operations, in Fault.Operation and Server.Calls.
const (
	OpServer     = "server.get"
	OpZones      = "zones.list"
	OpZone       = "zones.get"
	OpCreateZone = "zones.create"
	OpEditZone   = "zones.edit"
	OpDeleteZone = "zones.delete"
	OpSets       = "sets.list"
	OpChangeSets = "sets.change"
	OpSearch     = "search"
)

// operation carries out a call. The caller holds the lock. z is the zone of the path, or nil.
type operation func(z *zone, r *http.Request, body []byte) answer

// apiMux serves the operations.
func (s *Server) apiMux() *http.ServeMux {
	const server = "/api/v1/servers/localhost"
	mux := http.NewServeMux()
	for pattern, o := range map[string]struct {
		name string
		do   operation
	}{
		"GET " + server:                   {OpServer, s.getServer},
		"GET " + server + "/zones":        {OpZones, s.listZones},
		"POST " + server + "/zones":       {OpCreateZone, s.createZone},
		"GET " + server + "/zones/{id}":   {OpZone, s.getZone},
		"PUT " + server + "/zones/{id}":   {OpEditZone, s.editZone},
		"PATCH " + server + "/zones/{id}": {OpChangeSets, s.changeSets},
		"DELETE " + server + "/zones/{id}": {OpDeleteZone, func(z *zone, _ *http.Request, _ []byte) answer {
			delete(s.zones, z.Name)
			return answer{status: http.StatusNoContent}
		}},
		"GET " + server + "/search-data": {OpSearch, s.search},
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, o.name, o.do) })
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { plain(http.StatusNotFound).write(w) })
	return mux
}

// serve answers a call of an operation.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, name string, do operation) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 16<<20))
	if err != nil {
		return
	}
	if name == OpZone && r.FormValue("rrsets") != "false" {
		name = OpSets
	}
	fault := s.nextFault(name)
	if subtle.ConstantTimeCompare([]byte(r.Header.Get("X-Api-Key")), []byte(s.key)) != 1 {
		w.Header().Set("WWW-Authenticate", `X-API-Key realm="PowerDNS"`)
		plain(http.StatusUnauthorized).write(w)
		return
	}
	if fault != nil && fault.before(w, r) {
		return
	}
	result := s.carryOut(r, body, do)
	if fault != nil {
		fault.after(w, result)
	}
	result.write(w)
}

// carryOut finds the zone of a call and runs the operation.
func (s *Server) carryOut(r *http.Request, body []byte, do operation) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	var z *zone
	if id := r.PathValue("id"); id != "" {
		name, ok := nameOf(id)
		if !ok {
			return plain(http.StatusBadRequest)
		}
		if z = s.zones[name]; z == nil {
			return plain(http.StatusNotFound)
		}
	}
	return do(z, r, body)
}

// answer is an answer of the API: JSON, or a plain text that repeats the status.
type answer struct {
	status int
	value  any
	text   string
}

func plain(status int) answer { return answer{status: status, text: http.StatusText(status)} }

// refuse is the answer to a request whose content is wrong.
func refuse(reason string) answer {
	return answer{status: http.StatusUnprocessableEntity, value: map[string]string{"error": reason}}
}

// body returns the type of the content, and the content.
func (a answer) body() (kind string, text []byte) {
	if a.value == nil {
		return "text/plain; charset=utf-8", []byte(a.text)
	}
	text, _ = json.Marshal(a.value)
	return "application/json", text
}

func (a answer) write(w http.ResponseWriter) {
	if a.status == http.StatusNoContent {
		w.WriteHeader(a.status)
		return
	}
	kind, text := a.body()
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(a.status)
	_, _ = w.Write(text)
}

func (s *Server) getServer(*zone, *http.Request, []byte) answer {
	return answer{status: http.StatusOK, value: map[string]string{"id": "localhost", "type": "Server", "daemon_type": "authoritative", "version": "4.7.3"}}
}

// Calls returns the number of calls of each operation, those that failed included.
func (s *Server) Calls() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.calls)
}
