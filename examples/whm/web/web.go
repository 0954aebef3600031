// Package web serves the example's pages. The pages list the snapshots and dispatch a job for each
// form. They work without JavaScript.
package web

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"mime"
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
	pageSize   = 50      // rows of a page
	latestJobs = 15      // jobs below a list
	countUpTo  = 100_000 // rows; a list does not count more
	maxForm    = 1 << 16 // bytes
)

// Pages serves the pages.
type Pages struct {
	Engine    *nawasync.Engine
	Hosting   *hosting.Module
	Instances []string               // the names of the servers; the first is the default
	Simulated map[string]*sim.Server // the simulated servers in this process, by name
	Operators http.Handler           // serves the paths under AdminPrefix
	Logger    *slog.Logger
}

// Handler returns the handler of all pages, the operators' pages included.
func (s *Pages) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { s.mailboxes(w, r, http.StatusOK, "") })
	mux.HandleFunc("GET /accounts", func(w http.ResponseWriter, r *http.Request) { s.accounts(w, r, http.StatusOK, "") })
	mux.HandleFunc("GET /jobs/{id}", s.job)
	mux.HandleFunc("POST /jobs/{id}/{answer}", s.answerConflict)
	mux.HandleFunc("GET /held", s.held)
	mux.HandleFunc("POST /held/{id}/{answer}", s.answerHold)
	mux.HandleFunc("GET /elsewhere", func(w http.ResponseWriter, r *http.Request) { s.remoteEdit(w, r, remoteEditView{}) })
	mux.HandleFunc("POST /elsewhere", s.changeRemote)
	mux.HandleFunc("POST /try/{step}", s.tryStep)
	mux.HandleFunc("POST /sync", s.sync)
	mux.HandleFunc("POST /user", s.changeUser)
	mux.HandleFunc("POST /mailboxes/{action}", s.changeMailbox)
	mux.HandleFunc("POST /accounts/{action}", s.changeAccount)
	mux.HandleFunc("GET "+styleURL, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/css; charset=utf-8")
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		_, _ = w.Write(style)
	})
	mux.Handle("GET /admin", http.RedirectHandler(AdminPrefix+"/", http.StatusSeeOther))
	all := http.NewServeMux()
	forms := &once{forms: map[string]*sentForm{}}
	all.Handle("/", secureHeaders(http.NewCrossOriginProtection().Handler(forms.handle(mux)))) // refuses the forms of other sites
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

