package main

import (
	"net/http"
	"strings"
	"testing"
)

func TestFormsOfOtherSitesAreRefused(t *testing.T) {
	t.Parallel()
	s, _, _ := embedded(t, 1)
	paths := []string{
		"/sync", "/user", "/elsewhere", "/mailboxes/create", "/accounts/create", "/accounts/terminate", "/jobs/1/overwrite", "/held/1/release",
		"/admin/sync/preferences", "/admin/sync/bulk", "/admin/sync/services/whm/pause",
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for _, path := range paths {
		for name, header := range map[string][2]string{
			"another site": {"Sec-Fetch-Site", "cross-site"}, "another port": {"Sec-Fetch-Site", "same-site"},
			"another origin": {"Origin", "http://evil.example"}, "another port of this host": {"Origin", "http://127.0.0.1:1"}, "a sandbox": {"Origin", "null"},
			"the page itself": {"Sec-Fetch-Site", "same-origin"}, "an older browser's own page": {"Origin", s.url},
		} {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+path, strings.NewReader("reason=x"))
			noError(t, err)
			request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			request.Header.Set(header[0], header[1])
			response, err := client.Do(request)
			noError(t, err)
			noError(t, response.Body.Close())
			own := strings.HasSuffix(name, "own page") || name == "the page itself"
			if refused := response.StatusCode == http.StatusForbidden; refused == own {
				t.Errorf("POST %s of %s: status %d", path, name, response.StatusCode)
			}
		}
	}
}
