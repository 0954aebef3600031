// Package admin serves the operator pages: the overview, jobs, services, the history of each target, and
// the audit log. New returns an http.Handler for the application's mux. Without a Subject and an
// Enforcer every page answers 403.
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
	"sync/atomic"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin/internal/language"
	"github.com/nawasara/nawasync/internal/cached"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/tracker"
)

// Config configures the pages. The zero value shows nothing: Subject and Enforcer are required.
type Config struct {
	// Prefix is the path of the pages in the public URL, for example "/admin/sync". The default ""
	// is the root. Mount the handler at Prefix + "/", with or without http.StripPrefix.
	Prefix string
	// Subject returns the identity of the person who sends a request. A person with the identity ""
	// sees nothing. The audit log records operator actions under this identity.
	Subject func(*http.Request) string
	// Enforcer decides what a subject may do.
	Enforcer Enforcer
	// Environment is shown at the top of every page, for example "production".
	Environment string
	// Location is the time zone for readers who have not chosen one. Default UTC.
	Location *time.Location
	// TrustedOrigins lists the origins that may send forms in addition to the pages' own origin,
	// for example "https://admin.example.org" if a proxy rewrites the Host header.
	TrustedOrigins []string
	// ActionLabel returns the name that the pages show for a kind of job. If ActionLabel is nil or
	// returns "", the pages show Kind.Action.
	ActionLabel func(nawasync.Kind) string
	// Fields describes the fields of objects for people: on the pages, a field has this name and its values this form. A key
	// is service/type.field, such as "whm/mailbox.quota", or the name of a field of all other types, such as "quota". The
	// field is the name of its column, which is also that in the JSON of a job. The map must not change later.
	Fields map[string]Field
	// JobLinks returns the application's links for a job's page. Links that are neither a path, which
	// begins with one slash, nor an http or https URL with a host and without a user are left out.
	JobLinks func(*tracker.Job) []Link
	// Home links to the application's own pages. An empty URL shows no link, nor does one that
	// JobLinks would leave out.
	Home Link
	// Messages replaces texts of the pages in the language Language. The keys are the English texts. The
	// file messages.txt lists all of them.
	Messages map[string]string
	// Language is the language of Messages, as a BCP 47 tag such as "id" or "pt-BR". Readers get it whose
	// browser asks for no language that the pages have; the others get theirs, or the one that they choose
	// in the menu. The pages have English and Indonesian; a text that Messages lacks in another language is
	// in English. Default "en".
	Language string
	// Timeout limits how long one page may read from the database. The database itself stops a single
	// query after two fifths of it, also if the reader has left or this process has died. Default 5 s.
	Timeout time.Duration
	// Connections limits how many connections of the engine's pool the pages use at the same time, so
	// that readers leave the others to the engine. Default a quarter of the pool, at least 1 and at
	// most 10. One more answers /readyz, however many requests there are, and one counts snapshot rows.
	Connections int
	// ExportRows limits the number of jobs in an export. Default 100,000.
	ExportRows int
	// ExportTime limits how long an export takes. Its last line says if jobs are missing. Default 5 min.
	ExportTime time.Duration
	// Logger receives the errors whose details a page does not show. Default slog.Default().
	Logger *slog.Logger
}

// Link is a link to another page.
type Link struct{ Name, URL string }

// handler serves the pages of one engine.
type handler struct {
	engine       *nawasync.Engine
	reader       *tracker.Reader // with the limits of the pages
	quotas       quotas
	config       Config
	languages    *language.Set
	instances    instanceCache
	visibilities visibilityCache
	refusals     refusals
	pings        *cached.Value[struct{}] // whether the database answers
	counting     chan struct{}           // capacity 1: one page at a time counts snapshot rows
	proof        atomic.Pointer[string]  // see proofKey
	mux          *http.ServeMux
}

// contentSecurityPolicy allows resources from the pages' own origin only, and nothing inline.
const contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// New returns the handler that serves the pages of an engine. The engine need not be started: a
// process without workers can show and dispatch jobs. New returns an error if engine is nil or the
// Config is invalid.
func New(engine *nawasync.Engine, config Config) (http.Handler, error) {
	if engine == nil {
		return nil, errors.New("create the admin pages: the engine is nil; pass the one that nawasync.New returned")
	}
	config.Prefix = strings.TrimRight(config.Prefix, "/")
	if config.Prefix != "" && (!strings.HasPrefix(config.Prefix, "/") || !isLocalPath(config.Prefix) || strings.ContainsAny(config.Prefix, "?#% ")) {
		return nil, fmt.Errorf("create the admin pages: Config.Prefix is %q; write a path such as /admin/sync", config.Prefix)
	}
	if config.Language = cmp.Or(config.Language, "en"); strings.Trim(
		config.Language,
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-",
	) != "" {
		return nil, fmt.Errorf("create the admin pages: Config.Language is %q; write a language tag such as en or pt-BR", config.Language)
	}
	if err := checkFields(config.Fields); err != nil {
		return nil, err
	}
	if config.Location == nil {
		config.Location = time.UTC
	}
	config.Timeout = cmp.Or(config.Timeout, 5*time.Second)
	config.ExportRows = cmp.Or(config.ExportRows, 100_000)
	config.ExportTime = cmp.Or(config.ExportTime, 5*time.Minute)
	config.Logger = engine.Internals(host.NewKey()).Redacting(cmp.Or(config.Logger, slog.Default()))
	if config.Timeout < 0 || config.ExportRows < 0 || config.ExportTime < 0 || config.Connections < 0 {
		return nil, errors.New(
			"create the admin pages: Config.Timeout, ExportRows, ExportTime or Connections is negative; set a positive value, or 0 for the default",
		)
	}
	if config.Connections == 0 {
		config.Connections = defaultConnections(engine)
	}
	h := &handler{
		engine:    engine,
		quotas:    newQuotas(time.Now, config.Connections),
		config:    config,
		languages: language.NewSet(config.Language, config.Messages),
		instances: instanceCache{sem: make(chan struct{}, 1)},
	}
	h.counting = make(chan struct{}, 1)
	h.reader = engine.Reader().WithOptions(tracker.Options{
		StatementTimeout: config.statementTimeout(), Connections: config.Connections, BeforeScan: h.quotas.beforeScan,
	})
	h.pings = &cached.Value[struct{}]{MaxAge: pingMaxAge, Timeout: pingTimeout, Read: func(ctx context.Context) (struct{}, error) {
		return struct{}{}, h.reader.Ping(ctx)
	}}
	h.mux = h.routes()
	protection := http.NewCrossOriginProtection()
	for _, origin := range config.TrustedOrigins {
		if err := protection.AddTrustedOrigin(origin); err != nil {
			return nil, fmt.Errorf("create the admin pages: Config.TrustedOrigins: %w; write one as https://admin.example.org", err)
		}
	}
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := h.newRequest(w, r)
		p.fail(&httpError{
			http.StatusForbidden, p.T("The form was sent from another site"),
			p.T("Nothing was done. If a proxy rewrites the Host header, add the public origin to Config.TrustedOrigins."),
		})
	}))
	return h.securityHeaders(h.stripPrefix(protection.Handler(http.HandlerFunc(h.serve)))), nil
}

