// Package web serves the example's pages: the accounts of a token, the zones of an account, and the records of a zone with
// the forms that change them.
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
	Tokens    []string    // the names of the tokens; the first is the default
	Simulated *sim.Server // the simulated Cloudflare in this process, or nil
}

// Handler returns the handler of all pages, the operators' pages included.
func (s *Pages) Handler() http.Handler {
	s.Service, s.Frame, s.Place, s.ConflictText = dns.Service, s.frame, s.place, conflictText
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { s.accounts(w, r, http.StatusOK, "") })
	mux.HandleFunc("GET /zones", func(w http.ResponseWriter, r *http.Request) { s.zones(w, r, http.StatusOK, "") })
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
	p := site.Page{Brand: "Cloudflare example", PlacesLabel: "Tokens", PlaceLabel: "Token, account and zone"}
	token, _, _ := strings.Cut(instance, "/")
	if token == "" {
		token = s.Tokens[0]
	}
	sections := []site.Link{{Name: "Accounts", URL: "/"}, {Name: "Held syncs", URL: "/held"}}
	if s.Simulated != nil {
		sections = append(sections, site.Link{Name: "Edit at Cloudflare", URL: "/elsewhere"})
	}
	for _, section := range sections {
		to := string(section.URL)
		p.Sections = append(p.Sections, site.Link{Name: section.Name, URL: site.LinkTo(to, token), Current: site.Current(to == path)})
	}
	if len(s.Tokens) > 1 && (path == "/" || path == "/elsewhere") {
		for _, name := range s.Tokens {
			p.Places = append(p.Places, site.Link{Name: name, URL: site.LinkTo(path, name), Current: site.Current(name == token)})
		}
	}
	return p
}

// place returns what people call an instance: the token, and the names of the account and the zone in it.
func (s *Pages) place(ctx context.Context, instance string) string {
	parts := strings.Split(instance, "/")
	if len(parts) > 1 {
		if account, err := s.DNS.Accounts.FindKey(ctx, dns.Account{Token: parts[0], AccountID: parts[1]}); err == nil {
			parts[1] = account.Name
		}
	}
	if len(parts) > 2 {
		ids := strings.Split(instance, "/")
		if zone, err := s.DNS.Zones.FindKey(ctx, dns.Zone{Token: ids[0], Account: ids[1], ZoneID: ids[2]}); err == nil {
			parts[2] = zone.Name
		}
	}
	return strings.Join(parts, ", ")
}

// instance returns the instance that a request names.
func instance(r *http.Request) string {
	if r.Method == http.MethodPost {
		return site.Clean(r.PostFormValue("instance")) // the body was read within its limits before
	}
	return site.Clean(r.URL.Query().Get("instance"))
}

// token returns the name of the token that a request names, or of the default one.
func (s *Pages) token(r *http.Request) string {
	name, _, _ := strings.Cut(instance(r), "/")
	if slices.Contains(s.Tokens, name) {
		return name
	}
	return s.Tokens[0]
}

// account returns the account that a request names, or nawasync.ErrNotFound.
func (s *Pages) account(r *http.Request) (dns.Account, error) {
	parts := strings.Split(instance(r), "/")
	if len(parts) < 2 || !slices.Contains(s.Tokens, parts[0]) {
		return dns.Account{}, nawasync.ErrNotFound
	}
	return s.DNS.Accounts.FindKey(r.Context(), dns.Account{Token: parts[0], AccountID: parts[1]})
}

// zone returns the zone that a request names, or nawasync.ErrNotFound.
func (s *Pages) zone(r *http.Request) (dns.Zone, error) {
	parts := strings.Split(instance(r), "/")
	if len(parts) < 3 || !slices.Contains(s.Tokens, parts[0]) {
		return dns.Zone{}, nawasync.ErrNotFound
	}
	return s.DNS.Zones.FindKey(r.Context(), dns.Zone{Token: parts[0], Account: parts[1], ZoneID: parts[2]})
}

// zonesOf returns the instance of an account's zones.
func zonesOf(a dns.Account) string { return a.Token + "/" + a.AccountID }

// scopeOf returns the scope of a zone's records.
func scopeOf(z dns.Zone) dns.Record {
	return dns.Record{Token: z.Token, Account: z.Account, Zone: z.ZoneID}
}

// instanceOf returns the instance of a zone's records.
func instanceOf(z dns.Zone) string { return z.Token + "/" + z.Account + "/" + z.ZoneID }
