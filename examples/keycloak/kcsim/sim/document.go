package sim

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// document is an object as the API sends it. Fields without a value are missing.
type document map[string]json.RawMessage

func (d document) text(name string) (s string) {
	_ = json.Unmarshal(d[name], &s)
	return s
}

func (d document) flag(name string) (b bool) {
	_ = json.Unmarshal(d[name], &b)
	return b
}

func (d document) list(name string) (l []string) {
	_ = json.Unmarshal(d[name], &l)
	return l
}

func (d document) set(name string, value any) { d[name], _ = json.Marshal(value) }

// merge takes the fields of a change over. null is no change, and an empty text is no value.
func (d document) merge(change document) {
	for name, value := range change {
		switch string(value) {
		case "null":
		case `""`:
			delete(d, name)
		default:
			d[name] = value
		}
	}
}

// sort sorts a list in which order and repetition have no meaning. The server gives it back in an order of its own.
func (d document) sort(name string) {
	list := d.list(name)
	slices.Sort(list)
	d.set(name, append([]string{}, slices.Compact(list)...))
}

// keep drops what is not known from a list.
func (d document) keep(name string, known map[string]bool) {
	d.set(name, slices.DeleteFunc(d.list(name), func(text string) bool { return !known[text] }))
	d.sort(name)
}

// store holds the objects of a kind, in the order of their names.
type store struct {
	name   string // the field with the name
	list   []document
	ids    map[string]document
	emails map[string]string // identifiers by email address
}

func newStore(name string) *store {
	return &store{name: name, ids: map[string]document{}, emails: map[string]string{}}
}

func (s *store) named(name string) document {
	i, found := s.search(name)
	if !found {
		return nil
	}
	return s.list[i]
}

func (s *store) search(name string) (int, bool) {
	return slices.BinarySearchFunc(s.list, name, func(d document, name string) int { return strings.Compare(d.text(s.name), name) })
}

func (s *store) add(d document) {
	i, _ := s.search(d.text(s.name))
	s.list = slices.Insert(s.list, i, d)
	s.ids[d.text("id")] = d
	s.emails[d.text("email")] = d.text("id")
}

func (s *store) remove(id string) {
	d, known := s.ids[id]
	if !known {
		return
	}
	i, _ := s.search(d.text(s.name))
	s.list = slices.Delete(s.list, i, i+1)
	delete(s.ids, id)
	delete(s.emails, d.text("email"))
}

// decode reads the body of a change. A field that the server does not know is an error, as is anything but an object.
func decode(r request, kind string, known map[string]bool) (document, *answer) {
	var d document
	if len(r.body) == 0 {
		a := described(http.StatusInternalServerError, "unknown_error", "For more on this error consult the server log.")
		return nil, &a
	}
	if err := json.Unmarshal(r.body, &d); err != nil {
		a := described(http.StatusBadRequest, "invalid_request", "Cannot parse the JSON")
		return nil, &a
	}
	for _, name := range slices.Sorted(maps.Keys(d)) {
		if !known[name] {
			column := strings.Index(string(r.body), `"`+name+`"`) + len(name) + 4
			a := failed(http.StatusBadRequest, fmt.Sprintf("Invalid json representation for %s. Unrecognized field %q at line 1 column %d.", kind, name, column))
			return nil, &a
		}
	}
	return d, nil
}

// known returns the names of a list.
func known(names string) map[string]bool {
	set := map[string]bool{}
	for name := range strings.FieldsSeq(names) {
		set[name] = true
	}
	return set
}

// identifier returns the nth identifier of a kind.
func identifier(kind string, n int) string {
	h := fmt.Sprintf("%x", sha256.Sum256(fmt.Appendf(nil, "%s %d", kind, n)))
	return h[:8] + "-" + h[8:12] + "-4" + h[12:15] + "-a" + h[15:18] + "-" + h[18:30]
}
