// Package site has what the pages of the examples share: the frame, lists, the page of a job, held syncs, forms and the
// operators' pages. The pages work without JavaScript.
package site

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"mime"
	"net/http"

	"github.com/a-h/templ"

	"github.com/nawasara/nawasync"
)

//go:embed style.css
var style []byte

var styleURL = func() string {
	sum := sha256.Sum256(style)
	return "/style-" + hex.EncodeToString(sum[:6]) + ".css"
}()

const maxForm = 1 << 16 // bytes

// User is who dispatches all jobs, because the examples have no login.
const User = "user:demo"

// Site serves what all examples have. Engine, Service, Operators, Frame and Logger are required.
type Site struct {
	Engine    *nawasync.Engine
	Service   string       // of the example's jobs
	Operators http.Handler // serves the paths under AdminPrefix
	Logger    *slog.Logger
	// Frame returns the brand and the navigation of a page.
	Frame func(path, instance string) Page
	// Place returns what people call an instance. Nil is the instance itself.
	Place func(ctx context.Context, instance string) string
	// ConflictText formats a value of a conflict. Nil shows it as JSON.
	ConflictText func(field string, value json.RawMessage) string
}

// Handler returns a handler of the example's own pages, and of those that all examples have.
func (s *Site) Handler(own *http.ServeMux) http.Handler {
	own.HandleFunc("GET /jobs/{id}", s.job)
	own.HandleFunc("POST /jobs/{id}/{answer}", s.answerConflict)
	own.HandleFunc("GET /held", s.held)
	own.HandleFunc("POST /held/{id}/{answer}", s.answerHold)
	own.HandleFunc("POST /user", s.changeUser)
	own.HandleFunc("GET "+styleURL, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/css; charset=utf-8")
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		_, _ = w.Write(style)
	})
	own.Handle("GET /admin", http.RedirectHandler(AdminPrefix+"/", http.StatusSeeOther))
	all := http.NewServeMux()
	forms := &once{forms: map[string]*sentForm{}}
	all.Handle("/", secureHeaders(http.NewCrossOriginProtection().Handler(forms.handle(own)))) // refuses the forms of other sites
	all.Handle(AdminPrefix+"/", s.Operators)                                                   // sets its own headers
	return all
}

// secureHeaders sets the security headers of the pages and reads forms.
func secureHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if r.Method != http.MethodPost || readForm(w, r) {
			next.ServeHTTP(w, r)
		}
	})
}

// readForm parses a form, or answers with an error and returns false. It accepts no multipart form, since
// net/http stores the files of one in the temporary folder.
func readForm(w http.ResponseWriter, r *http.Request) bool {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if r.ContentLength != 0 && (err != nil || kind != "application/x-www-form-urlencoded") {
		http.Error(w, "Nothing was done. Send the form as application/x-www-form-urlencoded.", http.StatusUnsupportedMediaType)
		return false
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	var tooLarge *http.MaxBytesError
	switch err := r.ParseForm(); {
	case errors.As(err, &tooLarge):
		http.Error(w, "Nothing was done. A form may have 64 KiB.", http.StatusRequestEntityTooLarge)
	case err != nil:
		http.Error(w, "Nothing was done. The form cannot be read; load the page again.", http.StatusBadRequest)
	default:
		return true
	}
	return false
}

// Show renders a page. It renders into memory first, so that a rendering error becomes an error page
// and not half a page.
func (s *Site) Show(w http.ResponseWriter, r *http.Request, status int, page templ.Component) {
	var out bytes.Buffer
	if err := page.Render(r.Context(), &out); err != nil {
		s.InternalError(w, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = out.WriteTo(w)
}

// InternalError logs an unexpected error and answers with status 500. The page does not show the
// error, because it may contain internal details.
func (s *Site) InternalError(w http.ResponseWriter, err error) {
	s.Logger.Error("request failed", "error", err)
	http.Error(w, "The request failed because of an internal error. Reload the page and try again; if the request fails again, read the error in the log.",
		http.StatusInternalServerError)
}
