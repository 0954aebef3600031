package web

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/examples/cloudflare/dns"
	"github.com/nawasara/nawasync/examples/internal/site"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/tracker"
)

// by is who dispatches all jobs, because the example has no login.
var by = nawasync.Options{By: site.User}

func (s *Pages) sync(w http.ResponseWriter, r *http.Request) {
	switch r.PostFormValue("what") {
	case "accounts":
		job, err := s.DNS.Accounts.SyncNow(r.Context(), dns.Account{Token: s.token(r)}, "", by)
		s.FinishForm(w, r, err, func() { s.RedirectToList(w, r, "/", s.token(r), job.ID) }, s.accounts)
		return
	case "zones":
		account, err := s.account(r)
		var job *tracker.Job
		if err == nil {
			job, err = s.DNS.Zones.SyncNow(r.Context(), dns.Zone{Token: account.Token, Account: account.AccountID}, "", by)
		}
		s.FinishForm(w, r, goneScope(err, "account", "zones"), func() { s.RedirectToList(w, r, "/zones", instance(r), job.ID) }, s.zones)
		return
	}
	zone, err := s.zone(r)
	var job *tracker.Job
	if err == nil {
		job, err = s.DNS.Records.SyncNow(r.Context(), scopeOf(zone), "", by)
	}
	s.finishRecord(w, r, job, err)
}

// finishRecord answers a form of the list of records.
func (s *Pages) finishRecord(w http.ResponseWriter, r *http.Request, job *tracker.Job, err error) {
	s.FinishForm(w, r, goneScope(err, "zone", "records"), func() { s.RedirectToList(w, r, "/records", instance(r), job.ID) }, s.records)
}

// goneScope explains mirror.ErrScopeGone. Other errors stay as they are.
func goneScope(err error, scope, objects string) error {
	if errors.Is(err, mirror.ErrScopeGone) {
		return site.FormError(fmt.Sprintf("the %s does not exist at Cloudflare any more, and nothing changes its %s", scope, objects))
	}
	return err
}

func (s *Pages) changeRecord(w http.ResponseWriter, r *http.Request) {
	job, err := s.recordJob(r, r.PathValue("action"))
	s.finishRecord(w, r, job, err)
}

// recordJob dispatches the job of a form of one record.
func (s *Pages) recordJob(r *http.Request, action string) (*tracker.Job, error) {
	zone, err := s.zone(r)
	if err != nil {
		return nil, err
	}
	if action == "create" {
		row, err := newRecord(zone, r.PostFormValue("name"), r.PostFormValue("type"), r.PostFormValue("content"))
		if err == nil {
			err = readValues(r, &row)
		}
		if err != nil {
			return nil, err
		}
		return s.DNS.Records.Create(r.Context(), row, by)
	}
	seen, err := s.seen(r, zone, r.PostFormValue("row"), r.PostFormValue("seen"))
	if err != nil {
		return nil, err
	}
	switch action {
	case "delete":
		if r.PostFormValue("sure") != "yes" {
			return nil, site.FormError("the confirmation is missing: select the checkbox to delete the record")
		}
		return s.DNS.Records.Delete(r.Context(), seen, by)
	case "update":
		want := seen
		if want.Content = site.Clean(r.PostFormValue("content")); want.Content == "" {
			return nil, site.FormError("the content is missing: enter where the record points to")
		}
		if err := readValues(r, &want); err != nil {
			return nil, err
		}
		return s.DNS.Records.Update(r.Context(), seen, func(row *dns.Record) {
			row.Content, row.TTL, row.Proxied, row.Priority, row.Comment = want.Content, want.TTL, want.Proxied, want.Priority, want.Comment
		}, by)
	}
	return nil, site.ErrUnknownAction
}

// seen returns a row as the form has shown it.
func (s *Pages) seen(r *http.Request, zone dns.Zone, id, token string) (dns.Record, error) {
	of := scopeOf(zone)
	number, err := strconv.ParseUint(id, 10, 64)
	if err != nil {
		return of, nawasync.ErrNotFound
	}
	of.ID = number
	return s.DNS.Records.ParseSeen(r.Context(), of, site.User, token)
}

// types are the types of records that the form offers.
var types = []string{"A", "AAAA", "CNAME", "MX", "NS", "TXT"}

// newRecord returns a record of a zone as a user names it.
func newRecord(zone dns.Zone, name, kind, content string) (dns.Record, error) {
	row := scopeOf(zone)
	row.Name, row.Type, row.Content = dns.FullName(site.Clean(name), zone.Name), strings.ToUpper(site.Clean(kind)), site.Clean(content)
	switch {
	case !slices.Contains(types, row.Type):
		return row, site.FormError(fmt.Sprintf("%.20q is not a type of record that can be added here: use %s", kind, strings.Join(types, ", ")))
	case row.Content == "":
		return row, site.FormError("the content is missing: enter where the record points to")
	case row.Type == "MX":
		row.Priority = new(10)
	}
	return row, nil
}

