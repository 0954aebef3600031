package admin

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/nawasara/nawasync/admin/internal/format"
	"github.com/nawasara/nawasync/admin/internal/language"
	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

// request is an HTTP request with the permissions and the preferences of its sender.
type request struct {
	h              *handler
	w              http.ResponseWriter
	r              *http.Request
	viewer         *viewer
	language       *language.Language
	chosenLanguage string // the tag that the reader has chosen in the menu, or ""
	zone           *time.Location
	theme          string // "light", "dark", or "" for the system's theme
	live           string // seconds between live updates; "0" turns them off, "" means while jobs run
	auto           int    // seconds between live updates while jobs run; 0 if the page shows no open job
	still          bool   // the page says what went wrong; an update of it could only fail
	keys           string // "on" or "off": keyboard shortcuts, which can interfere with screen readers and speech input
	now            time.Time
	flash          *flash // the result of the last action, if this is the first page after that action

	// requestCtx is the request's context without Config.Timeout. Exports need more time.
	requestCtx context.Context //nolint:containedctx // see above
	leaveQuota func()          // gives the request's place in its quota back; later calls do nothing

	title   string
	section string // the current section of the navigation
}

// flash is the result of an action. The next page shows it once.
type flash struct {
	Bad  bool   `json:"bad,omitempty"`
	Text string `json:"text"`
	Job  int64  `json:"job,omitempty"`
}

// The names of the cookies. A value comes from the browser, so it is validated before use.
const (
	cookieZone     = "nawasync_zone"
	cookieTheme    = "nawasync_theme"
	cookieLive     = "nawasync_live"
	cookieKeys     = "nawasync_keys"
	cookieLanguage = "nawasync_language"
	cookieFlash    = "nawasync_flash"
)

// httpError is an error with a status code and a text in the reader's language. It is shown as a
// page.
type httpError struct {
	status      int
	title, text string
}

func (e *httpError) Error() string { return strings.TrimSuffix(e.title+": "+e.text, ": ") }

// errNotFound means that something does not exist or that the subject must not view it. The two
// cases look the same, so that nobody can find out what exists.
var errNotFound = errors.New("not found")

// pageHandler wraps serve for subjects who may view at least one instance. It loads their rights, applies
// Config.Timeout and the quota of the subject, and shows errors as pages.
func (h *handler) pageHandler(serve func(p *request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), h.config.Timeout)
		defer cancel()
		p := h.newRequest(w, r.WithContext(ctx))
		p.requestCtx = r.Context()
		p.viewer = h.newViewer(p.r)
		err := p.withinQuota(func(p *request) error {
			for _, step := range []func(*request) error{(*request).requireAccess, (*request).readForm, (*request).checkText, serve} {
				if err := step(p); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			p.fail(err)
		}
	}
}

func (h *handler) newRequest(w http.ResponseWriter, r *http.Request) *request {
	p := &request{h: h, w: w, r: r, viewer: &viewer{}, zone: h.config.Location, now: h.reader.Now()}
	cookie := func(name string) string {
		c, err := r.Cookie(name)
		if err != nil {
			return ""
		}
		value, err := url.QueryUnescape(c.Value)
		if err != nil {
			return ""
		}
		return value
	}
	p.language = h.languages.Choose(cookie(cookieLanguage), strings.Join(r.Header.Values("Accept-Language"), ","))
	if cookie(cookieLanguage) == p.language.Tag() {
		p.chosenLanguage = p.language.Tag()
	}
	if name := cookie(cookieZone); name != "" && name != "Local" && len(name) < 64 {
		if zone, err := time.LoadLocation(name); err == nil {
			p.zone = zone
		}
	}
	if theme := cookie(cookieTheme); theme == "light" || theme == "dark" {
		p.theme = theme
	}
	if seconds := cookie(cookieLive); slices.Contains([]string{"0", "5", "15", "60"}, seconds) {
		p.live = seconds
	}
	p.keys = "on"
	if cookie(cookieKeys) == "off" {
		p.keys = "off"
	}
	if text := cookie(cookieFlash); text != "" && r.Method == http.MethodGet && len(text) < 4000 {
		var f flash
		if data, err := base64.RawURLEncoding.DecodeString(text); err == nil && json.Unmarshal(data, &f) == nil {
			p.flash = &f
		}
	}
	return p
}

// refreshSeconds returns how often the page updates itself, in seconds.
func (p *request) refreshSeconds() string {
	if p.still {
		return "0"
	}
	return cmp.Or(p.live, strconv.Itoa(p.auto))
}

