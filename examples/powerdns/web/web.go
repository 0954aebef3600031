// Package web serves the example's pages: the zones of a server, and the record sets of a zone with the forms that change
// them.
package web

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin"
	"github.com/nawasara/nawasync/examples/internal/site"
	"github.com/nawasara/nawasync/examples/powerdns/dns"
	"github.com/nawasara/nawasync/examples/powerdns/pdnssim/sim"
)

// Pages serves the pages.
type Pages struct {
	site.Site // Service, Frame and ConflictText are set by Handler

	DNS       *dns.Module
	Server    string      // its name
	Simulated *sim.Server // the simulated PowerDNS in this process, or nil
}

// Handler returns the handler of all pages, the operators' pages included.
func (s *Pages) Handler() http.Handler {
	s.Service, s.Frame, s.ConflictText = dns.Service, s.frame, conflictText
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { s.zones(w, r, http.StatusOK, "") })
	mux.HandleFunc("POST /zones/{action}", s.changeZone)
	mux.HandleFunc("GET /sets", func(w http.ResponseWriter, r *http.Request) { s.sets(w, r, http.StatusOK, "") })
	mux.HandleFunc("POST /sets/{action}", s.changeSet)
	mux.HandleFunc("POST /sync", s.sync)
	mux.HandleFunc("GET /elsewhere", func(w http.ResponseWriter, r *http.Request) { s.elsewhere(w, r, elsewhereView{}) })
	mux.HandleFunc("POST /elsewhere", s.changeElsewhere)
	return s.Site.Handler(mux)
}

// frame returns the brand and the navigation of a page.
func (s *Pages) frame(path, _ string) site.Page {
	p := site.Page{Brand: "PowerDNS example", PlaceLabel: "Server and zone"}
	sections := []site.Link{{Name: "Zones", URL: "/"}, {Name: "Held syncs", URL: "/held"}}
	if s.Simulated != nil {
		sections = append(sections, site.Link{Name: "Edit at PowerDNS", URL: "/elsewhere"})
	}
	for _, section := range sections {
		section.Current = site.Current(string(section.URL) == path)
		p.Sections = append(p.Sections, section)
	}
	return p
}

// instance returns the instance that a request names.
func instance(r *http.Request) string {
	if r.Method == http.MethodPost {
		return site.Clean(r.PostFormValue("instance")) // the body was read within its limits before
	}
	return site.Clean(r.URL.Query().Get("instance"))
}

// zone returns the zone that a request names, or nawasync.ErrNotFound.
func (s *Pages) zone(r *http.Request) (dns.Zone, error) {
	server, name, inZone := strings.Cut(instance(r), "/")
	if !inZone || server != s.Server {
		return dns.Zone{}, nawasync.ErrNotFound
	}
	return s.DNS.Zones.FindKey(r.Context(), dns.Zone{Server: server, Name: name})
}

// scopeOf returns the scope of a zone's sets, and instanceOf their instance.
func scopeOf(z dns.Zone) dns.Set   { return dns.Set{Server: z.Server, Zone: z.Name} }
func instanceOf(z dns.Zone) string { return z.Server + "/" + z.Name }
func lines(list []string) string   { return strings.Join(list, "\n") }
func splitLines(text string) []string {
	var list []string
	for line := range strings.Lines(text) {
		if line = site.Clean(line); line != "" {
			list = append(list, line)
		}
	}
	return list
}

// conflictText formats a value of a conflict: records one a line, and others as JSON.
func conflictText(_ string, value json.RawMessage) string {
	var list []string
	if json.Unmarshal(value, &list) == nil && list != nil {
		return strings.Join(list, ", ")
	}
	return string(value)
}

// Admin returns the handler of the operators' pages.
func Admin(e *nawasync.Engine, enforcer admin.Enforcer) (http.Handler, error) {
	return site.Admin(e, enforcer, "PowerDNS", map[string]admin.Field{
		"ttl":                      {Label: "TTL, in seconds"},
		"dnssec":                   {Label: "DNSSEC", Format: admin.FormatBool("yes", "no")},
		"edited_serial":            {Label: "Serial"},
		"records":                  {Label: "Records"},
		"disabled":                 {Label: "Disabled records"},
		"powerdns/record_set.zone": {Label: "Zone"},
	})
}
