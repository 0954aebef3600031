package sim

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// zone is a domain with its records.
type zone struct {
	id, name  string
	forbidden bool // to the token of its account
	created   time.Time
	records   map[string]*Record   // by identifier
	named     map[string][]*Record // by name
	order     []string             // identifiers in the order of their creation
	hidden    []*Record
}

// newID returns an identifier as the API gives them out: 32 hexadecimal digits. They are the same after a restart, so that
// a database from before still fits.
func (s *Server) newID(kind string) string {
	s.ids[kind]++
	sum := sha256.Sum256([]byte(kind + " " + strconv.Itoa(s.ids[kind])))
	return hex.EncodeToString(sum[:16])
}

func (s *Server) addZone(a *account, name string) *zone {
	z := &zone{id: s.newID("zone " + name), name: name, created: s.stamp(), records: map[string]*Record{}, named: map[string][]*Record{}}
	a.zones = append(a.zones, z)
	return z
}

// stamp returns the time as the API stores it.
func (s *Server) stamp() time.Time { return s.now().UTC().Truncate(time.Microsecond) }

// findZone returns the zone with an identifier and its account, or nil.
func (s *Server) findZone(id string) (*zone, *account) {
	for _, a := range s.accounts {
		for _, z := range a.zones {
			if z.id == id {
				return z, a
			}
		}
	}
	return nil, nil
}

// seed adds records to a new zone: some that each zone has, and numbered ones.
func (s *Server) seed(z *zone, n int) {
	zero, ten := 0, 10
	for i, c := range []Change{
		{Name: new("@"), Type: new("A"), Content: new("192.0.2.1"), Proxied: new(true), Comment: new("the web server")},
		{Name: new("www"), Type: new("CNAME"), Content: new(z.name), Proxied: new(true), Tags: &[]string{"team:web"}},
		{Name: new("@"), Type: new("MX"), Content: new("mail." + z.name), Priority: &zero},
		{Name: new("@"), Type: new("TXT"), Content: new(`"v=spf1 mx -all"`), TTL: new(3600)},
		{Name: new("mail"), Type: new("A"), Content: new("192.0.2.25"), TTL: new(300)},
		{Name: new("*.apps"), Type: new("A"), Content: new("192.0.2.80")},
		{Name: new("@"), Type: new("MX"), Content: new("backup.mail.example"), Priority: &ten},
		{Name: new("api"), Type: new("A"), Content: new("192.0.2.11"), TTL: new(300)},
		{Name: new("api"), Type: new("A"), Content: new("192.0.2.12"), TTL: new(300)},
	} {
		if i < n {
			s.mustAdd(z, c)
		}
	}
	for i := len(z.records) + 1; i <= n; i++ {
		s.mustAdd(z, Change{Name: new(fmt.Sprintf("host%04d", i)), Type: new("A"), Content: new(fmt.Sprintf("198.51.%d.%d", 100+i/250, 1+i%250)), TTL: new(300)})
	}
}

func (s *Server) mustAdd(z *zone, c Change) {
	if _, refused := s.create(z, c); refused != nil {
		panic(fmt.Sprint("the simulator's own record is invalid: ", refused.errors))
	}
}

// zoneJSON is a zone as the API shows it.
func zoneJSON(z *zone, a *account) map[string]any {
	return map[string]any{
		"id": z.id, "name": z.name, "status": "active", "paused": false, "type": "full", "development_mode": 0,
		"name_servers": []string{"ann.ns.cloudflare.example", "bob.ns.cloudflare.example"}, "original_name_servers": nil,
		"account": map[string]any{"id": a.id, "name": a.name}, "plan": map[string]any{"name": "Free Website", "legacy_id": "free"},
		"permissions": []string{"#dns_records:edit", "#dns_records:read", "#zone:read"},
		"created_on":  z.created, "modified_on": z.created, "activated_on": z.created,
	}
}

func (s *Server) listZones(r request) answer {
	var list []map[string]any
	for _, a := range s.seenBy(r.token) {
		if id := r.FormValue("account.id"); id != "" && id != a.id {
			continue // an account that the token may not see has no zones: that is no error
		}
		for _, z := range a.zones {
			if name := r.FormValue("name"); name == "" || name == z.name {
				list = append(list, zoneJSON(z, a))
			}
		}
	}
	slices.SortStableFunc(list, func(a, b map[string]any) int { return strings.Compare(a["name"].(string), b["name"].(string)) })
	return pageOf(r, list, 20, 50)
}

func (s *Server) getZone(r request) answer { return succeeded(zoneJSON(r.zone, r.account)) }
