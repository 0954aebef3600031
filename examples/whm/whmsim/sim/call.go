package sim

import (
	"crypto/subtle"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// call is what the path of a request asks for.
type call struct {
	function string // of WHM API 1, or with a module of UAPI
	module   string // of UAPI, under /execute/; otherwise ""
}

// callOf returns the call of a path, and false if it has none.
func callOf(r *http.Request) (c call, found bool) {
	if path, direct := strings.CutPrefix(r.URL.Path, "/execute/"); direct {
		c.module, c.function, found = strings.Cut(path, "/")
		return c, found
	}
	c.function, found = strings.CutPrefix(r.URL.Path, "/json-api/")
	return c, found
}

// name returns the function that runs, for faults and counts.
func (c call) name(r *http.Request) string {
	switch {
	case c.module != "":
	case c.function == "cpanel":
		return r.Form.Get("cpanel_jsonapi_func")
	case c.function == "uapi_cpanel":
		return r.Form.Get("cpanel.function")
	}
	return c.function
}

// answerTo runs the function of a call, if the caller may.
func (s *Server) answerTo(c call, r *http.Request) answer {
	scheme, user := "whm ", s.user
	if c.module != "" { // cPanel takes tokens of its accounts, which have the same one here
		scheme = "cpanel "
		user, _, _ = strings.Cut(strings.TrimPrefix(r.Header.Get("Authorization"), scheme), ":")
	}
	if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte(scheme+user+":"+s.token)) != 1 {
		return answer{http.StatusForbidden, accessDenied}
	}
	if name := unknownParameter(r); name != "" {
		return answer{http.StatusNotImplemented, map[string]any{"error": fmt.Sprintf("The simulator does not know the parameter %s.", name)}}
	}
	if c.module == "" {
		return s.callFunction(c.function, r)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return okAnswer(s.uapi(r, user, c.module, c.function))
}

// unknownParameter returns the name of a parameter that asks for another answer than the simulator gives, or "".
func unknownParameter(r *http.Request) string {
	for _, name := range slices.Sorted(maps.Keys(r.Form)) {
		prefixed := func(prefix string) bool { return strings.HasPrefix(name, prefix) }
		if slices.ContainsFunc([]string{"api.chunk.", "api.filter.", "api.columns.", "api.sort."}, prefixed) ||
			slices.Contains([]string{"want", "searchmethod", "maxaccounts", "no_disk", "regex", "password_hash", "disallowun", "api.paginate_start"}, name) {
			return name
		}
	}
	return ""
}
