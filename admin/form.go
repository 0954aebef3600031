package admin

import (
	"errors"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"
)

// maxForm is the maximum size of a form, in bytes.
const maxForm = 64 << 10

// readForm parses the form of a POST request. It accepts no multipart form, since net/http stores the
// files of one in the temporary folder, and no form of more than maxForm bytes.
func (p *request) readForm() error {
	if p.r.Method != http.MethodPost || p.r.ContentLength == 0 {
		return nil
	}
	kind, _, err := mime.ParseMediaType(p.r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return &httpError{http.StatusUnsupportedMediaType, p.T("Unsupported form"), p.T("Nothing was done. Send the form as application/x-www-form-urlencoded.")}
	}
	p.r.Body = http.MaxBytesReader(p.w, p.r.Body, maxForm)
	var tooLarge *http.MaxBytesError
	switch err := p.r.ParseForm(); {
	case errors.As(err, &tooLarge):
		return &httpError{http.StatusRequestEntityTooLarge, p.T("The form is too large"), p.T("Nothing was done. A form may have 64 KiB.")}
	case err != nil:
		return &httpError{http.StatusBadRequest, p.T("The form cannot be read"), p.T("Nothing was done. Load the page again and repeat the action.")}
	}
	return nil
}

// checkText refuses a request with text that no database stores: it would fail there, and look like an
// outage.
func (p *request) checkText() error {
	bad := func(text string) bool { return strings.ContainsRune(text, 0) || !utf8.ValidString(text) }
	query, err := url.ParseQuery(p.r.URL.RawQuery)
	refused := err != nil || bad(p.r.URL.Path)
	for _, values := range []url.Values{query, p.r.PostForm} {
		for name, list := range values {
			refused = refused || bad(name) || bad(strings.Join(list, " "))
		}
	}
	if refused {
		return &httpError{http.StatusBadRequest, p.T("The address cannot be read"), p.T("Nothing was done. It has a character that no text may have, or is not valid UTF-8.")}
	}
	return nil
}
