package admin

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/nawasara/nawasync/tracker"
)

// request is one request: who asks, and in what zone and colours the answer is written.
type request struct {
	h      *handler
	w      http.ResponseWriter
	r      *http.Request
	viewer *viewer
	zone   *time.Location
	theme  string // "", light or dark
	live   int    // seconds between refreshes; 0 is never
	keys   string // "off" where single keys do nothing: they can be in the way of a screen reader or of speech
	now    time.Time
	flash  *flash
	whole  context.Context //nolint:containedctx // the request's own, without a page's time: an export takes longer

	title   string
	section string
}

// flash is what the last act came to, shown once.
type flash struct {
	Bad  bool   `json:"bad,omitempty"`
	Text string `json:"text"`
	Job  int64  `json:"job,omitempty"`
}

// The cookies: nothing in them is trusted further than a preference is.
const (
	cookieZone  = "nawasync_zone"
	cookieTheme = "nawasync_theme"
	cookieLive  = "nawasync_live"
	cookieKeys  = "nawasync_keys"
	cookieFlash = "nawasync_flash"
)

// httpError is an answer that a page cannot give; it is shown as a page of its own, in the
// reader's language.
type httpError struct {
	status      int
	title, text string
}

func (p *httpError) Error() string { return strings.TrimSuffix(p.title+": "+p.text, ": ") }

// errNotFound is what is not there, or not for this reader: the two are not told apart.
var errNotFound = errors.New("not found")

// pageHandler wraps what shows or does something for those who may view: it finds out who
// asks, bounds the time, and turns errors into pages.
func (h *handler) pageHandler(serve func(p *request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), h.config.Timeout)
		defer cancel()
		p := h.newRequest(w, r.WithContext(ctx))
		p.whole = r.Context()
		var err error
		p.viewer, err = h.viewer(p.r)
		if err == nil {
			err = p.allowed()
		}
		if err == nil {
			err = serve(p)
		}
		if err != nil {
			p.fail(err)
		}
	}
}

