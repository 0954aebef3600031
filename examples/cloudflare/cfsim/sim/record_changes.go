package sim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/net/idna"
)

// Change is the body of a call that changes a record. Nil leaves a field as it is, or at its default.
type Change struct {
	ID       string    `json:"id,omitempty"` // in a batch
	Name     *string   `json:"name,omitempty"`
	Type     *string   `json:"type,omitempty"`
	Content  *string   `json:"content,omitempty"`
	Proxied  *bool     `json:"proxied,omitempty"`
	TTL      *int      `json:"ttl,omitempty"`
	Priority *int      `json:"priority,omitempty"`
	Comment  *string   `json:"comment,omitempty"`
	Tags     *[]string `json:"tags,omitempty"`
}

func (r request) change() (c Change, refused *answer) {
	if err := json.Unmarshal(r.body, &c); err != nil {
		return c, new(failed(http.StatusBadRequest, 9207, "Failed to parse the request body: "+err.Error()))
	}
	return c, nil
}

func (s *Server) createRecord(r request) answer {
	c, refused := r.change()
	if refused != nil {
		return *refused
	}
	record, refused := s.create(r.zone, c)
	if refused != nil {
		return *refused
	}
	s.changes[record.ID]++
	return succeeded(*record)
}

// editRecord is PATCH: what the body does not have stays.
func (s *Server) editRecord(r request) answer { return s.change(r, false) }

// overwriteRecord is PUT: what the body does not have gets its default.
func (s *Server) overwriteRecord(r request) answer { return s.change(r, true) }

func (s *Server) change(r request, overwrite bool) answer {
	record, refused := r.findRecord()
	if refused != nil {
		return *refused
	}
	c, refused := r.change()
	if refused != nil {
		return *refused
	}
	if refused = s.edit(r.zone, record, c, overwrite); refused != nil {
		return *refused
	}
	s.changes[record.ID]++
	return succeeded(*record)
}

func (s *Server) deleteRecord(r request) answer {
	record, refused := r.findRecord()
	if refused != nil {
		return *refused
	}
	s.changes[record.ID]++
	r.zone.remove(record.ID)
	return succeeded(map[string]string{"id": record.ID})
}

func (z *zone) remove(id string) {
	z.unname(z.records[id])
	delete(z.records, id)
	z.order = slices.DeleteFunc(z.order, func(other string) bool { return other == id })
}

// create adds a record.
func (s *Server) create(z *zone, c Change) (*Record, *answer) {
	record := &Record{ID: s.newID("record of " + z.id), CreatedOn: s.stamp(), Settings: map[string]any{}, Meta: map[string]any{}}
	if refused := s.edit(z, record, c, true); refused != nil {
		return nil, refused
	}
	z.put(record)
	return record, nil
}

// edit changes a record, unless the result would be invalid.
func (s *Server) edit(z *zone, record *Record, c Change, overwrite bool) *answer {
	next := *record
	if overwrite {
		next = Record{ID: record.ID, CreatedOn: record.CreatedOn, TTL: 1, Settings: record.Settings, Meta: record.Meta}
	}
	set(&next.Name, c.Name)
	set(&next.Type, c.Type)
	set(&next.Content, c.Content)
	set(&next.Proxied, c.Proxied)
	set(&next.TTL, c.TTL)
	set(&next.Tags, c.Tags)
	if c.Priority != nil {
		next.Priority = new(*c.Priority)
	}
	if c.Comment != nil {
		if next.Comment = new(*c.Comment); *c.Comment == "" {
			next.Comment = nil
		}
	}
	z.normalise(&next)
	if refused := check(next); refused != nil {
		return refused
	}
	if refused := z.checkOthers(next); refused != nil {
		return refused
	}
	next.ModifiedOn = s.stamp()
	known := z.records[record.ID] != nil
	if known {
		z.unname(record)
	}
	if *record = next; known {
		z.named[record.Name] = append(z.named[record.Name], record)
	}
	return nil
}

// put adds a record as it is.
func (z *zone) put(record *Record) {
	z.records[record.ID] = record
	z.named[record.Name] = append(z.named[record.Name], record)
	z.order = append(z.order, record.ID)
}