// Seconds between the live updates of pages with open jobs.
const (
	refreshJob  = 2
	refreshList = 5
	refreshWide = 15 // a page of many figures
)

// refreshWhile makes the page update itself while one of the jobs is open.
func (p *request) refreshWhile(seconds int, jobs ...*tracker.Job) {
	if slices.ContainsFunc(jobs, func(j *tracker.Job) bool { return !j.Status.Terminal() }) {
		p.auto = seconds
	}
}

// requireAccess loads the rights of the subject. It returns an error that states the reason if the subject
// may view nothing.
func (p *request) requireAccess() error {
	refuse := func(text string) error { return &httpError{http.StatusForbidden, p.T("Not permitted"), text} }
	config := p.h.config
	switch {
	case config.Subject == nil || config.Enforcer == nil:
		return refuse(p.T("These pages are closed until the application configures access. Set Subject and Enforcer in admin.Config."))
	case p.viewer.subject == "":
		return refuse(p.T("Sign in to the application first."))
	}
	if err := p.viewer.load(p.r.Context(), p.h); err != nil {
		return err
	}
	if !p.viewer.allowedAnywhere(PermissionView) {
		if p.viewer.enforcerErr != nil {
			p.h.config.Logger.Error("enforcer failed", "error", p.viewer.enforcerErr)
		}
		return refuse(p.Tf("Your account lacks the permission %s. Ask an administrator for the role %s.", PermissionView, strings.TrimPrefix(RoleViewer, "role:")))
	}
	return nil
}

// problem returns the page for an error. No action has begun if an error gets here.
func (p *request) problem(err error) *httpError {
	if known, ok := errors.AsType[*httpError](err); ok {
		return known
	}
	if busy, ok := errors.AsType[*busyError](err); ok {
		return p.tooBusy(busy)
	}
	slow := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
	switch {
	case errors.Is(err, errNotFound), errors.Is(err, tracker.ErrNotFound):
		return &httpError{http.StatusNotFound, p.T("Page not found"), p.T("The job or service may have been deleted, or your account may not have access.")}
	case slow && p.r.Method == http.MethodPost:
		return &httpError{
			http.StatusServiceUnavailable, p.T("The database is slow"),
			p.T("Nothing was done: the database did not answer in time. Repeat the action; a bulk run of a shorter time range or a single service is faster."),
		}
	case p.r.Method == http.MethodPost:
		return &httpError{
			http.StatusServiceUnavailable, p.T("The database does not answer"),
			p.T("Nothing was done. The log of the process that serves this page has the error."),
		}
	case errors.Is(err, sqlkit.ErrTooSlow):
		return &httpError{
			http.StatusServiceUnavailable, p.T("The database is slow"),
			p.Tf("The database stopped a query after %s. The page retries every 10 seconds; a shorter time range or a single service is faster.",
				format.Span(p, p.h.config.statementTimeout())),
		}
	case slow:
		return &httpError{
			http.StatusServiceUnavailable, p.T("The database is slow"),
			p.Tf("The database did not answer within %s. The page retries every 10 seconds; a shorter time range or a single service is faster.", format.Span(p, p.h.config.Timeout)),
		}
	}
	return &httpError{
		http.StatusServiceUnavailable, p.T("The database does not answer"),
		p.T("The page retries every 10 seconds. The log of the process that serves this page has the error."),
	}
}

// fail shows an error as a page, or as JSON for a path that ends in .json. The text of an unexpected
// error goes to the log only.
func (p *request) fail(err error) {
	known := p.problem(err)
	if known.status >= http.StatusInternalServerError {
		p.h.config.Logger.Error("page request failed", "path", p.r.URL.Path, "error", err)
	}
	if strings.HasSuffix(p.r.URL.Path, ".json") {
		p.w.Header().Set("Content-Type", "application/json")
		p.w.WriteHeader(known.status)
		_ = json.NewEncoder(p.w).Encode(map[string]string{"error": known.title, "hint": known.text})
		return
	}
	p.title = known.title
	unavailable := known.status >= http.StatusInternalServerError
	if unavailable && p.r.Method == http.MethodGet {
		p.w.Header().Set("Refresh", "10") // reloads the page without scripts
	}
	p.renderStatus(known.status, problemPage(p, known.text, unavailable))
}

// unknownAction returns the error for a form with an unknown action.
func (p *request) unknownAction() error {
	return &httpError{http.StatusNotFound, p.T("Unknown action"), ""}
}

func (p *request) render(c templ.Component) error {
	p.renderStatus(http.StatusOK, c)
	return nil
}