func (h *handler) newRequest(w http.ResponseWriter, r *http.Request) *request {
	p := &request{h: h, w: w, r: r, viewer: &viewer{}, zone: h.config.Location, now: h.engine.Reader().Now()}
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
	if name := cookie(cookieZone); name != "" && name != "Local" && len(name) < 64 {
		if zone, err := time.LoadLocation(name); err == nil {
			p.zone = zone
		}
	}
	if theme := cookie(cookieTheme); theme == "light" || theme == "dark" {
		p.theme = theme
	}
	if n, ok := map[string]int{"5": 5, "15": 15, "60": 60}[cookie(cookieLive)]; ok {
		p.live = n
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

// allowed refuses who may see nothing at all, and says why.
func (p *request) allowed() error {
	refuse := func(text string) error { return &httpError{http.StatusForbidden, p.T("You may not see this"), text} }
	config := p.h.config
	switch {
	case config.Subject == nil || config.Enforcer == nil:
		return refuse(p.T("These pages are closed until the application says who asks and what they may do: set Subject and Enforcer in admin.Config."))
	case p.viewer.subject == "":
		return refuse(p.T("Sign in to the application first."))
	case !p.viewer.anywhere(PermissionView):
		if p.viewer.failure != nil {
			p.h.config.Logger.Error("admin: the enforcer does not decide", "error", p.viewer.failure)
		}
		return refuse(p.Tf("Your account has no permission %s on any service. An administrator can give it the role %s.", PermissionView, RoleViewer))
	}
	return nil
}

// fail shows what went wrong. What it says to the reader is no database's error text.
func (p *request) fail(err error) {
	var known *httpError
	switch {
	case errors.As(err, &known):
	case errors.Is(err, errNotFound), errors.Is(err, tracker.ErrNotFound):
		known = &httpError{http.StatusNotFound, p.T("There is no such thing"), p.T("It may have been pruned, or you may not see it.")}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		known = &httpError{
			http.StatusServiceUnavailable, p.T("The database is slow"),
			p.Tf("It did not answer within %s. This page tries again every 10 seconds; it is quicker to ask for less: a shorter time, one service.", p.h.config.Timeout),
		}
	default:
		known = &httpError{
			http.StatusServiceUnavailable, p.T("The database does not answer"),
			p.T("This page tries again every 10 seconds, and comes back by itself. The log of this process has the error."),
		}
	}
	if known.status >= http.StatusInternalServerError {
		p.h.config.Logger.Error("admin: a page could not be shown", "path", p.r.URL.Path, "error", err)
	}
	if strings.HasSuffix(p.r.URL.Path, ".json") {
		p.w.Header().Set("Content-Type", "application/json")
		p.w.WriteHeader(known.status)
		_ = json.NewEncoder(p.w).Encode(map[string]string{"error": known.title, "hint": known.text})
		return
	}
	p.title = known.title
	away := known.status >= http.StatusInternalServerError
	if away && p.r.Method == http.MethodGet {
		p.w.Header().Set("Refresh", "10") // it comes back by itself, with scripts off too
	}
	p.renderStatus(known.status, problemPage(p, known.text, away))
}

// unknownAction is a form that asks for what there is not.
func (p *request) unknownAction() error {
	return &httpError{http.StatusNotFound, p.T("There is no such act"), ""}
}

func (p *request) render(c templ.Component) error {
	p.renderStatus(http.StatusOK, c)
	return nil
}

// renderStatus renders all before it writes anything: half a page helps nobody.
func (p *request) renderStatus(status int, c templ.Component) {
	var b bytes.Buffer
	if err := c.Render(context.WithoutCancel(p.r.Context()), &b); err != nil {
		p.h.config.Logger.Error("admin: a page did not render", "path", p.r.URL.Path, "error", err)
		plain(p.w, http.StatusInternalServerError, "the page did not render; the log of this process has the error\n")
		return
	}
	if p.flash != nil {
		p.setCookie(cookieFlash, "", -1)
	}
	p.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	p.w.WriteHeader(status)
	_, _ = b.WriteTo(p.w)
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

// back answers a form: what came of it is shown on the page it was on.
func (p *request) back(f flash) error {
	data, err := json.Marshal(f)
	if err != nil {
		return err
	}
	p.setCookie(cookieFlash, base64.RawURLEncoding.EncodeToString(data), 60)
	return p.redirect(p.local(p.r.PostFormValue("back")))
}

// local is a URL of these pages, whatever a form says.
func (p *request) local(to string) string {
	u, err := url.Parse(to)
	if err != nil || u.IsAbs() || u.Host != "" || u.User != nil || !strings.HasPrefix(u.Path, p.h.config.Prefix+"/") || strings.HasPrefix(to, "//") ||
		strings.Contains(to, `\`) {
		return p.url("/jobs")
	}
	return u.RequestURI()
}

// url is the public URL of a page.
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

// here is the URL of this page, for forms to come back to.
func (p *request) here() string {
	if p.r.URL.RawQuery == "" {
		return p.h.config.Prefix + p.r.URL.EscapedPath()
	}
	return p.h.config.Prefix + p.r.URL.EscapedPath() + "?" + p.r.URL.RawQuery
}

func (p *request) jobURL(id int64) string { return p.url(fmt.Sprintf("/jobs/%d", id)) }

func (p *request) serviceURL(name string) string { return p.url("/services/" + name) }

func (p *request) targetURL(j *tracker.Job) string {
	return p.url("/target", "service", j.Service, "type", j.Type, "instance", j.Instance, "id", j.TargetID)
}

// queryURL lists what some terms find; "" is none.
func (p *request) queryURL(terms ...string) string {
	terms = slices.DeleteFunc(slices.Clone(terms), func(term string) bool { return term == "" })
	return p.url("/jobs", "q", strings.Join(terms, " "))
}

func (p *request) store() *tracker.Reader { return p.h.engine.Reader() }