// unname takes a record off the index of names.
func (z *zone) unname(record *Record) {
	z.named[record.Name] = slices.DeleteFunc(z.named[record.Name], func(other *Record) bool { return other.ID == record.ID })
}

func set[T any](field *T, value *T) {
	if value != nil {
		*field = *value
	}
}

// normalise spells a record as the service stores it.
func (z *zone) normalise(r *Record) {
	r.Type = strings.ToUpper(r.Type)
	r.Name = hostName(r.Name)
	switch {
	case r.Name == "@" || r.Name == "":
		r.Name = z.name
	case r.Name != z.name && !strings.HasSuffix(r.Name, "."+z.name):
		r.Name += "." + z.name
	}
	switch r.Type {
	case "A", "AAAA":
		if address, err := netip.ParseAddr(r.Content); err == nil {
			r.Content = address.String()
		}
	case "CNAME", "MX", "NS":
		r.Content = hostName(r.Content)
	}
	r.Proxiable = slices.Contains([]string{"A", "AAAA", "CNAME"}, r.Type)
	if r.Proxied || r.TTL == 0 {
		r.TTL = 1 // automatic
	}
	if r.Type != "MX" && r.Type != "SRV" && r.Type != "URI" {
		r.Priority = nil
	} else if r.Priority == nil {
		r.Priority = new(10)
	}
	if r.Tags == nil {
		r.Tags = []string{}
	}
}

// hostName spells a name in lower case, without a dot at its end, and an international one in Punycode.
func hostName(name string) string {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if ascii, err := idna.New(idna.MapForLookup(), idna.StrictDomainName(false)).ToASCII(name); err == nil {
		return ascii
	}
	return name
}

// check refuses a record that is invalid in itself.
func check(r Record) *answer {
	bad := func(code int, format string, args ...any) *answer {
		return new(failed(http.StatusBadRequest, code, fmt.Sprintf(format, args...)))
	}
	address, err := netip.ParseAddr(r.Content)
	switch {
	case !slices.Contains([]string{"A", "AAAA", "CAA", "CNAME", "MX", "NS", "PTR", "SRV", "TXT"}, r.Type):
		return bad(1004, "DNS Validation Error")
	case len(r.Name) > 253 || strings.ContainsAny(r.Name, " /:") || strings.Contains(r.Name, ".."):
		return bad(9000, "DNS name is invalid.")
	case r.Type == "A" && (err != nil || !address.Is4()):
		return bad(9005, "Content for A record is invalid. Must be a valid IPv4 address")
	case r.Type == "AAAA" && (err != nil || !address.Is6()):
		return bad(9006, "Content for AAAA record is invalid. Must be a valid IPv6 address")
	case r.Content == "":
		return bad(9009, "Content for %s record is invalid.", r.Type)
	case r.TTL != 1 && (r.TTL < 60 || r.TTL > 86400):
		return bad(9021, "Invalid TTL. Must be between 60 and 86400 seconds, or 1 for Automatic.")
	case r.Proxied && !r.Proxiable:
		return bad(9004, "This record type cannot be proxied.")
	}
	return nil
}

// checkOthers refuses a record that cannot stand beside another one of the zone.
func (z *zone) checkOthers(r Record) *answer {
	for _, other := range z.named[r.Name] {
		if other.ID == r.ID {
			continue
		}
		address := r.Type == "A" || r.Type == "AAAA"
		otherAddress := other.Type == "A" || other.Type == "AAAA"
		switch {
		case other.Type == r.Type && other.Content == r.Content:
			return new(failed(http.StatusBadRequest, 81058, "An identical record already exists."))
		case other.Type == "CNAME" && r.Type == "CNAME":
			return new(failed(http.StatusBadRequest, 81057, "The record already exists."))
		case other.Type == "CNAME" && address, r.Type == "CNAME" && otherAddress:
			return new(failed(http.StatusBadRequest, 81053, "An A, AAAA, or CNAME record with that host already exists."))
		}
	}
	return nil
}
