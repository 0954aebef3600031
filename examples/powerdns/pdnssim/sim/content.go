package sim

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// types are the types of records that the simulator knows.
var types = []string{"A", "AAAA", "CAA", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT"}

// checkContent returns the content of a record as it is stored, or the reason why it is refused: it must be as PowerDNS
// writes it itself, but for the letters of an IPv6 address.
func checkContent(key setKey, r record) (content, refused string) {
	if r.Content == nil {
		return "", "Key 'content' not present or not a String"
	}
	content = *r.Content
	label := fmt.Sprintf("Record %s/%s '%s': ", key.name, key.kind, content)
	const parsing = "Parsing record content (try 'pdnsutil check-zone'): "
	written := content
	switch key.kind {
	case "A":
		address, ok := parseA(content)
		if !ok {
			return "", label + parsing + "unable to parse IP address"
		}
		written = address
	case "AAAA":
		address, err := netip.ParseAddr(content)
		if err != nil || !address.Is6() {
			return "", label + "Invalid IPv6 address"
		}
		return address.String(), ""
	case "CNAME", "NS", "PTR":
		written = dotted(content)
	case "MX":
		preference, host, _ := strings.Cut(content, " ")
		number, err := strconv.ParseUint(preference, 10, 16)
		if err != nil {
			return "", label + parsing + "expected digits at position 0 in '" + content + "'"
		}
		written = fmt.Sprintf("%d %s", number, dotted(strings.TrimSpace(host)))
	case "TXT":
		if !strings.HasPrefix(content, `"`) {
			return "", label + parsing + `Data field in DNS should start with quote (") at position 0 of '` + content + "'"
		}
	}
	if written != content {
		return "", label + "Not in expected format (parsed as '" + written + "')"
	}
	return content, ""
}

func dotted(name string) string { return strings.TrimSuffix(name, ".") + "." }

// parseA reads an IPv4 address. Its numbers may have zeros before them, and spaces may surround it.
func parseA(text string) (address string, ok bool) {
	parts := strings.Split(strings.TrimSpace(text), ".")
	if len(parts) != 4 {
		return "", false
	}
	for i, part := range parts {
		n, err := strconv.ParseUint(part, 10, 8)
		if err != nil {
			return "", false
		}
		parts[i] = strconv.FormatUint(n, 10)
	}
	return strings.Join(parts, "."), true
}

// seeded returns a zone with n record sets besides its SOA: some that each zone has, and numbered ones.
func seeded(name string, n int) *zone {
	z := newZone(name, "Native", "")
	for i, set := range []Set{
		{Name: name, Type: "NS", TTL: 3600, Records: []Record{{Content: "ns1." + name}, {Content: "ns2." + name}}},
		{Name: "www." + name, Type: "A", TTL: 300, Records: []Record{{Content: "192.0.2.1"}, {Content: "192.0.2.2"}}},
		{Name: name, Type: "MX", TTL: 3600, Records: []Record{{Content: "10 mail." + name}}},
		{Name: name, Type: "TXT", TTL: 3600, Records: []Record{{Content: `"v=spf1 mx -all"`}}},
		{Name: "ftp." + name, Type: "CNAME", TTL: 300, Records: []Record{{Content: "www." + name}}},
		{Name: "old." + name, Type: "A", TTL: 300, Records: []Record{{Content: "192.0.2.7"}, {Content: "192.0.2.8", Disabled: true}}},
	} {
		if i < n {
			z.put(set)
		}
	}
	for i := len(z.sets); i <= n; i++ { // the SOA is one more
		z.put(Set{Name: fmt.Sprintf("host%05d.%s", i, name), Type: "A", TTL: 300, Records: []Record{{Content: fmt.Sprintf("198.51.%d.%d", i/250, 1+i%250)}}})
	}
	return z
}
