package dns

import (
	"net/netip"
	"strings"

	"golang.org/x/net/idna"
)

// normalise spells a record as Cloudflare stores it. In keys and scopes, most fields are empty.
func normalise(r *Record) {
	r.Type = strings.ToUpper(strings.TrimSpace(r.Type))
	r.Name = hostName(r.Name)
	switch r.Type {
	case "A", "AAAA":
		r.Content = strings.TrimSpace(r.Content)
		if address, err := netip.ParseAddr(r.Content); err == nil {
			r.Content = address.String() // an IPv6 address in its short form
		}
	case "CNAME", "MX", "NS":
		r.Content = hostName(r.Content)
	}
	if r.Proxied || r.TTL == 0 {
		r.TTL = 1 // automatic, whatever was asked for
	}
	if r.Type != "" && !hasPriority(r.Type) {
		r.Priority = nil
	}
}

func hasPriority(kind string) bool { return kind == "MX" || kind == "SRV" || kind == "URI" }

// hostName spells a name in lower case, without a dot at its end, and an international one in Punycode. Names may
// have a * for all others, and underscores.
func hostName(name string) string {
	name = strings.ToLower(strings.TrimSuffix(strings.TrimSpace(name), "."))
	if ascii, err := idna.New(idna.MapForLookup(), idna.StrictDomainName(false)).ToASCII(name); err == nil {
		return ascii
	}
	return name // Cloudflare refuses it, with a reason
}

// FullName returns the name of a record as Cloudflare stores it: with the name of its zone. "@", "" and the zone's name
// are the zone itself.
func FullName(name, zone string) string {
	name = hostName(name)
	switch {
	case name == "" || name == "@":
		return zone
	case name == zone || strings.HasSuffix(name, "."+zone):
		return name
	}
	return name + "." + zone
}