// renderStatus renders the whole page before it writes anything, so that a rendering error does not
// leave half a page.
func (p *request) renderStatus(status int, c templ.Component) {
	var b bytes.Buffer
	p.still = status >= http.StatusBadRequest
	if err := c.Render(context.WithoutCancel(p.r.Context()), &b); err != nil {
		p.h.config.Logger.Error("render page failed", "path", p.r.URL.Path, "error", err)
		writePlain(p.w, http.StatusInternalServerError, "the page could not be rendered; the log of this process has the error\n")
		return
	}
	if p.flash != nil {
		p.setCookie(cookieFlash, "", -1)
	}
	p.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	p.w.WriteHeader(status)
	_, _ = b.WriteTo(p.w)
}

func (p *request) writeJSON(value any) error {
	data, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	p.w.Header().Set("Content-Type", "application/json")
	_, _ = p.w.Write(append(data, '\n'))
	return nil
}

func (p *request) redirect(to string) error {
	p.w.Header().Set("Location", to)
	p.w.WriteHeader(http.StatusSeeOther)
	return nil
}

func (p *request) setCookie(name, value string, age int) {
	http.SetCookie(p.w, &http.Cookie{
		Name: name, Value: url.QueryEscape(value), Path: p.h.config.Prefix + "/", MaxAge: age, HttpOnly: true, SameSite: http.SameSiteLaxMode,
		Secure: p.r.TLS != nil || p.r.Header.Get("X-Forwarded-Proto") == "https",
	})
}

// back redirects to the page that sent the form. That page shows the flash.
func (p *request) back(f flash) error {
	data, err := json.Marshal(f)
	if err != nil {
		return err
	}
	p.setCookie(cookieFlash, base64.RawURLEncoding.EncodeToString(data), 60)
	return p.redirect(p.localURL(p.r.PostFormValue("back")))
}

// localURL returns its argument if it is a URL of these pages, and the URL of the job list
// otherwise. It keeps a forged form from redirecting to another site. Browsers read "//", also written
// with "\" or a percent-encoded slash, as the beginning of a host, so the path must not have it.
func (p *request) localURL(to string) string {
	u, err := url.Parse(to)
	if err != nil || u.IsAbs() || u.Host != "" || u.User != nil || u.Opaque != "" || !strings.HasPrefix(u.Path, p.h.config.Prefix+"/") ||
		strings.Contains(u.Path, "//") || strings.ContainsAny(u.Path, "\\\t\r\n") {
		return p.url("/jobs")
	}
	return u.RequestURI()
}

// url returns the public URL of a page. The arguments query alternate between names and values; empty
// values are left out.
func (p *request) url(path string, query ...string) string {
	values := url.Values{}
	for i := 0; i+1 < len(query); i += 2 {
		if query[i+1] != "" {
			values.Set(query[i], query[i+1])
		}
	}
	if len(values) == 0 {
		return p.h.config.Prefix + path
	}
	return p.h.config.Prefix + path + "?" + values.Encode()
}

// currentURL returns the URL of this page. Forms send it so that back can redirect to it.
func (p *request) currentURL() string {
	if p.r.URL.RawQuery == "" {
		return p.h.config.Prefix + p.r.URL.EscapedPath()
	}
	return p.h.config.Prefix + p.r.URL.EscapedPath() + "?" + p.r.URL.RawQuery
}

// retryURL returns the URL of the page to load after a problem: this page or, after a form, the one that sent
// the form.
func (p *request) retryURL() string {
	if p.r.Method == http.MethodGet {
		return p.currentURL()
	}
	return p.localURL(p.r.PostForm.Get("back")) // not PostFormValue, which would read a form that was refused
}

func (p *request) jobURL(id int64) string { return p.url(fmt.Sprintf("/jobs/%d", id)) }

func (p *request) serviceURL(name string) string { return p.url("/services/" + name) }

func (p *request) targetURL(j *tracker.Job) string {
	return p.url("/target", "service", j.Service, "type", j.Type, "instance", j.Instance, "id", j.TargetID)
}

// queryURL returns the URL of the job list with a query of these terms. Empty terms are left out.
func (p *request) queryURL(terms ...string) string {
	terms = slices.DeleteFunc(slices.Clone(terms), func(term string) bool { return term == "" })
	return p.url("/jobs", "q", strings.Join(terms, " "))
}

// store returns a reader that shows what the subject may view.
func (p *request) store() *tracker.Reader { return limited(p.h.reader, p.viewer.views()) }
