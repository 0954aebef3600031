package web

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/a-h/templ"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/examples/internal/site"
	"github.com/nawasara/nawasync/examples/keycloak/iam"
	"github.com/nawasara/nawasync/tracker"
)

// view is the list of the users or the clients of a realm.
type view[T any] struct {
	site.List

	Rows []T
}

// source says where the rows of a list are.
type source[T any] struct {
	title, sort, typ, sync string
	of                     nawasync.SyncedRepository[T]
	scope                  T
}

// show shows a list of a realm with a page.
func show[T any](
	s *Pages, w http.ResponseWriter, r *http.Request, v view[T], from source[T], status int, problem string, page func(site.Page, view[T]) templ.Component,
) {
	p, err := s.Page(r, from.title, string(v.Path), v.Instance, problem)
	var list nawasync.ListResult[T]
	if err == nil {
		list, err = site.ListOf(r, &v.List, map[string]any{"realm": v.Instance}, from.of, from.sort)
		v.Rows = list.Items
	}
	if err == nil {
		v.SyncedAt, err = from.of.LastSyncedAt(r.Context(), from.scope)
	}
	if err == nil { // the jobs that read the events come every minute
		v.JobTerms = []tracker.Term{
			site.Term(tracker.FieldInstance, v.Instance), {Field: tracker.FieldAction, Values: []string{"user_events", "client_events"}, Not: true},
		}
		err = s.AddHoldsAndJobs(r.Context(), &v.List, from.typ, from.sync)
	}
	if err != nil {
		s.ListError(w, r, err)
		return
	}
	p.RefreshDuring(v.List)
	s.Show(w, r, status, page(p, v))
}

// users lists the users of a realm.
func (s *Pages) users(w http.ResponseWriter, r *http.Request, status int, problem string) {
	v := view[iam.User]{List: site.List{Path: "/", Listing: "users", Source: "Keycloak", Instance: s.realm(r)}}
	v.Singular, v.Plural, v.SearchLabel = "user", "users", "Name or address"
	from := source[iam.User]{"Users", "username", "user", "sync_users", s.IAM.Users, iam.User{Realm: v.Instance}}
	show(s, w, r, v, from, status, problem, users)
}

// clients lists the clients of a realm.
func (s *Pages) clients(w http.ResponseWriter, r *http.Request, status int, problem string) {
	v := view[iam.Client]{List: site.List{Path: "/clients", Listing: "clients", Source: "Keycloak", Instance: s.realm(r)}}
	v.Singular, v.Plural, v.SearchLabel = "client", "clients", "Client id or name"
	from := source[iam.Client]{"Clients", "client_id", "client", "sync_clients", s.IAM.Clients, iam.Client{Realm: v.Instance}}
	show(s, w, r, v, from, status, problem, clients)
}

func rowID(id uint64) string { return strconv.FormatUint(id, 10) }

func joined(list []string) string { return strings.Join(list, ", ") }

// lines returns a list as the text of a form, one element a line.
func lines(list []string) string { return strings.Join(list, "\n") }

// fullName returns the name of a user, or "".
func fullName(u iam.User) string { return strings.TrimSpace(u.FirstName + " " + u.LastName) }

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}
