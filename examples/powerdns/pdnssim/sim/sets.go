package sim

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Set is a record set as the API shows it.
type Set struct {
	Comments []Comment `json:"comments"`
	Name     string    `json:"name"`
	Records  []Record  `json:"records"`
	TTL      uint32    `json:"ttl"`
	Type     string    `json:"type"`
}

// Record is a record of a set.
type Record struct {
	Content  string `json:"content"`
	Disabled bool   `json:"disabled"`
}

// Comment is a comment of a set.
type Comment struct {
	Account    string `json:"account"`
	Content    string `json:"content"`
	ModifiedAt int64  `json:"modified_at"`
}

type setKey struct{ name, kind string }

// put stores a set. Its records are sorted, as the database sorts them.
func (z *zone) put(set Set) {
	if set.Comments == nil {
		set.Comments = []Comment{}
	}
	slices.SortFunc(set.Records, func(a, b Record) int { return cmp.Compare(a.Content, b.Content) })
	z.sets[setKey{set.Name, set.Type}] = &set
}

// find returns the sets with a name and a type; "" is any. With a name, the sets have it as it was asked for, and lack
// their disabled records, which is a fault of PowerDNS (pdns issue 11473).
func (z *zone) find(name, kind string) []*Set {
	list := []*Set{}
	for _, set := range z.sets {
		if name == "" {
			list = append(list, set)
			continue
		}
		if set.Name != strings.TrimSuffix(strings.ToLower(name), ".")+"." || kind != "" && set.Type != kind {
			continue
		}
		found := *set
		found.Name = strings.TrimSuffix(name, ".") + "."
		found.Records = slices.DeleteFunc(slices.Clone(set.Records), func(r Record) bool { return r.Disabled })
		if len(found.Records) == 0 {
			found.TTL = 0
		}
		if len(found.Records)+len(found.Comments) > 0 {
			list = append(list, &found)
		}
	}
	slices.SortFunc(list, func(a, b *Set) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Type, b.Type)) })
	return list
}

// change is one change of a PATCH.
type change struct {
	Name       *string    `json:"name"`
	Type       *string    `json:"type"`
	TTL        *int64     `json:"ttl"`
	ChangeType *string    `json:"changetype"`
	Records    *[]record  `json:"records"`
	Comments   *[]Comment `json:"comments"`
}

type record struct {
	Content  *string `json:"content"`
	Disabled bool    `json:"disabled"`
}

// changeSets carries out the changes of a PATCH: all of them, or none if one is refused.
func (s *Server) changeSets(z *zone, _ *http.Request, body []byte) answer {
	var want struct {
		Sets *[]change `json:"rrsets"`
	}
	if json.Unmarshal(body, &want) != nil {
		return plain(http.StatusBadRequest)
	}
	if want.Sets == nil {
		return refuse("No rrsets given in update request")
	}
	next := &zone{Zone: z.Zone, sets: maps.Clone(z.sets)}
	seen := map[setKey]bool{}
	for _, c := range *want.Sets {
		if reason := next.change(c, seen); reason != "" {
			return refuse(reason)
		}
	}
	z.sets = next.sets
	z.changed()
	return answer{status: http.StatusNoContent}
}

// change carries out one change, or returns the reason why it is refused.
func (z *zone) change(c change, seen map[setKey]bool) (refused string) {
	for key, missing := range map[string]bool{"name": c.Name == nil, "type": c.Type == nil, "changetype": c.ChangeType == nil} {
		if missing {
			return "Key '" + key + "' not present or not a String"
		}
	}
	key := setKey{strings.ToLower(*c.Name), strings.ToUpper(*c.Type)}
	label := key.name + " IN " + key.kind
	switch {
	case !strings.HasSuffix(key.name, "."):
		return "DNS Name '" + *c.Name + "' is not canonical"
	case strings.Trim(key.name, "abcdefghijklmnopqrstuvwxyz0123456789-_/*.@+") != "":
		return "Name '" + key.name + "' contains unsupported characters"
	case key.name != z.Name && !strings.HasSuffix(key.name, "."+z.Name):
		return "RRset " + label + ": Name is out of zone"
	case !slices.Contains(types, key.kind):
		return "RRset " + label + ": unknown type given"
	case seen[key]:
		return "Duplicate RRset " + label + " with changetype: " + *c.ChangeType
	}
	seen[key] = true
	switch *c.ChangeType {
	case "DELETE":
		delete(z.sets, key)
		return ""
	case "REPLACE":
		return z.replace(c, key, label)
	}
	return "Changetype not understood"
}

