// Package web is the example's pages: they read the snapshots, and turn every form
// into a job. They work without JavaScript.
package web

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/examples/whm/hosting"
	"github.com/nawasara/nawasync/examples/whm/whmsim/sim"
	"github.com/nawasara/nawasync/tracker"
)

//go:embed style.css
var style []byte

var styleURL = func() string {
	sum := sha256.Sum256(style)
	return "/style-" + hex.EncodeToString(sum[:6]) + ".css"
}()

const (
	pageSize   = 50
	latestJobs = 15
	countUpTo  = 100_000
	maxForm    = 1 << 16
)

// Pages serves the pages.
type Pages struct {
	Engine    *nawasync.Engine
	Hosting   *hosting.Module
	Instances []string               // the servers that it shows; the first is the default
	Simulated map[string]*sim.Server // those of them that are in this process
	Operators http.Handler           // the pages under AdminPrefix
	Logger    *slog.Logger
}

// Handler is all pages, with the headers that a page of forms should have.
func (w *Pages) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(rw http.ResponseWriter, r *http.Request) { w.mailboxes(rw, r, http.StatusOK, "") })
	mux.HandleFunc("GET /accounts", func(rw http.ResponseWriter, r *http.Request) { w.accounts(rw, r, http.StatusOK, "") })
	mux.HandleFunc("GET /jobs/{id}", w.job)
	mux.HandleFunc("POST /jobs/{id}/{answer}", w.answer)
	mux.HandleFunc("GET /held", w.held)
	mux.HandleFunc("POST /held/{id}/{answer}", w.decide)
	mux.HandleFunc("GET /elsewhere", func(rw http.ResponseWriter, r *http.Request) { w.elsewhere(rw, r, elsewhereView{}) })
	mux.HandleFunc("POST /elsewhere", w.changeElsewhere)
	mux.HandleFunc("POST /sync", w.sync)
	mux.HandleFunc("POST /user", w.changeUser)
	mux.HandleFunc("POST /mailboxes/{action}", w.changeMailbox)
	mux.HandleFunc("POST /accounts/{action}", w.changeAccount)
	mux.HandleFunc("GET "+styleURL, func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "text/css; charset=utf-8")
		rw.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		_, _ = rw.Write(style)
	})
	mux.Handle("GET /admin", http.RedirectHandler(AdminPrefix+"/", http.StatusSeeOther))
	// Browsers say where a form came from: another site's are refused.
	guarded := secured(http.NewCrossOriginProtection().Handler(mux))
	all := http.NewServeMux()
	all.Handle("/", guarded)
	all.Handle(AdminPrefix+"/", w.Operators) // they have headers of their own
	return all
}

func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		h := rw.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		r.Body = http.MaxBytesReader(rw, r.Body, maxForm)
		next.ServeHTTP(rw, r)
	})
}

// show renders into memory first: a page that fails half way is an error page.
func (w *Pages) show(rw http.ResponseWriter, r *http.Request, status int, page templ.Component) {
	var out bytes.Buffer
	if err := page.Render(r.Context(), &out); err != nil {
		w.failed(rw, err)
		return
	}
	rw.Header().Set("Content-Type", "text/html; charset=utf-8")
	rw.WriteHeader(status)
	_, _ = out.WriteTo(rw)
}

func (w *Pages) failed(rw http.ResponseWriter, err error) {
	w.Logger.Error("whm: a page failed", "error", err)
	http.Error(rw, "The database did not answer as it should. The log says more; try again.", http.StatusInternalServerError)
}

// instance is the server that a request is about.
func (w *Pages) instance(r *http.Request) string {
	if name := r.FormValue("instance"); slices.Contains(w.Instances, name) {
		return name
	}
	return w.Instances[0]
}

// page is what every page has around it; with job in the query it watches that.
func (w *Pages) page(ctx context.Context, r *http.Request, title, path, problem string) (pageView, error) {
	p := pageView{User: demoUser(r), Title: title, Path: path, Instance: w.instance(r), Instances: w.Instances, Problem: problem}
	if id, _ := strconv.ParseInt(r.URL.Query().Get("job"), 10, 64); id > 0 {
		jobs, err := w.Engine.Reader().ByID(ctx, []int64{id})
		if err != nil {
			return p, err
		}
		if p.Watched = jobs[id]; p.Watched != nil {
			p.Refresh = !p.Watched.Status.Terminal()
		}
	}
	return p, nil
}

// query is what both lists ask for.
func query(r *http.Request, instance, sort string) (nawasync.Query, string) {
	from := r.URL.Query()
	q := nawasync.Query{
		Where: map[string]any{"instance": instance}, Search: clean(from.Get("q")), Sort: sort, After: from.Get("after"), Limit: pageSize, Total: countUpTo,
	}
	state := from.Get("state")
	switch nawasync.SyncState(state) {
	case "pending":
		q.States = []nawasync.SyncState{nawasync.StatePendingCreate, nawasync.StatePendingUpdate, nawasync.StatePendingDelete}
	case nawasync.StateSynced, nawasync.StateFailed, nawasync.StateConflict, nawasync.StateMissing:
		q.States = []nawasync.SyncState{nawasync.SyncState(state)}
	default:
		state = ""
	}
	return q, state
}

