package admin

import (
	"net/url"
	"regexp"
	"strings"
	"testing"
)

var absolute = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*:`)

// hostInBrowser returns the host to which a browser follows a link of an http page, or "" for the
// page's own site. A link with a scheme other than http and https has the host "other scheme". It follows the
// URL standard of browsers (url.spec.whatwg.org), which differs from net/url.
func hostInBrowser(link string) string {
	link = strings.TrimFunc(link, func(r rune) bool { return r <= ' ' })
	link = strings.NewReplacer("\t", "", "\r", "", "\n", "", `\`, "/").Replace(link)
	if scheme := absolute.FindString(link); scheme != "" {
		if scheme = strings.ToLower(scheme); scheme != "http:" && scheme != "https:" {
			return "other scheme"
		}
		link = "//" + strings.TrimLeft(link[len(scheme):], "/") // any number of slashes, also none
	}
	if !strings.HasPrefix(link, "//") {
		return ""
	}
	host := strings.TrimLeft(link, "/")
	if end := strings.IndexAny(host, "/?#"); end >= 0 {
		host = host[:end]
	}
	return host[strings.LastIndexByte(host, '@')+1:]
}

var hostileLinks = []string{
	"/sync/jobs?q=a", "/sync//evil.example", "//evil.example", `/\evil.example`, `\\evil.example`, "/\t/evil.example", "\t//evil.example",
	"/%2fevil.example", "/%5cevil.example", "/%09/evil.example", "https://evil.example", "https:evil.example", "https:/evil.example",
	"https:///evil.example", `https:\evil.example`, "javascript:alert(1)", " javascript:alert(1)", "https://good.example@evil.example/",
	`https://good.example\@evil.example/`, "/sync/..//evil.example", "/./%2fevil.example", "/sync/#//evil.example", "/sync/?//evil.example",
	"https://logs.example.org/?q=1", "/customers/a%2Fb", "https://[::1]:1/", "?x", "", "/", "/sync", "//", "http://", "https://h\\x/",
	"/%252fevil.example", "／／evil.example", `\`, `\evil`, "\t/x",
}

func FuzzBack(f *testing.F) {
	for _, link := range hostileLinks {
		f.Add(link)
	}
	f.Fuzz(func(t *testing.T, to string) {
		for _, prefix := range []string{"", "/sync"} {
			p := &request{h: &handler{config: Config{Prefix: prefix}}}
			got := p.localURL(to)
			decoded, err := url.PathUnescape(got)
			if err != nil {
				decoded = got
			}
			for _, reading := range []string{got, decoded} { // a proxy may decode the path
				if host := hostInBrowser(reading); host != "" {
					t.Fatalf("back %q redirects to %q, which is on %q", to, got, host)
				}
			}
			if u, err := url.Parse(got); err != nil || u.Host != "" || u.Scheme != "" || !strings.HasPrefix(u.Path, prefix+"/") {
				t.Fatalf("back %q redirects to %q, outside of the pages", to, got)
			}
			if strings.ContainsAny(got, "\r\n\x00") {
				t.Fatalf("back %q redirects to %q, which breaks the header", to, got)
			}
			if again := p.localURL(got); again != got {
				t.Fatalf("back %q redirects to %q, and that to %q", to, got, again)
			}
		}
	})
}

func FuzzLink(f *testing.F) {
	for _, link := range hostileLinks {
		f.Add(link)
	}
	f.Fuzz(func(t *testing.T, to string) {
		got := linkURL(to)
		if got == "" {
			return
		}
		u, err := url.Parse(got)
		if err != nil {
			t.Fatal(err)
		}
		if host := hostInBrowser(got); host != u.Host {
			t.Fatalf("the link %q leads to %q in browsers, and to %q in Go", got, host, u.Host)
		}
		if local := strings.HasPrefix(got, "/"); local == absolute.MatchString(got) {
			t.Fatalf("the link %q is neither a path nor a URL", got)
		}
	})
}

func TestLinksThatLeadElsewhereThanTheySeemAreLeftOut(t *testing.T) {
	t.Parallel()
	for link, want := range map[string]bool{
		"/": true, "/customers/a%2Fb": true, "/customers/a//b": true,
		"https://logs.example.org/?q=1": true, "HTTP://logs.example.org": true, "http://[::1]:8080/x": true,
		"//evil.example": false, "http://bb%bb": false, "https://a%2eb/": false, "https://a.example?x=%2F": true, `/\evil.example`: false, `/\/evil.example`: false, "/%2fevil.example": false, "/%5cevil.example": false, "/%09/evil.example": false,
		"https:/evil.example": false, "https:evil.example": false, "https:///evil.example": false, "https://good.example@evil.example": false,
		`https://good.example\.evil.example/`: false, "javascript:alert(1)": false, "data:text/html,x": false, "customers": false, `\customers`: false, "": false,
	} {
		if got := linkURL(link) != ""; got != want {
			t.Errorf("link %q: shown %v, want %v", link, got, want)
		}
	}
}
