package web

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/examples/internal/site"
	"github.com/nawasara/nawasync/examples/powerdns/dns"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/tracker"
)

// by is who dispatches all jobs, because the example has no login.
var by = nawasync.Options{By: site.User}

func (s *Pages) sync(w http.ResponseWriter, r *http.Request) {
	if r.PostFormValue("what") == "zones" {
		job, err := s.DNS.Zones.SyncNow(r.Context(), dns.Zone{Server: s.Server}, "", by)
		s.finishZone(w, r, job, err)
		return
	}
	zone, err := s.zone(r)
	var job *tracker.Job
	if err == nil {
		job, err = s.DNS.Sets.SyncNow(r.Context(), scopeOf(zone), "", by)
	}
	s.finishSet(w, r, job, err)
}

// finishZone answers a form of the list of zones, and finishSet one of the list of sets.
func (s *Pages) finishZone(w http.ResponseWriter, r *http.Request, job *tracker.Job, err error) {
	s.FinishForm(w, r, err, func() { s.RedirectToList(w, r, "/", s.Server, job.ID) }, s.zones)
}

func (s *Pages) finishSet(w http.ResponseWriter, r *http.Request, job *tracker.Job, err error) {
	if errors.Is(err, mirror.ErrScopeGone) {
		err = site.FormError("the zone does not exist at PowerDNS any more, and nothing changes its record sets")
	}
	s.FinishForm(w, r, err, func() { s.RedirectToList(w, r, "/sets", instance(r), job.ID) }, s.sets)
}

// row returns the number of the row that a form names, and what its user has seen of it.
func row(r *http.Request) (id uint64, token string, err error) {
	if id, err = strconv.ParseUint(r.PostFormValue("row"), 10, 64); err != nil {
		return 0, "", nawasync.ErrNotFound
	}
	return id, r.PostFormValue("seen"), nil
}

const errUnsure = site.FormError("the confirmation is missing: select the checkbox")

func (s *Pages) changeZone(w http.ResponseWriter, r *http.Request) {
	job, err := s.zoneJob(r, r.PathValue("action"))
	s.finishZone(w, r, job, err)
}

// zoneJob dispatches the job of a form of a zone.
func (s *Pages) zoneJob(r *http.Request, action string) (*tracker.Job, error) {
	account := site.Clean(r.PostFormValue("account"))
	if len(account) > 40 {
		return nil, site.FormError("the account has more than 40 characters: shorten it")
	}
	if action == "create" {
		z := dns.Zone{Server: s.Server, Name: site.Clean(r.PostFormValue("name")), Kind: "Native", Account: account}
		if z.Name == "" {
			return nil, site.FormError("the name is missing: enter a domain such as example.org")
		}
		return s.DNS.Zones.Create(r.Context(), z, by)
	}
	id, token, err := row(r)
	if err != nil {
		return nil, err
	}
	seen, err := s.DNS.Zones.ParseSeen(r.Context(), dns.Zone{ID: id, Server: s.Server}, site.User, token)
	switch {
	case err != nil:
		return nil, err
	case action == "update":
		return s.DNS.Zones.Update(r.Context(), seen, func(z *dns.Zone) { z.Account = account }, by)
	case action != "delete":
		return nil, site.ErrUnknownAction
	case r.PostFormValue("sure") != "yes":
		return nil, errUnsure
	}
	return s.DNS.Zones.Delete(r.Context(), seen, by)
}

func (s *Pages) changeSet(w http.ResponseWriter, r *http.Request) {
	job, err := s.setJob(r, r.PathValue("action"))
	s.finishSet(w, r, job, err)
}

// setJob dispatches the job of a form of a record set.
func (s *Pages) setJob(r *http.Request, action string) (*tracker.Job, error) {
	zone, err := s.zone(r)
	if err != nil {
		return nil, err
	}
	want := scopeOf(zone)
	if action == "create" {
		want.Name, want.Type = dns.FullName(site.Clean(r.PostFormValue("name")), zone.Name), strings.ToUpper(site.Clean(r.PostFormValue("type")))
		if !slices.Contains(types, want.Type) {
			return nil, site.FormError(fmt.Sprintf("%.20q is not a type of record that can be added here: use %s", want.Type, strings.Join(types, ", ")))
		}
		if err := readValues(r, &want); err != nil {
			return nil, err
		}
		return s.DNS.Sets.Create(r.Context(), want, by)
	}
	var token string
	if want.ID, token, err = row(r); err != nil {
		return nil, err
	}
	seen, err := s.DNS.Sets.ParseSeen(r.Context(), want, site.User, token)
	switch {
	case err != nil:
		return nil, err
	case action == "update":
		want = seen
		if err := readValues(r, &want); err != nil {
			return nil, err
		}
		return s.DNS.Sets.Update(r.Context(), seen, func(row *dns.Set) { row.TTL, row.Records, row.Disabled = want.TTL, want.Records, want.Disabled }, by)
	case action != "delete":
		return nil, site.ErrUnknownAction
	case r.PostFormValue("sure") != "yes":
		return nil, errUnsure
	}
	return s.DNS.Sets.Delete(r.Context(), seen, by)
}

// types are the types of records that the form offers.
var types = []string{"A", "AAAA", "CAA", "CNAME", "MX", "NS", "PTR", "SRV", "TXT"}

// maxTTL is the highest TTL that DNS knows.
const maxTTL = 1<<31 - 1

// readValues reads the fields that all forms of a set have.
func readValues(r *http.Request, set *dns.Set) error {
	ttl, err := strconv.ParseInt(r.PostFormValue("ttl"), 10, 64)
	if err != nil || ttl < 0 || ttl > maxTTL {
		return site.FormError("the TTL is not valid: enter a number of seconds")
	}
	set.TTL, set.Records, set.Disabled = ttl, splitLines(r.PostFormValue("records")), splitLines(r.PostFormValue("disabled"))
	if len(set.Records)+len(set.Disabled) == 0 {
		return site.FormError("there is no record: write one a line, or delete the set")
	}
	return nil
}
