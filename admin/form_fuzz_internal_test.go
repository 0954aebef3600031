package admin

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"
)

func FuzzForm(f *testing.F) {
	const form = "application/x-www-form-urlencoded"
	for _, seed := range [][3]string{
		{form, "reason=x&back=%2Fjobs", "q=status:failed"},
		{form + "; charset=utf-8", "a=%00", ""},
		{form, "a=%ff", "q=%00"},
		{form, "a;b=c&%zz", "a;b"},
		{form, strings.Repeat("a=b&", 17_000), ""},
		{form, strings.Repeat("a", maxForm), ""},
		{"multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"a\"; filename=\"b\"\r\n\r\nc\r\n--x--", ""},
		{"text/plain", "a=b", ""},
		{"", "a=b", ""},
		{"application/x-www-form-urlencoded;", "\xff=\xfe", "\xff"},
	} {
		f.Add(seed[0], seed[1], seed[2], true)
		f.Add(seed[0], seed[1], seed[2], false)
	}
	f.Fuzz(func(t *testing.T, contentType, body, query string, withLength bool) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/preferences", strings.NewReader(body))
		r.URL.RawQuery = query
		r.Header.Set("Content-Type", contentType)
		if !withLength {
			r.ContentLength = -1
		}
		p := &request{h: &handler{}, w: httptest.NewRecorder(), r: r}
		err := p.readForm()
		if err == nil {
			err = p.checkText()
		}
		if err != nil {
			var refused *httpError
			if !errors.As(err, &refused) || refused.status < 400 || refused.status > 499 || refused.text == "" {
				t.Fatalf("error %v, want one with a status 4xx and a hint", err)
			}
			return
		}
		if len(body) > maxForm || r.MultipartForm != nil || (body != "" && !strings.HasPrefix(strings.ToLower(strings.TrimSpace(contentType)), form)) {
			t.Fatalf("a form of %d bytes and the type %q was accepted", len(body), contentType)
		}
		fromQuery, err := url.ParseQuery(query)
		if err != nil {
			t.Fatalf("query %q was accepted: %v", query, err)
		}
		for _, values := range []url.Values{r.PostForm, r.Form, fromQuery} {
			for name, list := range values {
				if text := name + strings.Join(list, ""); strings.ContainsRune(text, 0) || !utf8.ValidString(text) {
					t.Fatalf("the field %q with %q was accepted", name, list)
				}
			}
		}
	})
}
