// Package web serves the example's pages: the zones of an account, and the records of a zone with the forms that change
// them.
package web

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/examples/cloudflare/cfsim/sim"
	"github.com/nawasara/nawasync/examples/cloudflare/dns"
	"github.com/nawasara/nawasync/examples/internal/site"
)

// Pages serves the pages.
type Pages struct {
	site.Site // Service, Frame, Place and ConflictText are set by Handler

	DNS       *dns.Module
	Accounts  []string    // the names of the accounts; the first is the default
	Simulated *sim.Server // the simulated Cloudflare in this process, or nil
}

// Handler returns the handler of all pages, the operators' pages included.
func (s *Pages) Handler() http.Handler {
	s.Service, s.Frame, s.Place, s.ConflictText = dns.Service, s.frame, s.place, conflictText
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { s.zones(w, r, http.StatusOK, "") })
	mux.HandleFunc("GET /records", func(w http.ResponseWriter, r *http.Request) { s.records(w, r, http.StatusOK, "") })
	mux.HandleFunc("POST /records/{action}", s.changeRecord)
	mux.HandleFunc("POST /many/{action}", s.changeMany)
	mux.HandleFunc("POST /sync", s.sync)
	mux.HandleFunc("GET /elsewhere", func(w http.ResponseWriter, r *http.Request) { s.elsewhere(w, r, elsewhereView{}) })
	mux.HandleFunc("POST /elsewhere/{action}", s.changeElsewhere)
	return s.Site.Handler(mux)
}

// frame returns the brand and the navigation of a page.
func (s *Pages) frame(path, instance string) site.Page {
	p := site.Page{Brand: "Cloudflare example", PlacesLabel: "Accounts", PlaceLabel: "Account and zone"}
	account, _, _ := strings.Cut(instance, "/")
	if account == "" {
		account = s.Accounts[0]
	}
	sections := []site.Link{{Name: "Zones", URL: "/"}, {Name: "Held syncs", URL: "/held"}}
	if s.Simulated != nil {
		sections = append(sections, site.Link{Name: "Edit at Cloudflare", URL: "/elsewhere"})
	}
	for _, section := range sections {
		to := string(section.URL)
		p.Sections = append(p.Sections, site.Link{Name: section.Name, URL: site.LinkTo(to, account), Current: site.Current(to == path)})
	}
	if len(s.Accounts) > 1 && path == "/" {
		for _, name := range s.Accounts {
			p.Places = append(p.Places, site.Link{Name: name, URL: site.LinkTo(path, name), Current: site.Current(name == account)})
		}
	}
	return p
}

// place returns the account and the name of the zone of an instance, which has the zone's identifier.
func (s *Pages) place(ctx context.Context, instance string) string {
	account, id, inZone := strings.Cut(instance, "/")
	if !inZone {
		return instance
	}
	zone, err := s.DNS.Zones.FindKey(ctx, dns.Zone{Account: account, ZoneID: id})
	if err != nil {
		return instance
	}
	return account + ", " + zone.Name
}

// instance returns the instance that a request names.
func instance(r *http.Request) string {
	if r.Method == http.MethodPost {
		return site.Clean(r.PostFormValue("instance")) // the body was read within its limits before
	}
	return site.Clean(r.URL.Query().Get("instance"))
}

// account returns the account that a request names, or the default one.
func (s *Pages) account(r *http.Request) string {
	name, _, _ := strings.Cut(instance(r), "/")
	if slices.Contains(s.Accounts, name) {
		return name
	}
	return s.Accounts[0]
}

// zone returns the zone that a request names, or nawasync.ErrNotFound.
func (s *Pages) zone(r *http.Request) (dns.Zone, error) {
	account, id, inZone := strings.Cut(instance(r), "/")
	if !inZone || !slices.Contains(s.Accounts, account) {
		return dns.Zone{}, nawasync.ErrNotFound
	}
	return s.DNS.Zones.FindKey(r.Context(), dns.Zone{Account: account, ZoneID: id})
}

// scopeOf returns the scope of a zone's records.
func scopeOf(z dns.Zone) dns.Record { return dns.Record{Account: z.Account, Zone: z.ZoneID} }

// instanceOf returns the instance of a zone's records.
func instanceOf(z dns.Zone) string { return z.Account + "/" + z.ZoneID }
