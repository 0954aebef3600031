package sim

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// page returns the page of a list that a call asks for.
func page(r request, all []document) answer {
	first, most := 0, 100
	for name, into := range map[string]*int{"first": &first, "max": &most} {
		if text := r.URL.Query().Get(name); text != "" {
			n, err := strconv.Atoi(text)
			if err != nil {
				return failed(http.StatusNotFound, "HTTP 404 Not Found")
			}
			*into = n
		}
	}
	if most < 0 {
		most = len(all)
	}
	first = min(first, len(all))
	return answer{status: http.StatusOK, body: append([]document{}, all[first:min(first+most, len(all))]...)}
}

// listUsers lists the users that the service account may see. A hidden one is left out without a word.
func (s *Server) listUsers(r request) answer {
	query := r.URL.Query()
	var found []document
	for _, u := range r.realm.users.list {
		if !r.realm.hidden[u.text("id")] && matches(u, query) {
			found = append(found, u)
		}
	}
	return page(r, found)
}

// matches compares the fields that a query names: whole values with exact, else parts of them.
func matches(u document, query url.Values) bool {
	for _, name := range []string{"username", "email", "firstName", "lastName"} {
		want, have := strings.ToLower(query.Get(name)), strings.ToLower(u.text(name))
		if want != "" && (query.Get("exact") == "true" && want != have || !strings.Contains(have, want)) {
			return false
		}
	}
	return true
}

// countUsers counts hidden users too.
func (s *Server) countUsers(r request) answer {
	return answer{status: http.StatusOK, body: len(r.realm.users.list)}
}