func (w *Pages) mailboxes(rw http.ResponseWriter, r *http.Request, status int, problem string) {
	ctx := r.Context()
	p, err := w.page(ctx, r, "Mailboxes", "/", problem)
	v := listView{What: "emails", Noun: "mailboxes", SearchLabel: "part of the address"}
	var list nawasync.ListResult[hosting.WhmEmailAccount]
	if err == nil {
		list, err = listOf(r, &v, p, w.Hosting.Emails, "email")
	}
	if err == nil {
		v.SyncedAt, err = w.Hosting.Emails.LastSyncedAt(ctx, hosting.WhmEmailAccount{Instance: p.Instance})
	}
	if err == nil {
		err = w.showPage(ctx, &v, "email_account")
	}
	var users []string
	for a, rowErr := range w.Hosting.Accounts.All(ctx, nawasync.Query{Where: map[string]any{"instance": p.Instance}}) {
		if rowErr != nil || len(users) == 200 {
			err = errors.Join(err, rowErr)
			break
		}
		users = append(users, a.Username)
	}
	if err != nil {
		w.notFound(rw, r, err)
		return
	}
	w.show(rw, r, status, mailboxes(p, v, list.Items, users))
}

func (w *Pages) accounts(rw http.ResponseWriter, r *http.Request, status int, problem string) {
	ctx := r.Context()
	p, err := w.page(ctx, r, "Accounts", "/accounts", problem)
	v := listView{What: "accounts", Noun: "accounts", SearchLabel: "part of user, domain or contact"}
	var list nawasync.ListResult[hosting.WhmAccount]
	if err == nil {
		list, err = listOf(r, &v, p, w.Hosting.Accounts, "username")
	}
	if err == nil {
		v.SyncedAt, err = w.Hosting.Accounts.LastSyncedAt(ctx, hosting.WhmAccount{Instance: p.Instance})
	}
	if err == nil {
		err = w.showPage(ctx, &v, "account")
	}
	if err != nil {
		w.notFound(rw, r, err)
		return
	}
	w.show(rw, r, status, accounts(p, v, list.Items))
}

func listOf[T any](r *http.Request, v *listView, p pageView, from nawasync.SyncedRepository[T], sort string) (nawasync.ListResult[T], error) {
	q, state := query(r, p.Instance, sort)
	if r.Method != http.MethodGet {
		q.After = ""
	}
	list, err := from.List(r.Context(), q)
	v.Instance, v.Search, v.State, v.After, v.Next, v.Total, v.More = p.Instance, q.Search, state, q.After, list.Next, list.Total, list.More
	return list, err
}

// showPage are the jobs and held syncs beside a list.
func (w *Pages) showPage(ctx context.Context, v *listView, typ string) error {
	v.Now = w.Engine.Reader().Now()
	holds, err := w.Engine.Reader().Holds(ctx, "whm", typ, true, 100)
	if err != nil {
		return err
	}
	for _, h := range holds {
		if h.Instance == v.Instance {
			v.Held = append(v.Held, h)
		}
	}
	page, err := w.Engine.Reader().Search(ctx, tracker.Search{Services: []string{"whm"}, Limit: latestJobs})
	v.Jobs = page.Jobs
	return err
}

// notFound is a list that could not be read: for a link that is none, or else.
func (w *Pages) notFound(rw http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, nawasync.ErrInvalid) {
		http.Redirect(rw, r, r.URL.Path, http.StatusSeeOther)
		return
	}
	w.failed(rw, err)
}

func clean(s string) string {
	return strings.ToValidUTF8(strings.ReplaceAll(strings.TrimSpace(s), "\x00", ""), "")
}

func (w *Pages) job(rw http.ResponseWriter, r *http.Request) {
	id, _ := strconv.ParseInt(r.PathValue("id"), 10, 64)
	job, err := w.Engine.Reader().Get(r.Context(), id)
	if errors.Is(err, tracker.ErrNotFound) {
		http.Error(rw, "There is no such job. It may have been pruned.", http.StatusNotFound)
		return
	}
	if err != nil {
		w.failed(rw, err)
		return
	}
	attempts, err := w.Engine.Reader().Attempts(r.Context(), job)
	if err != nil {
		w.failed(rw, err)
		return
	}
	history, err := w.Engine.Reader().Search(r.Context(), tracker.Search{Targets: []tracker.Target{job.Target()}, Limit: 10})
	if err != nil {
		w.failed(rw, err)
		return
	}
	changes, err := w.Engine.Reader().Changes(r.Context(), job.Target(), time.Time{}, time.Time{}, 10)
	if err != nil {
		w.failed(rw, err)
		return
	}
	p := pageView{User: demoUser(r), Title: "Job " + strconv.FormatInt(id, 10), Instance: job.Instance, Instances: w.Instances, Refresh: !job.Status.Terminal()}
	w.show(rw, r, http.StatusOK, jobPage(p, jobView{job, attempts, conflictOf(job), history.Jobs, changes, w.Engine.Reader().Now()}))
}

// watch goes back to where the form was, which then shows the job until it ends.
func (w *Pages) watch(rw http.ResponseWriter, r *http.Request, path string, id int64) {
	back, err := url.ParseQuery(r.PostFormValue("back"))
	if err != nil {
		back = url.Values{}
	}
	to := url.Values{"job": {strconv.FormatInt(id, 10)}, "instance": {w.instance(r)}}
	for _, key := range []string{"q", "after", "state"} {
		if back.Get(key) != "" {
			to.Set(key, back.Get(key))
		}
	}
	http.Redirect(rw, r, path+"?"+to.Encode(), http.StatusSeeOther)
}

type instant = time.Time
