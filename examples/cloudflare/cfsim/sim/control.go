package sim

import (
	"net/http"

	"github.com/nawasara/nawasync/examples/internal/simcontrol"
)

// ControlToken returns the token that requests to the control API need.
func (s *Server) ControlToken() string { return s.controlToken }

// controlMux serves the control API that docs/cloudflare.md describes.
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
	mux.HandleFunc("GET /control/faults", func(w http.ResponseWriter, _ *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		simcontrol.Write(w, append([]*Fault{}, s.faults...))
	})
	mux.HandleFunc("GET /control/calls", func(w http.ResponseWriter, _ *http.Request) { simcontrol.Write(w, s.AllCalls()) })
	s.handleZones(mux)
	mux.HandleFunc("POST /control/accounts", func(w http.ResponseWriter, r *http.Request) {
		var a struct {
			Name    string   `json:"name"`
			Beside  string   `json:"beside"`
			Zones   []string `json:"zones"`
			Records int      `json:"records"`
		}
		if simcontrol.Decode(w, r, &a) {
			_, err := s.AddAccount(a.Beside, a.Name, a.Records, a.Zones...)
			simcontrol.WriteResult(w, err)
		}
	})
	mux.HandleFunc("DELETE /control/accounts/{account}", func(w http.ResponseWriter, r *http.Request) {
		simcontrol.WriteResult(w, s.RemoveAccount(r.PathValue("account")))
	})
	mux.HandleFunc("PUT /control/accounts/{account}", func(w http.ResponseWriter, r *http.Request) {
		var to struct {
			Revoked int `json:"revoked"`
		}
		if simcontrol.Decode(w, r, &to) {
			simcontrol.WriteResult(w, s.Revoke(r.PathValue("account"), to.Revoked))
		}
	})
	return mux
}

// handleZones serves the part of the control API that changes zones and their records.
func (s *Server) handleZones(mux *http.ServeMux) {
	mux.HandleFunc("POST /control/zones", func(w http.ResponseWriter, r *http.Request) {
		var z struct {
			Account string `json:"account"`
			Name    string `json:"name"`
			Records int    `json:"records"`
		}
		if simcontrol.Decode(w, r, &z) {
			_, err := s.AddZone(z.Account, z.Name, z.Records)
			simcontrol.WriteResult(w, err)
		}
	})
	mux.HandleFunc("PUT /control/zones/{zone}", func(w http.ResponseWriter, r *http.Request) {
		var to struct {
			Forbidden bool `json:"forbidden"`
		}
		if simcontrol.Decode(w, r, &to) {
			simcontrol.WriteResult(w, s.Forbid(r.PathValue("zone"), to.Forbidden))
		}
	})
	mux.HandleFunc("DELETE /control/zones/{zone}", func(w http.ResponseWriter, r *http.Request) {
		simcontrol.WriteResult(w, s.RemoveZone(r.PathValue("zone")))
	})
	mux.HandleFunc("GET /control/zones/{zone}/records", func(w http.ResponseWriter, r *http.Request) {
		simcontrol.Write(w, s.Records(r.PathValue("zone")))
	})
	mux.HandleFunc("PUT /control/zones/{zone}/records", func(w http.ResponseWriter, r *http.Request) {
		var c Change
		if simcontrol.Decode(w, r, &c) {
			_, err := s.Put(r.PathValue("zone"), c)
			simcontrol.WriteResult(w, err)
		}
	})
	mux.HandleFunc("DELETE /control/zones/{zone}/records/{record}", func(w http.ResponseWriter, r *http.Request) {
		simcontrol.WriteResult(w, s.Remove(r.PathValue("zone"), r.PathValue("record")))
	})
}
