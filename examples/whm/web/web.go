// Package web serves the example's pages. The pages list the snapshots and dispatch a job for each
// form.
package web

import (
	"errors"
	"net/http"
	"slices"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/examples/internal/site"
	"github.com/nawasara/nawasync/examples/whm/hosting"
	"github.com/nawasara/nawasync/examples/whm/whmsim/sim"
)

// AdminPrefix is where the operators' pages are mounted.
const AdminPrefix = site.AdminPrefix

// Pages serves the pages.
type Pages struct {
	site.Site // Service, Frame and ConflictText are set by Handler

	Hosting   *hosting.Module
	Instances []string               // the names of the servers; the first is the default
	Simulated map[string]*sim.Server // the simulated servers in this process, by name
}

// Handler returns the handler of all pages, the operators' pages included.
func (s *Pages) Handler() http.Handler {
	s.Service, s.Frame, s.ConflictText = "whm", s.frame, conflictText
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { s.mailboxes(w, r, http.StatusOK, "") })
	mux.HandleFunc("GET /accounts", func(w http.ResponseWriter, r *http.Request) { s.accounts(w, r, http.StatusOK, "") })
	mux.HandleFunc("GET /elsewhere", func(w http.ResponseWriter, r *http.Request) { s.remoteEdit(w, r, remoteEditView{}) })
	mux.HandleFunc("POST /elsewhere", s.changeRemote)
	mux.HandleFunc("POST /try/{step}", s.tryStep)
	mux.HandleFunc("POST /sync", s.sync)
	mux.HandleFunc("POST /mailboxes/{action}", s.changeMailbox)
	mux.HandleFunc("POST /accounts/{action}", s.changeAccount)
	return s.Site.Handler(mux)
}

// frame returns the brand and the navigation of a page. There are no links to other servers if the page is the same for
// all servers, or if there is one server.
func (s *Pages) frame(path, instance string) site.Page {
	p := site.Page{Brand: "WHM example", PlacesLabel: "Servers", PlaceLabel: "Server"}
	if instance == "" {
		instance = s.Instances[0]
	}
	for _, section := range []site.Link{
		{Name: "Mailboxes", URL: "/"},
		{Name: "Accounts", URL: "/accounts"},
		{Name: "Held syncs", URL: "/held"},
		{Name: "Edit on server", URL: "/elsewhere"},
	} {
		if section.URL == "/elsewhere" && s.Simulated[instance] == nil {
			continue
		}
		to := string(section.URL)
		p.Sections = append(p.Sections, site.Link{Name: section.Name, URL: site.LinkTo(to, instance), Current: site.Current(to == path)})
	}
	if len(s.Instances) > 1 && slices.Contains([]string{"/", "/accounts", "/elsewhere"}, path) {
		for _, name := range s.Instances {
			p.Places = append(p.Places, site.Link{Name: name, URL: site.LinkTo(path, name), Current: site.Current(name == instance)})
		}
	}
	return p
}

// instance returns the name of the server in a request. For an unknown name it returns the default
// server.
func (s *Pages) instance(r *http.Request) string {
	name := r.URL.Query().Get("instance")
	if r.Method == http.MethodPost {
		name = r.PostFormValue("instance") // the body was read within its limits before
	}
	if slices.Contains(s.Instances, name) {
		return name
	}
	return s.Instances[0]
}

func (s *Pages) mailboxes(w http.ResponseWriter, r *http.Request, status int, problem string) {
	ctx := r.Context()
	p, err := s.Page(r, "Mailboxes", "/", s.instance(r), problem)
	v := site.List{Path: "/", Listing: "emails", Source: "the server", Instance: p.Instance, Singular: "mailbox", Plural: "mailboxes"}
	v.SearchLabel = "Part of the address"
	var list nawasync.ListResult[hosting.WhmEmailAccount]
	if err == nil {
		list, err = site.ListOf(r, &v, map[string]any{"instance": p.Instance}, s.Hosting.Emails, "email")
	}
	if err == nil {
		v.SyncedAt, err = s.Hosting.Emails.LastSyncedAt(ctx, hosting.WhmEmailAccount{Instance: p.Instance})
	}
	if err == nil {
		err = s.AddHoldsAndJobs(ctx, &v, "email_account", "sync_emails")
	}
	var guide *guideView
	if err == nil {
		guide, err = s.guide(ctx, p.Instance)
	}
	var users []string
	for a, rowErr := range s.Hosting.Accounts.All(ctx, nawasync.Query{Where: map[string]any{"instance": p.Instance}}) {
		if rowErr != nil || len(users) == 200 {
			err = errors.Join(err, rowErr)
			break
		}
		users = append(users, a.Username)
	}
	if err != nil {
		s.ListError(w, r, err)
		return
	}
	p.RefreshDuring(v)
	if p.Refresh == 0 && guide.working() {
		p.Refresh = 2
	}
	s.Show(w, r, status, mailboxes(p, v, list.Items, users, guide))
}

func (s *Pages) accounts(w http.ResponseWriter, r *http.Request, status int, problem string) {
	ctx := r.Context()
	p, err := s.Page(r, "Accounts", "/accounts", s.instance(r), problem)
	v := site.List{Path: "/accounts", Listing: "accounts", Source: "the server", Instance: p.Instance, Singular: "account", Plural: "accounts"}
	v.SearchLabel = "Part of the username, domain or contact"
	var list nawasync.ListResult[hosting.WhmAccount]
	if err == nil {
		list, err = site.ListOf(r, &v, map[string]any{"instance": p.Instance}, s.Hosting.Accounts, "username")
	}
	if err == nil {
		v.SyncedAt, err = s.Hosting.Accounts.LastSyncedAt(ctx, hosting.WhmAccount{Instance: p.Instance})
	}
	if err == nil {
		err = s.AddHoldsAndJobs(ctx, &v, "account", "sync_accounts")
	}
	if err != nil {
		s.ListError(w, r, err)
		return
	}
	p.RefreshDuring(v)
	s.Show(w, r, status, accounts(p, v, list.Items))
}
