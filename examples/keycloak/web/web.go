// Package web serves the example's pages: the users and the clients of a realm, with the forms that change them.
package web

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin"
	"github.com/nawasara/nawasync/examples/internal/site"
	"github.com/nawasara/nawasync/examples/keycloak/iam"
	"github.com/nawasara/nawasync/examples/keycloak/kcsim/sim"
)

// Pages serves the pages.
type Pages struct {
	site.Site // Service and Frame are set by Handler

	IAM       *iam.Module
	Realms    []string    // the names of the realms; the first is the default
	Simulated *sim.Server // the simulated Keycloak in this process, or nil
}

// Handler returns the handler of all pages, the operators' pages included.
func (s *Pages) Handler() http.Handler {
	s.Service, s.Frame = iam.Service, s.frame
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { s.users(w, r, http.StatusOK, "") })
	mux.HandleFunc("GET /clients", func(w http.ResponseWriter, r *http.Request) { s.clients(w, r, http.StatusOK, "") })
	mux.HandleFunc("POST /users/{action}", s.changeUser)
	mux.HandleFunc("POST /clients/{action}", s.changeClient)
	mux.HandleFunc("POST /sync", s.sync)
	mux.HandleFunc("GET /elsewhere", func(w http.ResponseWriter, r *http.Request) { s.elsewhere(w, r, elsewhereView{}) })
	mux.HandleFunc("POST /elsewhere/{action}", s.changeElsewhere)
	return s.Site.Handler(mux)
}

// Admin returns the handler of the operators' pages.
func Admin(e *nawasync.Engine, enforcer admin.Enforcer) (http.Handler, error) {
	yesNo := admin.FormatBool("yes", "no")
	return site.Admin(e, enforcer, "Keycloak", map[string]admin.Field{
		"enabled":                {Label: "Enabled", Format: yesNo},
		"email_verified":         {Label: "Email verified", Format: yesNo},
		"public":                 {Label: "Public", Format: yesNo},
		"service_account":        {Label: "Service account", Format: yesNo},
		"required_actions":       {Label: "Required actions", Format: listText},
		"redirect_uris":          {Label: "Redirect URIs", Format: listText},
		"web_origins":            {Label: "Web origins", Format: listText},
		"keycloak/user.user_id":  {Label: "Identifier"},
		"keycloak/client.uuid":   {Label: "Identifier"},
		"registered_at":          {Label: "Created at Keycloak"},
		"keycloak/user.username": {Label: "User name"},
	})
}

func listText(value json.RawMessage, _ *time.Location) string {
	var list []string
	if json.Unmarshal(value, &list) != nil {
		return string(value)
	}
	return joined(list)
}

// frame returns the brand and the navigation of a page.
func (s *Pages) frame(path, realm string) site.Page {
	p := site.Page{Brand: "Keycloak example", PlacesLabel: "Realms", PlaceLabel: "Realm"}
	if realm == "" {
		realm = s.Realms[0]
	}
	sections := []site.Link{{Name: "Users", URL: "/"}, {Name: "Clients", URL: "/clients"}, {Name: "Held syncs", URL: "/held"}}
	if s.Simulated != nil {
		sections = append(sections, site.Link{Name: "Edit at Keycloak", URL: "/elsewhere"})
	}
	for _, section := range sections {
		to := string(section.URL)
		p.Sections = append(p.Sections, site.Link{Name: section.Name, URL: site.LinkTo(to, realm), Current: site.Current(to == path)})
	}
	if len(s.Realms) > 1 && path != "/held" {
		for _, name := range s.Realms {
			p.Places = append(p.Places, site.Link{Name: name, URL: site.LinkTo(path, name), Current: site.Current(name == realm)})
		}
	}
	return p
}

// realm returns the realm that a request names, or the default one.
func (s *Pages) realm(r *http.Request) string {
	name := r.URL.Query().Get("instance")
	if r.Method == http.MethodPost {
		name = r.PostFormValue("instance") // the body was read within its limits before
	}
	if slices.Contains(s.Realms, name) {
		return name
	}
	return s.Realms[0]
}
