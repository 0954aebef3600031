// Package dns mirrors the zones and record sets of PowerDNS servers and changes them through jobs. The scopes of the
// record sets are the zones, which come and go.
package dns

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/nawasara/nawasync"
)

// Zone is a row of the snapshot of zones.
type Zone struct {
	ID           uint64
	Server       string `sync:"scope,limit"`               // the server's name; its API key is what limits belong to
	Name         string `sync:"key"           wire:"name"` // with a dot at its end
	Kind         string `gorm:"size:16"       wire:"kind"` // Native, Master or Slave
	Account      string `gorm:"size:64"       wire:"account"`
	DNSSEC       bool   `gorm:"column:dnssec" sync:"observed"`
	EditedSerial int64  `sync:"observed"` // raised by each change of a record set
	UpdatedAt    time.Time
	nawasync.SyncStatus
}

// TableName returns the name of the table.
func (Zone) TableName() string { return "powerdns_zones" }

// Set is a row of the snapshot of record sets: all records of one name and type. PowerDNS rewrites the SOA record
// itself, so that there is no row of it.
type Set struct {
	ID        uint64
	Server    string   `sync:"scope,limit"`
	Zone      string   `sync:"scope"` // the zone's name
	Name      string   `sync:"key"`   // with the zone's name and a dot at its end
	Type      string   `sync:"key"`
	TTL       int64    // seconds, of the set as a whole
	Records   []string `gorm:"serializer:json" sync:"set"` // the contents of the records that are served
	Disabled  []string `gorm:"serializer:json" sync:"set"` // and of those that are not
	UpdatedAt time.Time
	nawasync.SyncStatus
}

// TableName returns the name of the table.
func (Set) TableName() string { return "powerdns_sets" }

// dotted spells a name as PowerDNS returns it: in lower case, with a dot at its end.
func dotted(name string) string {
	if name = strings.ToLower(strings.TrimSpace(name)); name == "" || strings.HasSuffix(name, ".") {
		return name
	}
	return name + "."
}

func normaliseZone(z *Zone) { z.Name = dotted(z.Name) }

// normaliseSet spells a set as PowerDNS returns it. In keys and scopes, most fields are empty.
func normaliseSet(s *Set) {
	s.Zone, s.Name, s.Type = dotted(s.Zone), dotted(s.Name), strings.ToUpper(strings.TrimSpace(s.Type))
	s.Records, s.Disabled = contents(s.Type, s.Records), contents(s.Type, s.Disabled)
}

// contents returns another list, because the caller may use the one that it has passed.
func contents(kind string, list []string) []string {
	list = slices.Clone(list)
	for i := range list {
		list[i] = content(kind, list[i])
	}
	return list
}

// content spells the content of a record: addresses in their short form, and names with a dot at their end. PowerDNS keeps
// the case of names in contents, which has no meaning.
func content(kind, text string) string {
	text = strings.TrimSpace(text)
	fields := strings.Fields(text)
	switch kind {
	case "A", "AAAA":
		if address, err := netip.ParseAddr(text); err == nil {
			return address.String()
		}
	case "CNAME", "NS", "PTR", "MX", "SRV":
		if len(fields) > 0 {
			fields[len(fields)-1] = dotted(fields[len(fields)-1])
		}
		return strings.Join(fields, " ")
	}
	return text
}

// FullName returns the name of a set as PowerDNS stores it: with the name of its zone, unless it ends with a dot. "@", "" and the
// zone's name are the zone itself.
func FullName(name, zone string) string {
	full := strings.HasSuffix(strings.TrimSpace(name), ".")
	switch name = dotted(name); {
	case name == "" || name == "@.":
		return zone
	case full || name == zone || strings.HasSuffix(name, "."+zone):
		return name
	}
	return name + zone
}
