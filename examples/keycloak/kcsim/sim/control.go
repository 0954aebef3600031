package sim

import (
	"net/http"

	"github.com/nawasara/nawasync/examples/internal/simcontrol"
)

// ControlToken returns the token that requests to the control API need.
func (s *Server) ControlToken() string { return s.controlToken }

// controlMux serves the control API that docs/keycloak.md describes.
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
	mux.HandleFunc("GET /control/calls", func(w http.ResponseWriter, _ *http.Request) { simcontrol.Write(w, s.AllCalls()) })
	mux.HandleFunc("PUT /control/realms/{realm}", func(w http.ResponseWriter, r *http.Request) {
		var to struct {
			Forbidden bool `json:"forbidden"`
			Hidden    bool `json:"hidden"` // all users
		}
		if simcontrol.Decode(w, r, &to) {
			_ = s.Hide(r.PathValue("realm"), to.Hidden)
			simcontrol.WriteResult(w, s.Forbid(r.PathValue("realm"), to.Forbidden))
		}
	})
	mux.HandleFunc("POST /control/realms/{realm}/revoke", func(w http.ResponseWriter, r *http.Request) {
		simcontrol.WriteResult(w, s.Revoke(r.PathValue("realm")))
	})
	s.handleObjects(mux, "users", s.Users, s.PutUser, s.RemoveUser)
	s.handleObjects(mux, "clients", s.Apps, s.PutApp, s.RemoveApp)
	return mux
}

// handleObjects serves the part of the control API for one kind of object.
func (s *Server) handleObjects(
	mux *http.ServeMux, kind string, list func(string) []Object, put func(realm, name string, fields Object) error, remove func(realm, name string) error,
) {
	mux.HandleFunc("GET /control/realms/{realm}/"+kind, func(w http.ResponseWriter, r *http.Request) {
		simcontrol.Write(w, list(r.PathValue("realm")))
	})
	mux.HandleFunc("PUT /control/realms/{realm}/"+kind+"/{name}", func(w http.ResponseWriter, r *http.Request) {
		var fields Object
		if simcontrol.Decode(w, r, &fields) {
			simcontrol.WriteResult(w, put(r.PathValue("realm"), r.PathValue("name"), fields))
		}
	})
	mux.HandleFunc("DELETE /control/realms/{realm}/"+kind+"/{name}", func(w http.ResponseWriter, r *http.Request) {
		simcontrol.WriteResult(w, remove(r.PathValue("realm"), r.PathValue("name")))
	})
}
