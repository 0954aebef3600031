// Package admin is the operators' pages: jobs, health, services, the history of every
// object and of every operator's act. New returns an http.Handler for the host's mux.
// Without a Subject and an Enforcer every page is refused.
package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/tracker"
)

// Config of the pages. Subject and Enforcer are required for anybody to see anything.
type Config struct {
	// Prefix is where the pages are in the public URL, for instance "/admin/sync"; ""
	// is the root. Mount the handler at Prefix + "/", behind http.StripPrefix or not.
	Prefix string
	// Subject says who asks; "" is nobody in particular, who sees nothing. Operators'
	// acts are noted under it.
	Subject func(*http.Request) string
	// Enforcer says what a subject may do.
	Enforcer Enforcer
	// Environment stands beside the name on every page, for instance "production".
	Environment string
	// Location is the zone of times for who has chosen none. Default UTC.
	Location *time.Location
	// TrustedOrigins may send forms besides the pages' own origin, for instance
	// "https://admin.example.org" where a proxy rewrites Host.
	TrustedOrigins []string
	// ActionLabel names a kind of job; "" or nil is its action.
	ActionLabel func(nawasync.Kind) string
	// JobLinks are links of the host on a job's page; http and https and paths only.
	JobLinks func(*tracker.Job) []Link
	// Home leads back to the host's own pages, if it has a URL.
	Home Link
	// Messages replaces texts of the pages, by the English one. The file messages.txt
	// lists all of them.
	Messages map[string]string
	// Timeout bounds what one page reads. Default 5 s.
	Timeout time.Duration
	// ExportRows is how many jobs an export holds at most. Default 100,000.
	ExportRows int
	// Logger says what a page cannot. Default slog.Default().
	Logger *slog.Logger
}

// Link leads somewhere.
type Link struct{ Name, URL string }

// handler is the pages of one engine.
type handler struct {
	engine   *nawasync.Engine
	config   Config
	services serviceCache
	mux      *http.ServeMux
}

// contentSecurityPolicy is the pages' Content-Security-Policy: nothing inline, nothing from elsewhere.
const contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// New returns the pages of an engine, which need not be started: a process without
// workers shows and dispatches. It returns an error for a Config that makes no sense.
func New(engine *nawasync.Engine, config Config) (http.Handler, error) {
	if engine == nil {
		return nil, errors.New("New needs an engine, see nawasync.New")
	}
	config.Prefix = strings.TrimRight(config.Prefix, "/")
	if config.Prefix != "" && (!strings.HasPrefix(config.Prefix, "/") || strings.ContainsAny(config.Prefix, "?#% ")) {
		return nil, fmt.Errorf("Config.Prefix is %q; write a path such as /admin/sync", config.Prefix)
	}
	if config.Location == nil {
		config.Location = time.UTC
	}
	config.Timeout = cmp.Or(config.Timeout, 5*time.Second)
	config.ExportRows = cmp.Or(config.ExportRows, 100_000)
	config.Logger = cmp.Or(config.Logger, slog.Default())
	if config.Timeout < 0 || config.ExportRows < 0 {
		return nil, errors.New("Config.Timeout or Config.ExportRows is negative")
	}
	h := &handler{engine: engine, config: config, services: serviceCache{turn: make(chan struct{}, 1)}}
	h.mux = h.routes()
	guard := http.NewCrossOriginProtection()
	for _, origin := range config.TrustedOrigins {
		if err := guard.AddTrustedOrigin(origin); err != nil {
			return nil, fmt.Errorf("Config.TrustedOrigins: %w; write one as https://admin.example.org", err)
		}
	}
	guard.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := h.newRequest(w, r)
		p.fail(&httpError{
			http.StatusForbidden, p.T("This form came from another site"),
			p.T("Nothing was done. If a proxy rewrites the Host header, name the public origin in Config.TrustedOrigins."),
		})
	}))
	inner := guard.Handler(http.HandlerFunc(h.serve))
	return h.headers(h.stripped(inner)), nil
}

