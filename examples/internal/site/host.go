package site

import (
	"net"
	"net/http"
	"slices"
	"strings"
)

// OnlyHosts refuses requests for other hosts than names, localhost and IP addresses. A page of another
// site can resolve its own name to this computer (DNS rebinding), and a browser then takes these pages for
// its own; its requests have that name in the Host header.
func OnlyHosts(next http.Handler, names ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		host = strings.TrimSuffix(strings.ToLower(strings.Trim(host, "[]")), ".")
		if host != "localhost" && net.ParseIP(host) == nil && !slices.Contains(names, host) {
			http.Error(w, "Nothing was done. Open the page by the address that the program has printed.", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}
