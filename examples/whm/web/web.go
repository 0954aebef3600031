// Package web is the example's page: it reads the snapshot, and turns every form
// into a job. It works without JavaScript.
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
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"
	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/examples/whm/mailbox"
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
	maxForm    = 1 << 16
)

// Web serves the page.
type Web struct {
	DB       *gorm.DB
	Engine   *nawasync.Engine
	Instance string // the one server it shows
	Logger   *slog.Logger
}

// Handler is the whole page, with the headers that a page of forms should have.
func (w *Web) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(rw http.ResponseWriter, r *http.Request) { w.index(rw, r, http.StatusOK, "") })
	mux.HandleFunc("GET /jobs/{id}", w.job)
	mux.HandleFunc("POST /sync", w.sync)
	mux.HandleFunc("POST /mailboxes/{action}", w.change)
	mux.HandleFunc("GET "+styleURL, func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "text/css; charset=utf-8")
		rw.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		_, _ = rw.Write(style)
	})
	// Browsers say where a form came from: another site's are refused.
	return secured(http.NewCrossOriginProtection().Handler(mux))
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
func (w *Web) show(rw http.ResponseWriter, r *http.Request, status int, page templ.Component) {
	var out bytes.Buffer
	if err := page.Render(r.Context(), &out); err != nil {
		w.failed(rw, err)
		return
	}
	rw.Header().Set("Content-Type", "text/html; charset=utf-8")
	rw.WriteHeader(status)
	_, _ = out.WriteTo(rw)
}

func (w *Web) failed(rw http.ResponseWriter, err error) {
	w.Logger.Error("whm: a page failed", "error", err)
	http.Error(rw, "The database did not answer as it should. The log says more; try again.", http.StatusInternalServerError)
}

func (w *Web) index(rw http.ResponseWriter, r *http.Request, status int, problem string) {
	view, err := w.view(r.Context(), r.URL.Query())
	if err != nil {
		w.failed(rw, err)
		return
	}
	view.Problem = problem
	w.show(rw, r, status, index(view))
}

func (w *Web) view(ctx context.Context, from url.Values) (indexView, error) {
	v := indexView{Query: mailbox.Query{Instance: w.Instance, Search: clean(from.Get("q")), After: clean(from.Get("after")), Limit: pageSize}}
	rows, more, err := mailbox.List(ctx, w.DB, v.Query)
	if err != nil {
		return v, err
	}
	if v.Total, err = mailbox.Count(ctx, w.DB, v.Query); err != nil {
		return v, err
	}
	v.More = more
	ids := make([]int64, 0, len(rows)+1)
	for _, row := range rows {
		if row.JobID != 0 {
			ids = append(ids, row.JobID)
		}
	}
	watched, _ := strconv.ParseInt(from.Get("job"), 10, 64)
	if watched > 0 {
		ids = append(ids, watched)
	}
	jobs, err := w.Engine.Store().ByID(ctx, ids)
	if err != nil {
		return v, err
	}
	for _, row := range rows {
		v.Rows = append(v.Rows, rowView{row, jobs[row.JobID]})
	}
	if v.Watched = jobs[watched]; v.Watched != nil {
		v.Refresh = !v.Watched.Status.Terminal()
	}
	page, err := w.Engine.Store().List(ctx, tracker.Filter{Service: "whm"}, 0, latestJobs)
	if err != nil {
		return v, err
	}
	v.Jobs = page.Jobs
	err = w.DB.WithContext(ctx).Model(&mailbox.Mailbox{}).Where("instance = ?", w.Instance).Distinct().Order("account").Limit(200).Pluck("account", &v.Accounts).Error
	if err != nil {
		return v, err
	}
	last, _, err := w.Engine.Store().LastSuccess(ctx, "whm", "email_account", "sync_emails", w.Instance)
	if err != nil {
		return v, err
	}
	v.Synced = "Never synced."
	if !last.IsZero() {
		v.Synced = "Last synced " + last.UTC().Format("2006-01-02 15:04:05 UTC") + "."
	}
	return v, nil
}

func clean(s string) string {
	return strings.ToValidUTF8(strings.ReplaceAll(strings.TrimSpace(s), "\x00", ""), "")
}

func (w *Web) job(rw http.ResponseWriter, r *http.Request) {
	id, _ := strconv.ParseInt(r.PathValue("id"), 10, 64)
	job, err := w.Engine.Store().Get(r.Context(), id)
	if errors.Is(err, tracker.ErrNotFound) {
		http.Error(rw, "There is no such job. It may have been pruned.", http.StatusNotFound)
		return
	}
	if err != nil {
		w.failed(rw, err)
		return
	}
	attempts, err := w.Engine.Store().Attempts(r.Context(), job)
	if err != nil {
		w.failed(rw, err)
		return
	}
	w.show(rw, r, http.StatusOK, jobPage(jobView{job, attempts, !job.Status.Terminal()}))
}