func (h *handler) routes() *http.ServeMux {
	mux := http.NewServeMux()
	get := func(path string, show func(p *request) error) { mux.HandleFunc("GET "+path, h.pageHandler(show)) }
	post := func(path string, do func(p *request) error) { mux.HandleFunc("POST "+path, h.pageHandler(do)) }
	get("/{$}", func(p *request) error { return p.redirect(p.url("/jobs")) })
	get("/jobs", (*request).jobs)
	get("/jobs.json", (*request).jobsJSON)
	get("/jobs.csv", (*request).jobsCSV)
	get("/jobs/{id}", (*request).job)
	post("/jobs/{id}/{act}", (*request).jobAction)
	get("/target", (*request).target)
	get("/activity", (*request).auditLog)
	get("/health", (*request).health)
	get("/health.json", (*request).healthJSON)
	get("/metrics", (*request).metrics)
	get("/services", (*request).services)
	get("/services/{service}", (*request).service)
	post("/services/{service}/{act}", (*request).serviceAct)
	post("/held/{id}/{act}", (*request).heldAct)
	get("/bulk", (*request).bulk)
	post("/bulk", (*request).bulkStart)
	get("/bulk/{id}", (*request).bulkShow)
	post("/bulk/{id}/stop", (*request).bulkStop)
	post("/preferences", (*request).preferences)
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "ok\n") })
	mux.HandleFunc("GET /readyz", h.ready)
	mux.HandleFunc("GET /assets/{file}", h.asset)
	return mux
}

// ready says, to anybody, whether the database answers, and no more.
func (h *handler) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	if err := h.engine.Reader().Ping(ctx); err != nil {
		plain(w, http.StatusServiceUnavailable, "the database does not answer\n")
		return
	}
	plain(w, http.StatusOK, "ok\n")
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text))
}

func (h *handler) headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", contentSecurityPolicy)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "same-origin")
		header.Set("X-Frame-Options", "DENY")
		header.Set("Cache-Control", "private, no-store")
		next.ServeHTTP(w, r)
	})
}

// stripped takes the prefix off, unless http.StripPrefix has done so: then the path is
// no longer what was asked for.
func (h *handler) stripped(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked := r.URL.Path
		if u, err := url.ParseRequestURI(r.RequestURI); err == nil {
			asked = u.Path
		}
		if h.config.Prefix == "" || asked != r.URL.Path || !strings.HasPrefix(r.URL.Path+"/", h.config.Prefix+"/") {
			next.ServeHTTP(w, r)
			return
		}
		inner := r.Clone(r.Context())
		inner.URL.Path = strings.TrimPrefix(r.URL.Path, h.config.Prefix)
		inner.URL.RawPath = strings.TrimPrefix(r.URL.RawPath, h.config.Prefix)
		next.ServeHTTP(w, inner)
	})
}

// serve finds the page. Its path may be empty: a prefix without the slash behind.
func (h *handler) serve(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "" {
		http.Redirect(w, r, h.config.Prefix+"/", http.StatusSeeOther)
		return
	}
	if _, pattern := h.mux.Handler(r); pattern == "" {
		h.unknown(w, r)
		return
	}
	h.mux.ServeHTTP(w, r)
}

// unknown says of a path without a page whether it is the method that is wrong.
func (h *handler) unknown(w http.ResponseWriter, r *http.Request) {
	p, other := h.newRequest(w, r), r.Clone(r.Context())
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		other.Method = method
		if _, pattern := h.mux.Handler(other); pattern != "" {
			w.Header().Set("Allow", method)
			p.fail(&httpError{http.StatusMethodNotAllowed, p.Tf("This address takes no %s", r.Method), p.T("Nothing was done.")})
			return
		}
	}
	p.fail(errNotFound)
}
