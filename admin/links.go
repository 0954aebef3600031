package admin

import (
	"net/url"
	"strings"
)

// isLocalPath reports whether a browser looks for the path on the site of the page. Browsers read "//",
// also written with "\", as the beginning of a host, and skip tabs and line ends. The path is decoded, since
// a proxy may decode it too.
func isLocalPath(path string) bool {
	read := strings.NewReplacer("\t", "", "\r", "", "\n", "", `\`, "/").Replace(path)
	return strings.HasPrefix(path, "/") && !strings.HasPrefix(read, "//")
}

// linkURL returns its argument if it is a path of this site or an http or https URL with a host. It
// returns "" otherwise, so that a link of the application can neither run a script nor lead elsewhere
// than it seems to, for example because a part of it comes from a job.
func linkURL(to string) string {
	u, err := url.Parse(to)
	switch {
	case err != nil, u.User != nil, u.Opaque != "":
		return ""
	case u.Scheme == "http" || u.Scheme == "https":
		// Browsers and Go read a backslash and a percent sign in a host differently.
		host := to[strings.Index(to, "//")+2:]
		if end := strings.IndexAny(host, "/?#"); end >= 0 {
			host = host[:end]
		}
		if u.Hostname() == "" || strings.ContainsAny(host, `\%`) {
			return ""
		}
		return to
	case u.Scheme != "" || u.Host != "" || !isLocalPath(to) || !isLocalPath(u.Path):
		return ""
	}
	return to
}