func (w *Web) sync(rw http.ResponseWriter, r *http.Request) {
	job, err := w.Engine.Dispatch(r.Context(), mailbox.Sync{Instance: w.Instance}, by)
	if err != nil {
		w.refuse(rw, r, err)
		return
	}
	w.watch(rw, r, job.ID)
}

// by is who clicks: the example has no login.
var by = nawasync.Options{By: "user:demo"}

// change turns a form into a job.
func (w *Web) change(rw http.ResponseWriter, r *http.Request) {
	args, err := w.args(r)
	if err != nil {
		w.refuse(rw, r, err)
		return
	}
	id, err := mailbox.Dispatch(r.Context(), w.Engine, args, by)
	if err != nil {
		w.refuse(rw, r, err)
		return
	}
	w.watch(rw, r, id)
}

// errForm is what a person typed wrong, errUnknown an action that there is not.
var (
	errForm    = errors.New("")
	errUnknown = errors.New("unknown action")
)

func (w *Web) args(r *http.Request) (nawasync.Args, error) {
	if err := r.ParseForm(); err != nil {
		return nil, fmt.Errorf("%wthe form did not arrive whole; send it again", errForm)
	}
	action, email := r.PathValue("action"), strings.ToLower(clean(r.PostFormValue("email")))
	if name, domain, ok := strings.Cut(email, "@"); !ok || name == "" || domain == "" || strings.ContainsAny(email, " \t\n/") {
		return nil, fmt.Errorf("%w%q is not an address; write name@domain", errForm, email)
	}
	at := mailbox.At{Instance: w.Instance, Account: clean(r.PostFormValue("account")), Email: email}
	if action != "create" {
		row, err := mailbox.Find(r.Context(), w.DB, w.Instance, email)
		if err != nil {
			return nil, err
		}
		at.Account = row.Account
	}
	password := nawasync.NewSecret(r.PostFormValue("password"))
	quota, quotaErr := strconv.ParseInt(clean(r.PostFormValue("quota_mb")), 10, 64)
	if quotaErr != nil || quota < 0 {
		quotaErr = fmt.Errorf("%wthe quota is a number of megabytes, 0 for unlimited", errForm)
	}
	var weak error
	if len(password.Reveal()) < 8 {
		weak = fmt.Errorf("%wthe password needs 8 characters or more", errForm)
	}
	switch action {
	case "create":
		if at.Account == "" {
			return nil, fmt.Errorf("%wname the cPanel account that will own the mailbox", errForm)
		}
		return mailbox.Create{At: at, QuotaMB: quota, Password: password}, errors.Join(quotaErr, weak)
	case "update_quota":
		return mailbox.UpdateQuota{At: at, QuotaMB: quota}, quotaErr
	case "update_password":
		return mailbox.UpdatePassword{At: at, Password: password}, weak
	case "suspend":
		return mailbox.Suspend{At: at}, nil
	case "unsuspend":
		return mailbox.Unsuspend{At: at}, nil
	case "delete":
		if r.PostFormValue("sure") != "yes" {
			return nil, fmt.Errorf("%wtick the box to delete the mailbox with all its mail", errForm)
		}
		return mailbox.Delete{At: at}, nil
	}
	return nil, errUnknown
}

// refuse shows the page with what is wrong; nothing was dispatched.
func (w *Web) refuse(rw http.ResponseWriter, r *http.Request, err error) {
	switch {
	case errors.Is(err, errUnknown):
		http.NotFound(rw, r)
	case errors.Is(err, errForm), errors.Is(err, mailbox.ErrUnknown), errors.Is(err, nawasync.ErrInvalid):
		w.index(rw, r, http.StatusUnprocessableEntity, sentence(err))
	case errors.Is(err, nawasync.ErrBacklogFull):
		w.index(rw, r, http.StatusServiceUnavailable, sentence(err))
	default:
		w.failed(rw, err)
	}
}

func sentence(err error) string {
	text := strings.ReplaceAll(strings.TrimPrefix(err.Error(), "nawasync: "), "\n", "; ")
	return strings.ToUpper(text[:1]) + text[1:] + "."
}

// watch goes back to where the form was, which then shows the job until it ends.
func (w *Web) watch(rw http.ResponseWriter, r *http.Request, id int64) {
	back, err := url.ParseQuery(r.PostFormValue("back"))
	if err != nil {
		back = url.Values{}
	}
	to := url.Values{"job": {strconv.FormatInt(id, 10)}}
	for _, key := range []string{"q", "after"} {
		if back.Get(key) != "" {
			to.Set(key, back.Get(key))
		}
	}
	http.Redirect(rw, r, "/?"+to.Encode(), http.StatusSeeOther)
}

type instant = time.Time