func (h *handler) routes() *http.ServeMux {
	mux := http.NewServeMux()
	get := func(path string, show func(p *request) error) { mux.HandleFunc("GET "+path, h.pageHandler(show)) }
	post := func(path string, do func(p *request) error) { mux.HandleFunc("POST "+path, h.pageHandler(do)) }
	get("/{$}", (*request).overview)
	get("/jobs", (*request).jobs)
	get("/jobs.json", (*request).jobsJSON)
	get("/jobs.csv", (*request).jobsCSV)
	get("/suggest.json", (*request).suggest)
	get("/jobs/{id}", (*request).job)
	get("/jobs/{id}/edit", (*request).editJob)
	post("/jobs/{id}/{action}", (*request).jobAction)
	get("/target", (*request).target)
	get("/conflicts", (*request).conflicts)
	post("/conflicts", (*request).answerConflicts)
	post("/target/refresh", (*request).refreshTarget)
	get("/audit", (*request).auditLog)
	get("/health", (*request).oldOverview)
	get("/health.json", (*request).overviewJSON)
	get("/metrics", (*request).metrics)
	get("/workers", (*request).workersPage)
	get("/audit.csv", (*request).auditCSV)
	get("/services", (*request).services)
	get("/services/{service}", (*request).service)
	post("/services/{service}/{action}", (*request).serviceAction)
	post("/held/{id}/{action}", (*request).holdAction)
	get("/bulk", (*request).bulk)
	post("/bulk", (*request).startBulkRun)
	get("/bulk/{id}", (*request).showBulkRun)
	post("/bulk/{id}/stop", (*request).stopBulkRun)
	post("/views", (*request).addSavedView)
	post("/views/{id}/{action}", (*request).changeSavedView)
	post("/preferences", (*request).preferences)
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { writePlain(w, http.StatusOK, "ok\n") })
	mux.HandleFunc("GET /readyz", h.ready)
	mux.HandleFunc("GET /assets/{file}", h.asset)
	return mux
}

func writePlain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text))
}

func (h *handler) securityHeaders(next http.Handler) http.Handler {
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

// stripPrefix removes Config.Prefix from the path. It leaves the path alone if http.StripPrefix has
// removed the prefix before: in that case r.URL.Path differs from the path in r.RequestURI.
func (h *handler) stripPrefix(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requested := r.URL.Path
		if u, err := url.ParseRequestURI(r.RequestURI); err == nil {
			requested = u.Path
		}
		if h.config.Prefix == "" || requested != r.URL.Path || !strings.HasPrefix(r.URL.Path+"/", h.config.Prefix+"/") {
			next.ServeHTTP(w, r)
			return
		}
		inner := r.Clone(r.Context())
		inner.URL.Path = strings.TrimPrefix(r.URL.Path, h.config.Prefix)
		inner.URL.RawPath = strings.TrimPrefix(r.URL.RawPath, h.config.Prefix)
		next.ServeHTTP(w, inner)
	})
}

// serve calls the handler of the page. The path is empty if the request named the prefix without a
// trailing slash.
func (h *handler) serve(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "" {
		http.Redirect(w, r, h.config.Prefix+"/", http.StatusSeeOther)
		return
	}
	if _, pattern := h.mux.Handler(r); pattern == "" {
		h.noRoute(w, r)
		return
	}
	h.mux.ServeHTTP(w, r)
}

// noRoute answers 405 if the path exists with another method, and 404 otherwise.
func (h *handler) noRoute(w http.ResponseWriter, r *http.Request) {
	p, other := h.newRequest(w, r), r.Clone(r.Context())
	p.viewer = h.newViewer(r) // without its rights, which the page does not need
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		other.Method = method
		if _, pattern := h.mux.Handler(other); pattern != "" {
			w.Header().Set("Allow", method)
			p.fail(&httpError{http.StatusMethodNotAllowed, p.Tf("Method %s is not allowed here", r.Method), p.T("Nothing was done.")})
			return
		}
	}
	p.fail(errNotFound)
}