// readValues reads the fields that all forms of a record have.
func readValues(r *http.Request, row *dns.Record) error {
	ttl, err := strconv.Atoi(r.PostFormValue("ttl"))
	if err != nil || ttl != 1 && (ttl < 60 || ttl > 86400) {
		return site.FormError("the TTL is not valid: choose automatic, or 60 to 86400 seconds")
	}
	row.TTL, row.Proxied, row.Comment = ttl, r.PostFormValue("proxied") == "yes", site.Clean(r.PostFormValue("comment"))
	if len(row.Comment) > 100 {
		return site.FormError("the comment has more than 100 characters: shorten it")
	}
	if row.Type == "MX" {
		priority, err := strconv.Atoi(r.PostFormValue("priority"))
		if err != nil || priority < 0 || priority > 65535 {
			return site.FormError("the priority is not valid: enter a number from 0 to 65535")
		}
		row.Priority = &priority
	}
	return nil
}

// maxMany is how many records one form may add.
const maxMany = 1000

// changeMany dispatches many changes of a zone.
func (s *Pages) changeMany(w http.ResponseWriter, r *http.Request) {
	zone, err := s.zone(r)
	var n int
	if err == nil {
		n, err = s.many(r, zone, r.PathValue("action"))
	}
	_, wrongForm := errors.AsType[site.FormError](err)
	switch {
	case err == nil && n > 0:
		http.Redirect(w, r, "/records?"+url.Values{"instance": {instanceOf(zone)}, "queued": {strconv.Itoa(n)}}.Encode(), http.StatusSeeOther)
	case err == nil:
		s.finishRecord(w, r, nil, nawasync.ErrUnchanged)
	case n > 0:
		s.showRecords(w, r, http.StatusOK, "", recordsView{Zone: zone, Queued: n, Notice: site.Sentence(err)}, nil)
	case wrongForm || zone.ID == 0 || errors.Is(err, site.ErrUnknownAction):
		s.finishRecord(w, r, nil, err)
	default:
		s.finishRecord(w, r, nil, site.FormError(err.Error()))
	}
}

// many dispatches the changes of a form, and returns how many.
func (s *Pages) many(r *http.Request, zone dns.Zone, action string) (int, error) {
	ctx := r.Context()
	if action == "add" {
		list, err := parseLines(zone, r.PostFormValue("lines"))
		if err != nil {
			return 0, err
		}
		return s.DNS.AddMany(ctx, list, by)
	}
	var rows []dns.Record
	for _, id := range r.PostForm["row"] {
		row, err := s.seen(r, zone, id, r.PostFormValue("seen"+id))
		if err != nil {
			return 0, err
		}
		rows = append(rows, row)
	}
	if len(rows) == 0 {
		return 0, site.FormError("no record is selected: select the records to change")
	}
	switch action {
	case "delete":
		if r.PostFormValue("sure") != "yes" {
			return 0, site.FormError("the confirmation is missing: select the checkbox to delete the records")
		}
		return s.DNS.DeleteMany(ctx, rows, by)
	case "ttl":
		ttl, err := strconv.Atoi(r.PostFormValue("ttl"))
		if err != nil || ttl != 1 && (ttl < 60 || ttl > 86400) {
			return 0, site.FormError("the TTL is not valid: choose automatic, or 60 to 86400 seconds")
		}
		return s.DNS.EditMany(ctx, rows, func(row *dns.Record) { row.TTL = ttl }, by)
	}
	return 0, site.ErrUnknownAction
}

// parseLines reads records, one a line: name, type and content, for example "www A 192.0.2.1".
func parseLines(zone dns.Zone, text string) (list []dns.Record, err error) {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		if len(fields) < 3 {
			return nil, site.FormError(fmt.Sprintf("the line %.60q has not three parts: write name, type and content, as in www A 192.0.2.1", strings.TrimSpace(line)))
		}
		row, err := newRecord(zone, fields[0], fields[1], strings.Join(fields[2:], " "))
		if err != nil {
			return nil, err
		}
		list = append(list, row)
	}
	switch {
	case len(list) == 0:
		return nil, site.FormError("there is no record to add: write one a line")
	case len(list) > maxMany:
		return nil, site.FormError(fmt.Sprintf("there are %d records; add at most %d at once", len(list), maxMany))
	}
	return list, nil
}
