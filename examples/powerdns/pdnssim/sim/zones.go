package sim

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Zone is a zone as the API lists it.
type Zone struct {
	Account        string   `json:"account"`
	Catalog        string   `json:"catalog"`
	DNSSEC         bool     `json:"dnssec"`
	EditedSerial   int64    `json:"edited_serial"`
	ID             string   `json:"id"`
	Kind           string   `json:"kind"`
	LastCheck      int      `json:"last_check"`
	Masters        []string `json:"masters"`
	Name           string   `json:"name"`
	NotifiedSerial int      `json:"notified_serial"`
	Serial         int64    `json:"serial"`
	URL            string   `json:"url"`
}

// firstSerial is the serial of a new zone: the API makes it of the date.
const firstSerial = 2026112801

type zone struct {
	Zone

	sets map[setKey]*Set
}

// idOf returns the identifier of a zone: what is not a letter, digit, dot or hyphen is written as = and two digits.
func idOf(name string) string {
	return strings.NewReplacer("%", "=", "_", "=5F", "~", "=7E").Replace(url.PathEscape(strings.ReplaceAll(name, "/", "\x2f")))
}

// nameOf returns the name of an identifier, with a dot at its end. Digits in lower case are a bad request.
func nameOf(id string) (name string, ok bool) {
	name, err := url.PathUnescape(strings.ReplaceAll(strings.ReplaceAll(id, "%", "%25"), "=", "%"))
	if err != nil || strings.Contains(id, "=") && id != idOf(name) {
		return "", false
	}
	return strings.ToLower(strings.TrimSuffix(name, ".") + "."), true
}

func newZone(name, kind, account string) *zone {
	z := &zone{Zone: Zone{
		Account: account, EditedSerial: firstSerial, ID: idOf(name), Kind: kind, Masters: []string{}, Name: name, Serial: firstSerial,
		URL: "/api/v1/servers/localhost/zones/" + idOf(name),
	}, sets: map[setKey]*Set{}}
	z.writeSerial()
	return z
}

// writeSerial puts the serial into the SOA record. It replaces the set, which an answer may have.
func (z *zone) writeSerial() {
	content := fmt.Sprintf("a.misconfigured.dns.server.invalid. hostmaster.%s %d 10800 3600 604800 3600", z.Name, z.Serial)
	z.put(Set{Name: z.Name, Type: "SOA", TTL: 3600, Records: []Record{{Content: content}}})
}

// changed raises the serial, as each change of record sets does.
func (z *zone) changed() {
	z.Serial++
	z.EditedSerial = z.Serial
	z.writeSerial()
}

func (s *Server) listZones(*zone, *http.Request, []byte) answer {
	list := []Zone{}
	for _, name := range slices.Sorted(maps.Keys(s.zones)) {
		list = append(list, s.zones[name].Zone)
	}
	return answer{status: http.StatusOK, value: list}
}

// detailed is a zone as the API shows it alone.
type detailed struct {
	Zone

	SOAEditAPI string `json:"soa_edit_api"`
	Sets       []*Set `json:"rrsets,omitzero"` // nil leaves them out
}

func (s *Server) getZone(z *zone, r *http.Request, _ []byte) answer {
	d := detailed{Zone: z.Zone, SOAEditAPI: "DEFAULT"}
	if r.FormValue("rrsets") != "false" {
		d.Sets = z.find(r.FormValue("rrset_name"), r.FormValue("rrset_type"))
	}
	return answer{status: http.StatusOK, value: d}
}

// kinds are the kinds of zones. The API takes any other for Native.
var kinds = []string{"Native", "Master", "Slave"}

func kindOf(text string) string {
	for _, kind := range kinds {
		if strings.EqualFold(kind, text) {
			return kind
		}
	}
	return kinds[0]
}

func (s *Server) createZone(_ *zone, r *http.Request, body []byte) answer {
	var want struct {
		Name        string   `json:"name"`
		Kind        string   `json:"kind"`
		Account     string   `json:"account"`
		Nameservers []string `json:"nameservers"`
	}
	if json.Unmarshal(body, &want) != nil {
		return plain(http.StatusBadRequest)
	}
	name := strings.ToLower(want.Name)
	if !strings.HasSuffix(name, ".") {
		return refuse("DNS Name '" + want.Name + "' is not canonical")
	}
	if s.zones[name] != nil {
		return plain(http.StatusConflict)
	}
	z := newZone(name, kindOf(want.Kind), want.Account)
	if len(want.Nameservers) > 0 {
		set := Set{Name: name, Type: "NS", TTL: 3600}
		for _, ns := range want.Nameservers {
			if !strings.HasSuffix(ns, ".") {
				return refuse("Nameserver is not canonical: '" + ns + "'")
			}
			set.Records = append(set.Records, Record{Content: ns})
		}
		z.put(set)
	}
	s.zones[name] = z
	a := s.getZone(z, r, nil)
	a.status = http.StatusCreated
	return a
}

func (s *Server) editZone(z *zone, _ *http.Request, body []byte) answer {
	var want struct {
		Kind    *string `json:"kind"`
		Account *string `json:"account"`
	}
	if json.Unmarshal(body, &want) != nil {
		return plain(http.StatusBadRequest)
	}
	if want.Kind != nil {
		z.Kind = kindOf(*want.Kind)
	}
	if want.Account != nil {
		z.Account = *want.Account
	}
	return answer{status: http.StatusNoContent}
}
