package web

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/examples/cloudflare/dns"
	"github.com/nawasara/nawasync/examples/internal/site"
)

// accounts lists the accounts that a token may see.
func (s *Pages) accounts(w http.ResponseWriter, r *http.Request, status int, problem string) {
	token := s.token(r)
	p, err := s.Page(r, "Accounts", "/", token, problem)
	v := site.List{
		Path: "/", Listing: "accounts", Source: "Cloudflare", Instance: token, Singular: "account", Plural: "accounts", SearchLabel: "Part of the name",
	}
	var list nawasync.ListResult[dns.Account]
	if err == nil {
		list, err = site.ListOf(r, &v, map[string]any{"token": token}, s.DNS.Accounts, "name")
	}
	if err == nil {
		v.SyncedAt, err = s.DNS.Accounts.LastSyncedAt(r.Context(), dns.Account{Token: token})
	}
	if err == nil {
		err = s.AddHoldsAndJobs(r.Context(), &v, "account", "sync_accounts")
	}
	if err != nil {
		s.ListError(w, r, err)
		return
	}
	p.RefreshDuring(v)
	s.Show(w, r, status, accounts(p, v, list.Items))
}

// zones lists the zones of an account.
func (s *Pages) zones(w http.ResponseWriter, r *http.Request, status int, problem string) {
	account, err := s.account(r)
	if errors.Is(err, nawasync.ErrNotFound) {
		http.Error(w, "This account is not in the list of accounts any more. Choose another account.", http.StatusNotFound)
		return
	}
	v := site.List{
		Path: "/zones", Listing: "zones", Source: "Cloudflare", Instance: zonesOf(account), Singular: "zone", Plural: "zones", SearchLabel: "Part of the name",
	}
	var p site.Page
	if err == nil {
		p, err = s.Page(r, account.Name, "/zones", v.Instance, problem)
	}
	var list nawasync.ListResult[dns.Zone]
	if err == nil {
		list, err = site.ListOf(r, &v, map[string]any{"token": account.Token, "account": account.AccountID}, s.DNS.Zones, "name")
	}
	if err == nil {
		v.SyncedAt, err = s.DNS.Zones.LastSyncedAt(r.Context(), dns.Zone{Token: account.Token, Account: account.AccountID})
	}
	if err == nil {
		err = s.AddHoldsAndJobs(r.Context(), &v, "zone", "sync_zones")
	}
	if err != nil {
		s.ListError(w, r, err)
		return
	}
	p.RefreshDuring(v)
	s.Show(w, r, status, zones(p, account, v, list.Items))
}

// recordsView is the list of the records of a zone.
type recordsView struct {
	site.List

	Account dns.Account
	Zone    dns.Zone
	Rows    []dns.Record
	Queued  int    // changes that the last form has dispatched
	Notice  string // what it could not dispatch
}

// records lists the records of a zone.
func (s *Pages) records(w http.ResponseWriter, r *http.Request, status int, problem string) {
	zone, err := s.zone(r)
	if errors.Is(err, nawasync.ErrNotFound) {
		http.Error(w, "This zone is not in the list of zones any more. Choose another zone.", http.StatusNotFound)
		return
	}
	v := recordsView{Zone: zone}
	v.Queued, _ = strconv.Atoi(r.URL.Query().Get("queued"))
	s.showRecords(w, r, status, problem, v, err)
}

func (s *Pages) showRecords(w http.ResponseWriter, r *http.Request, status int, problem string, v recordsView, err error) {
	ctx := r.Context()
	v.List = site.List{
		Path: "/records", Listing: "records", Source: "Cloudflare", Instance: instanceOf(v.Zone), Singular: "record", Plural: "records",
		SearchLabel: "Name or content",
	}
	var p site.Page
	if err == nil {
		v.Account, err = s.account(r)
	}
	if err == nil {
		p, err = s.Page(r, v.Zone.Name, "/records", v.Instance, problem)
	}
	var list nawasync.ListResult[dns.Record]
	if err == nil {
		list, err = site.ListOf(r, &v.List, map[string]any{"token": v.Zone.Token, "account": v.Zone.Account, "zone": v.Zone.ZoneID}, s.DNS.Records, "name")
		v.Rows = list.Items
	}
	if err == nil {
		v.SyncedAt, err = s.DNS.Records.LastSyncedAt(ctx, scopeOf(v.Zone))
	}
	if err == nil {
		err = s.AddHoldsAndJobs(ctx, &v.List, "dns_record", "sync_dns_records")
	}
	if err != nil {
		s.ListError(w, r, err)
		return
	}
	p.RefreshDuring(v.List)
	if v.Queued > 0 && p.Refresh == 0 && pending(v.Rows) {
		p.Refresh = 2
	}
	s.Show(w, r, status, records(p, v))
}

func pending(rows []dns.Record) bool {
	for _, row := range rows {
		if row.IsPending() {
			return true
		}
	}
	return false
}
