package site

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"maps"
	"net/http"
	"sync"
	"time"
)

// once handles each form once, however often it is sent: people press a button again when the answer is slow,
// and proxies repeat requests. Each form has a random token. The first request with a token is handled to
// its end, even if the browser gives up, and later ones get the same answer.
//
// The tokens are in memory, which is enough for one web process. Several need a table that all of them see, with
// a unique key on the token.
type once struct {
	mu    sync.Mutex
	forms map[string]*sentForm // by token
}

// keepForms is how long once knows a form that was sent.
const keepForms = time.Hour

// sentForm is a form that was sent, with its answer.
type sentForm struct {
	content [sha256.Size]byte // hash of the path and the fields
	at      time.Time
	done    chan struct{} // closed when the answer is complete

	status int
	header http.Header
	body   bytes.Buffer
}

// handle returns a handler that calls next once for each form.
func (o *once) handle(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			next.ServeHTTP(w, r)
			return
		}
		token, content := r.PostForm.Get("token"), sha256.Sum256([]byte(r.URL.Path+"?"+r.PostForm.Encode()))
		if len(token) < 16 || len(token) > 64 {
			http.Error(w, "Nothing was done. Reload the page and send the form again.", http.StatusUnprocessableEntity)
			return
		}
		form, first := o.claim(token, content)
		if first {
			func() {
				defer o.finish(token, form)
				inner := r.WithContext(context.WithoutCancel(r.Context()))
				next.ServeHTTP(form, inner)
				r.Pattern = inner.Pattern // for a handler around this one
			}()
		}
		select {
		case <-form.done:
		case <-r.Context().Done():
			return
		}
		if form.content != content {
			http.Error(w, "The form was sent before with other values. Reload the page, look at the list, and send the form again.", http.StatusUnprocessableEntity)
			return
		}
		maps.Copy(w.Header(), form.header)
		w.WriteHeader(cmp.Or(form.status, http.StatusInternalServerError)) // there is none after a panic
		_, _ = w.Write(form.body.Bytes())
	})
}

// claim returns the form with a token. first reports whether the caller must handle it.
func (o *once) claim(token string, content [sha256.Size]byte) (form *sentForm, first bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if form := o.forms[token]; form != nil {
		return form, false
	}
	maps.DeleteFunc(o.forms, func(_ string, f *sentForm) bool { return time.Since(f.at) > keepForms })
	form = &sentForm{content: content, at: time.Now(), done: make(chan struct{}), header: http.Header{}}
	o.forms[token] = form
	return form, true
}

// finish completes the answer to a form. A refused form is forgotten: it has changed nothing, and can be corrected.
// After any other answer the form may have changed something, even if the answer is an error.
func (o *once) finish(token string, form *sentForm) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if form.status >= 400 && form.status < 500 {
		delete(o.forms, token)
	}
	close(form.done)
}

// Header implements http.ResponseWriter.
func (f *sentForm) Header() http.Header { return f.header }

// WriteHeader implements http.ResponseWriter.
func (f *sentForm) WriteHeader(status int) { f.status = status }

// Write implements http.ResponseWriter.
func (f *sentForm) Write(data []byte) (int, error) {
	f.status = cmp.Or(f.status, http.StatusOK)
	return f.body.Write(data)
}
