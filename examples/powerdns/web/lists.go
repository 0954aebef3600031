package web

import (
	"errors"
	"net/http"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/examples/internal/site"
	"github.com/nawasara/nawasync/examples/powerdns/dns"
)

// zones lists the zones of the server.
func (s *Pages) zones(w http.ResponseWriter, r *http.Request, status int, problem string) {
	p, err := s.Page(r, "Zones", "/", s.Server, problem)
	v := site.List{Path: "/", Listing: "zones", Source: "PowerDNS", Instance: s.Server, Singular: "zone", Plural: "zones", SearchLabel: "Part of the name"}
	var list nawasync.ListResult[dns.Zone]
	if err == nil {
		list, err = site.ListOf(r, &v, map[string]any{"server": s.Server}, s.DNS.Zones, "name")
	}
	if err == nil {
		v.SyncedAt, err = s.DNS.Zones.LastSyncedAt(r.Context(), dns.Zone{Server: s.Server})
	}
	if err == nil {
		err = s.AddHoldsAndJobs(r.Context(), &v, "zone", "sync_zones")
	}
	if err != nil {
		s.ListError(w, r, err)
		return
	}
	p.RefreshDuring(v)
	s.Show(w, r, status, zones(p, v, list.Items))
}

// setsView is the list of the record sets of a zone.
type setsView struct {
	site.List

	Zone dns.Zone
	Rows []dns.Set
}

// sets lists the record sets of a zone.
func (s *Pages) sets(w http.ResponseWriter, r *http.Request, status int, problem string) {
	zone, err := s.zone(r)
	if errors.Is(err, nawasync.ErrNotFound) {
		http.Error(w, "This zone is not in the list of zones any more. Choose another zone.", http.StatusNotFound)
		return
	}
	v := setsView{Zone: zone, List: site.List{
		Path: "/sets", Listing: "sets", Source: "PowerDNS", Instance: instanceOf(zone), Singular: "record set", Plural: "record sets",
		SearchLabel: "Part of the name or of a record",
	}}
	var p site.Page
	if err == nil {
		p, err = s.Page(r, zone.Name, "/sets", v.Instance, problem)
	}
	var list nawasync.ListResult[dns.Set]
	if err == nil {
		list, err = site.ListOf(r, &v.List, map[string]any{"server": zone.Server, "zone": zone.Name}, s.DNS.Sets, "name")
		v.Rows = list.Items
	}
	if err == nil {
		v.SyncedAt, err = s.DNS.Sets.LastSyncedAt(r.Context(), scopeOf(zone))
	}
	if err == nil {
		err = s.AddHoldsAndJobs(r.Context(), &v.List, "record_set", "sync_sets")
	}
	if err != nil {
		s.ListError(w, r, err)
		return
	}
	p.RefreshDuring(v.List)
	s.Show(w, r, status, sets(p, v))
}