// replace gives a set the records, the TTL and the comments that the change has.
func (z *zone) replace(c change, key setKey, label string) (refused string) {
	set := Set{Name: key.name, Type: key.kind}
	if old := z.sets[key]; old != nil {
		set = *old
	}
	if c.Records == nil && c.Comments == nil {
		return "No change for RRset " + label
	}
	if c.Comments != nil {
		set.Comments = *c.Comments
	}
	if c.Records != nil {
		if c.TTL == nil {
			return "Key 'ttl' not an Integer or not present"
		}
		set.TTL, set.Records = uint32(*c.TTL), nil //nolint:gosec // the API takes any number, and keeps 32 bits of it
		for _, r := range *c.Records {
			content, reason := checkContent(key, r)
			if reason != "" {
				return reason
			}
			if slices.ContainsFunc(set.Records, func(other Record) bool { return other.Content == content }) {
				return fmt.Sprintf("Duplicate record in RRset %s with content %q", label, content)
			}
			set.Records = append(set.Records, Record{content, r.Disabled})
		}
	}
	if len(set.Records) == 0 && len(set.Comments) == 0 {
		delete(z.sets, key)
		return ""
	}
	if reason := z.checkOthers(key, label, set); reason != "" {
		return reason
	}
	z.put(set)
	return ""
}

// checkOthers refuses a CNAME beside other sets of its name, and one with several records.
func (z *zone) checkOthers(key setKey, label string, set Set) (refused string) {
	if key.kind == "CNAME" && len(set.Records) > 1 {
		return "RRset " + label + " has more than one record"
	}
	for _, other := range types {
		if z.sets[setKey{key.name, other}] != nil && other != key.kind && (other == "CNAME" || key.kind == "CNAME") {
			return "RRset " + label + ": Conflicts with pre-existing RRset"
		}
	}
	return ""
}

// search returns the records whose name or content is q. Others of q's wildcards than * are not simulated.
func (s *Server) search(_ *zone, r *http.Request, _ []byte) answer {
	type found struct {
		Record
		Name       string `json:"name"`
		ObjectType string `json:"object_type"`
		TTL        uint32 `json:"ttl"`
		Type       string `json:"type"`
		Zone       string `json:"zone"`
		ZoneID     string `json:"zone_id"`
	}
	q := strings.ToLower(r.FormValue("q"))
	limit, err := strconv.Atoi(r.FormValue("max"))
	if err != nil {
		limit = 100
	}
	list := []found{}
	for _, z := range s.zones {
		for _, set := range z.sets {
			for _, one := range set.Records {
				// The database has names without the dot at their end.
				if matches(q, strings.TrimSuffix(set.Name, ".")) || matches(q, strings.TrimSuffix(strings.ToLower(one.Content), ".")) {
					list = append(list, found{one, set.Name, "record", set.TTL, set.Type, z.Name, z.ID})
				}
			}
		}
	}
	slices.SortFunc(list, func(a, b found) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Content, b.Content)) })
	return answer{status: http.StatusOK, value: list[:min(limit, len(list))]}
}

func matches(q, text string) bool {
	if start, wild := strings.CutSuffix(q, "*"); wild {
		return strings.HasPrefix(text, start)
	}
	return q == text
}