// show renders a page. It renders into memory first, so that a rendering error becomes an error page
// and not half a page.
func (s *Pages) show(w http.ResponseWriter, r *http.Request, status int, page templ.Component) {
	var out bytes.Buffer
	if err := page.Render(r.Context(), &out); err != nil {
		s.internalError(w, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = out.WriteTo(w)
}

// internalError logs an unexpected error and answers with status 500. The page does not show the
// error, because it may contain internal details.
func (s *Pages) internalError(w http.ResponseWriter, err error) {
	s.Logger.Error("request failed", "error", err)
	http.Error(w, "The request failed because of an internal error. Reload the page and try again; if the request fails again, read the error in the log.",
		http.StatusInternalServerError)
}

// instance returns the name of the server in a request. For an unknown name it returns the default
// server.
func (s *Pages) instance(r *http.Request) string {
	name := r.URL.Query().Get("instance")
	if r.Method == http.MethodPost {
		name = r.PostFormValue("instance") // the body was read within its limits before
	}
	if slices.Contains(s.Instances, name) {
		return name
	}
	return s.Instances[0]
}

// page returns the frame of a page. If the URL has a job, the page shows the job's status and
// refreshes until the job ends.
func (s *Pages) page(r *http.Request, title, path, problem string) (pageView, error) {
	p := pageView{User: demoUser(r), Title: title, Path: path, Instance: s.instance(r), Instances: s.Instances, Problem: problem}
	p.Simulated = s.Simulated[p.Instance] != nil
	if id, _ := strconv.ParseInt(r.URL.Query().Get("job"), 10, 64); id > 0 {
		jobs, err := s.Engine.Reader().ByID(r.Context(), []int64{id})
		if err != nil {
			return p, err
		}
		if p.Watched = jobs[id]; p.Watched != nil {
			p.Refresh = refreshFor(p.Watched)
		}
	}
	return p, nil
}

// refreshFor returns after how many seconds a page with the job reloads. 0 means never.
func refreshFor(job *tracker.Job) int {
	switch {
	case job.Status.Terminal():
		return 0
	case parked(job), time.Until(job.NotBefore) > 2*time.Second:
		return 5
	}
	return 1
}

// query returns the query of a list and the chosen state. An unknown state means any state.
func query(r *http.Request, instance, sort string) (q nawasync.Query, state string) {
	values := r.URL.Query()
	q = nawasync.Query{
		Where: map[string]any{"instance": instance}, Search: clean(values.Get("q")), Sort: sort, After: values.Get("after"), Limit: pageSize, Total: countUpTo,
	}
	state = values.Get("state")
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

func (s *Pages) mailboxes(w http.ResponseWriter, r *http.Request, status int, problem string) {
	ctx := r.Context()
	p, err := s.page(r, "Mailboxes", "/", problem)
	v := listView{Listing: "emails", Singular: "mailbox", Plural: "mailboxes", SearchLabel: "Part of the address"}
	var list nawasync.ListResult[hosting.WhmEmailAccount]
	if err == nil {
		list, err = listOf(r, &v, p, s.Hosting.Emails, "email")
	}
	if err == nil {
		v.SyncedAt, err = s.Hosting.Emails.LastSyncedAt(ctx, hosting.WhmEmailAccount{Instance: p.Instance})
	}
	if err == nil {
		err = s.addHoldsAndJobs(ctx, &v, "email_account")
	}
	var guide *guideView
	if err == nil {
		guide, err = s.guide(ctx, p.Instance)
	}
	var users []string
	for a, rowErr := range s.Hosting.Accounts.All(ctx, nawasync.Query{Where: map[string]any{"instance": p.Instance}}) {
		if rowErr != nil || len(users) == 200 {
			err = errors.Join(err, rowErr)
			break
		}
		users = append(users, a.Username)
	}
	if err != nil {
		s.listError(w, r, err)
		return
	}
	p.refreshDuring(v)
	if p.Refresh == 0 && guide.working() {
		p.Refresh = 2
	}
	s.show(w, r, status, mailboxes(p, v, list.Items, users, guide))
}

func (s *Pages) accounts(w http.ResponseWriter, r *http.Request, status int, problem string) {
	ctx := r.Context()
	p, err := s.page(r, "Accounts", "/accounts", problem)
	v := listView{Listing: "accounts", Singular: "account", Plural: "accounts", SearchLabel: "Part of the username, domain or contact"}
	var list nawasync.ListResult[hosting.WhmAccount]
	if err == nil {
		list, err = listOf(r, &v, p, s.Hosting.Accounts, "username")
	}
	if err == nil {
		v.SyncedAt, err = s.Hosting.Accounts.LastSyncedAt(ctx, hosting.WhmAccount{Instance: p.Instance})
	}
	if err == nil {
		err = s.addHoldsAndJobs(ctx, &v, "account")
	}
	if err != nil {
		s.listError(w, r, err)
		return
	}
	p.refreshDuring(v)
	s.show(w, r, status, accounts(p, v, list.Items))
}

// listOf reads the rows of a list and sets the list's values in v, with a token for the forms of each row. After a refused form, it reads
// the first page.
func listOf[T any](r *http.Request, v *listView, p pageView, repository nawasync.SyncedRepository[T], sort string) (nawasync.ListResult[T], error) {
	q, state := query(r, p.Instance, sort)
	if r.Method != http.MethodGet {
		q.After = ""
	}
	list, err := repository.List(r.Context(), q)
	v.Instance, v.Search, v.State, v.After, v.Next, v.Total, v.More = p.Instance, q.Search, state, q.After, list.Next, list.Total, list.More
	for i := 0; i < len(list.Items) && err == nil; i++ {
		var token string
		token, err = repository.Seen(r.Context(), list.Items[i], demoUserID)
		v.Seen = append(v.Seen, token)
	}
	return list, err
}

// addHoldsAndJobs adds the held syncs of the list's server and the latest jobs. Before the first sync has ended,
// it adds that sync.
func (s *Pages) addHoldsAndJobs(ctx context.Context, v *listView, typ string) error {
	v.Now = s.Engine.Reader().Now()
	holds, err := s.Engine.Reader().Holds(ctx, "whm", typ, true, 100)
	if err != nil {
		return err
	}
	for _, h := range holds {
		if h.Instance == v.Instance {
			v.Held = append(v.Held, h)
		}
	}
	page, err := s.Engine.Reader().Search(ctx, tracker.Search{Services: []string{"whm"}, Limit: latestJobs})
	v.Jobs = page.Jobs
	if err != nil || !v.SyncedAt.IsZero() {
		return err
	}
	first, err := s.Engine.Reader().Search(ctx, tracker.Search{Services: []string{"whm"}, Limit: 1, Terms: []tracker.Term{
		term(tracker.FieldType, typ), term(tracker.FieldInstance, v.Instance), {Field: tracker.FieldAction, Values: []string{"sync_accounts", "sync_emails"}},
	}})
	if len(first.Jobs) > 0 {
		v.FirstSync = first.Jobs[0]
	}
	return err
}

// listError answers a request for a list that could not be read. A URL with invalid parameters is
// redirected to the unfiltered list.
func (s *Pages) listError(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, nawasync.ErrInvalid) {
		http.Redirect(w, r, r.URL.Path, http.StatusSeeOther)
		return
	}
	s.internalError(w, err)
}

// clean removes surrounding spaces and the characters that databases refuse.
func clean(s string) string {
	return strings.ToValidUTF8(strings.ReplaceAll(strings.TrimSpace(s), "\x00", ""), "")
}

func (s *Pages) job(w http.ResponseWriter, r *http.Request) {
	id, _ := strconv.ParseInt(r.PathValue("id"), 10, 64)
	job, err := s.Engine.Reader().Get(r.Context(), id)
	if errors.Is(err, tracker.ErrNotFound) {
		http.Error(w, fmt.Sprintf("Job %d does not exist, or was deleted at the end of its retention. Choose another job from the list.", id), http.StatusNotFound)
		return
	}
	if err != nil {
		s.internalError(w, err)
		return
	}
	attempts, err := s.Engine.Reader().Attempts(r.Context(), job)
	if err != nil {
		s.internalError(w, err)
		return
	}
	history, err := s.Engine.Reader().Search(r.Context(), tracker.Search{Targets: []tracker.Target{job.Target()}, Limit: 10})
	if err != nil {
		s.internalError(w, err)
		return
	}
	changes, err := s.Engine.Reader().Changes(r.Context(), job.Target(), time.Time{}, time.Time{}, 10)
	if err != nil {
		s.internalError(w, err)
		return
	}
	p, err := s.page(r, "Job "+strconv.FormatInt(id, 10), "", "")
	if err != nil {
		s.internalError(w, err)
		return
	}
	p.Instance, p.Refresh = job.Instance, refreshFor(job)
	s.show(w, r, http.StatusOK, jobPage(p, jobView{job, attempts, conflictOf(job), history.Jobs, changes, s.Engine.Reader().Now()}))
}

// redirectToList redirects to the list that contained the form. The list shows the status of the
// job.
func (s *Pages) redirectToList(w http.ResponseWriter, r *http.Request, path string, id int64) {
	back, err := url.ParseQuery(r.PostFormValue("back"))
	if err != nil {
		back = url.Values{}
	}
	values := url.Values{"job": {strconv.FormatInt(id, 10)}, "instance": {s.instance(r)}}
	for _, key := range []string{"q", "after", "state"} {
		if back.Get(key) != "" {
			values.Set(key, back.Get(key))
		}
	}
	http.Redirect(w, r, path+"?"+values.Encode(), http.StatusSeeOther)
}
