package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/examples/whm/hosting"
	"github.com/nawasara/nawasync/examples/whm/whmsim/sim"
	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/tracker"
)

// options are who clicks: the example has no login.
func options(action string) nawasync.Options {
	return nawasync.Options{By: "user:demo", Action: action}
}

// errForm is what a person typed wrong, errUnknown an action that there is not.
var (
	errForm    = errors.New("")
	errUnknown = errors.New("unknown action")
)

func (w *Pages) sync(rw http.ResponseWriter, r *http.Request) {
	var job *tracker.Job
	var err error
	path := "/"
	switch r.PostFormValue("what") {
	case "accounts":
		path = "/accounts"
		job, err = w.Hosting.Accounts.SyncNow(r.Context(), hosting.WhmAccount{Instance: w.instance(r)}, "", options(""))
	case "light":
		job, err = w.Hosting.Emails.SyncNow(r.Context(), hosting.WhmEmailAccount{Instance: w.instance(r)}, "", options(""))
	default:
		job, err = w.Hosting.Emails.SyncNow(r.Context(), hosting.WhmEmailAccount{Instance: w.instance(r)}, hosting.WithDisk, options(""))
	}
	w.dispatched(rw, r, path, job, err)
}

// dispatched goes back to the list, with the job or with what was wrong.
func (w *Pages) dispatched(rw http.ResponseWriter, r *http.Request, path string, job *tracker.Job, err error) {
	again := w.mailboxes
	if path == "/accounts" {
		again = w.accounts
	}
	switch {
	case err == nil:
		w.watch(rw, r, path, job.ID)
	case errors.Is(err, errUnknown):
		http.NotFound(rw, r)
	case errors.Is(err, nawasync.ErrNotFound):
		again(rw, r, http.StatusUnprocessableEntity, "There is no such row here; sync now to learn what the server has.")
	case errors.Is(err, nawasync.ErrUnchanged):
		again(rw, r, http.StatusUnprocessableEntity, "That is what it is already.")
	case errors.Is(err, errForm), errors.Is(err, nawasync.ErrInvalid), errors.Is(err, nawasync.ErrExists), errors.Is(err, nawasync.ErrDeleting):
		again(rw, r, http.StatusUnprocessableEntity, sentence(err))
	case errors.Is(err, nawasync.ErrBacklogFull):
		again(rw, r, http.StatusServiceUnavailable, sentence(err))
	default:
		w.failed(rw, err)
	}
}

func sentence(err error) string {
	text := strings.ReplaceAll(err.Error(), "\n", "; ")
	return strings.ToUpper(text[:1]) + text[1:] + "."
}

func secret(r *http.Request) (nawasync.Secret, error) {
	password := nawasync.NewSecret(r.PostFormValue("password"))
	if len(password.Reveal()) < 8 {
		return password, fmt.Errorf("%wthe password needs 8 characters or more", errForm)
	}
	return password, nil
}

func (w *Pages) changeMailbox(rw http.ResponseWriter, r *http.Request) {
	job, err := w.mailboxJob(r)
	w.dispatched(rw, r, "/", job, err)
}

func (w *Pages) mailboxJob(r *http.Request) (*tracker.Job, error) {
	if err := r.ParseForm(); err != nil {
		return nil, fmt.Errorf("%wthe form did not arrive whole; send it again", errForm)
	}
	ctx, action, email := r.Context(), r.PathValue("action"), strings.ToLower(clean(r.PostFormValue("email")))
	if name, domain, ok := strings.Cut(email, "@"); !ok || name == "" || domain == "" || strings.ContainsAny(email, " \t\n/") {
		return nil, fmt.Errorf("%w%q is not an address; write name@domain", errForm, email)
	}
	row := hosting.WhmEmailAccount{Instance: w.instance(r), Email: email}
	quota, quotaErr := strconv.ParseInt(clean(r.PostFormValue("quota_mb")), 10, 64)
	if quotaErr != nil || quota < 0 || quota > 1<<40 {
		quotaErr = fmt.Errorf("%wthe quota is a number of megabytes, 0 for unlimited", errForm)
	}
	password, weak := secret(r)
	if action == "create" {
		row.Account, row.Quota, row.Password = clean(r.PostFormValue("account")), new(quota*mebibyte), password
		if row.Account == "" {
			return nil, fmt.Errorf("%wname the cPanel account that will own the mailbox", errForm)
		}
		if err := errors.Join(quotaErr, weak); err != nil {
			return nil, err
		}
		return w.Hosting.Emails.Create(ctx, row, options(""))
	}
	row, err := w.Hosting.Emails.FindKey(ctx, row)
	if err != nil {
		return nil, err
	}
	if was, ok := reader(r); ok {
		row.Quota, row.SuspendedLogin, row.SuspendedIncoming = was.Quota, was.Login, was.Incoming
	}
	var change func(*hosting.WhmEmailAccount)
	switch action {
	case "update_quota":
		change, err = func(m *hosting.WhmEmailAccount) { m.Quota = new(quota * mebibyte) }, quotaErr
	case "update_password":
		change, err = func(m *hosting.WhmEmailAccount) { m.Password = password }, weak
	case "suspend", "unsuspend":
		change = func(m *hosting.WhmEmailAccount) {
			m.SuspendedLogin, m.SuspendedIncoming = action == "suspend", action == "suspend"
		}
	case "delete":
		if r.PostFormValue("sure") != "yes" {
			return nil, fmt.Errorf("%wtick the box to delete the mailbox with all its mail", errForm)
		}
		return w.Hosting.Emails.Delete(ctx, row, options(""))
	default:
		return nil, errUnknown
	}
	if err != nil {
		return nil, err
	}
	return w.Hosting.Emails.Update(ctx, row, change, options(action))
}

// reader is what the form's reader saw of the row.
func reader(r *http.Request) (was seenValues, ok bool) {
	err := json.Unmarshal([]byte(r.PostFormValue("seen")), &was)
	return was, err == nil
}

func (w *Pages) changeAccount(rw http.ResponseWriter, r *http.Request) {
	job, err := w.accountJob(r)
	w.dispatched(rw, r, "/accounts", job, err)
}

func (w *Pages) accountJob(r *http.Request) (*tracker.Job, error) {
	if err := r.ParseForm(); err != nil {
		return nil, fmt.Errorf("%wthe form did not arrive whole; send it again", errForm)
	}
	ctx, action := r.Context(), r.PathValue("action")
	row := hosting.WhmAccount{Instance: w.instance(r), Username: clean(r.PostFormValue("username"))}
	plan := clean(r.PostFormValue("plan"))
	password, weak := secret(r)
	if action == "create" {
		row.Domain, row.Contact, row.Plan, row.Password = clean(r.PostFormValue("domain")), clean(r.PostFormValue("contact")), plan, password
		if row.Domain == "" || row.Plan == "" {
			return nil, fmt.Errorf("%wgive the account a domain and a plan", errForm)
		}
		if weak != nil {
			return nil, weak
		}
		return w.Hosting.Accounts.Create(ctx, row, options(""))
	}
	row, err := w.Hosting.Accounts.FindKey(ctx, row)
	if err != nil {
		return nil, err
	}
	if was, ok := reader(r); ok {
		row.Domain, row.Contact, row.Plan, row.Suspended, row.SuspendReason, row.DiskLimit = was.Domain, was.Contact, was.Plan, was.Suspended, was.Reason,
			was.DiskLimit
	}
	var change func(*hosting.WhmAccount)
	switch action {
	case "update_package":
		if plan == "" {
			err = fmt.Errorf("%wname the plan", errForm)
		}
		change = func(a *hosting.WhmAccount) { a.Plan = plan }
	case "update_password":
		change, err = func(a *hosting.WhmAccount) { a.Password = password }, weak
	case "suspend":
		change = func(a *hosting.WhmAccount) { a.Suspended, a.SuspendReason = true, clean(r.PostFormValue("reason")) }
	case "unsuspend":
		change = func(a *hosting.WhmAccount) { a.Suspended, a.SuspendReason = false, "" }
	case "terminate":
		if r.PostFormValue("sure") != "yes" {
			return nil, fmt.Errorf("%wtick the box to delete the account with all it has", errForm)
		}
		return w.Hosting.Accounts.Delete(ctx, row, options(""))
	default:
		return nil, errUnknown
	}
	if err != nil {
		return nil, err
	}
	return w.Hosting.Accounts.Update(ctx, row, change, options(action))
}

// answer answers a conflict.
func (w *Pages) answer(rw http.ResponseWriter, r *http.Request) {
	id, _ := strconv.ParseInt(r.PathValue("id"), 10, 64)
	var job *tracker.Job
	err := errUnknown
	switch by := options("").By; r.PathValue("answer") {
	case "resync":
		job, err = mirror.KeepTheirs(r.Context(), w.Engine, id, nawasync.OperatorOptions{By: by})
	case "rebase":
		job, err = mirror.ApplyMine(r.Context(), w.Engine, id, nawasync.OperatorOptions{By: by})
	case "overwrite":
		job, err = mirror.Overwrite(r.Context(), w.Engine, id, nawasync.OperatorOptions{By: by})
	}
	switch {
	case err == nil:
		http.Redirect(rw, r, string(jobURL(job.ID)), http.StatusSeeOther)
	case errors.Is(err, errUnknown), errors.Is(err, nawasync.ErrNotFound):
		http.NotFound(rw, r)
	case errors.Is(err, mirror.ErrNoConflict), errors.Is(err, nawasync.ErrNoArguments):
		http.Error(rw, sentence(err), http.StatusUnprocessableEntity)
	default:
		w.failed(rw, err)
	}
}

const shownRows = 50

func (w *Pages) held(rw http.ResponseWriter, r *http.Request) {
	p, err := w.page(r.Context(), r, "Held syncs", "/held", "")
	var list []heldView
	if err == nil {
		var open []tracker.Hold
		open, err = w.Engine.Reader().Holds(r.Context(), "whm", "", true, 100)
		for _, h := range open {
			rows, rowsErr := w.Engine.Reader().HeldRows(r.Context(), h.ID, 0, shownRows+1)
			err = errors.Join(err, rowsErr)
			list = append(list, heldView{h, rows[:min(len(rows), shownRows)], len(rows) > shownRows})
		}
	}
	if err != nil {
		w.failed(rw, err)
		return
	}
	w.show(rw, r, http.StatusOK, held(p, list))
}

func (w *Pages) decide(rw http.ResponseWriter, r *http.Request) {
	id, _ := strconv.ParseInt(r.PathValue("id"), 10, 64)
	to := "/held"
	err := errUnknown
	switch by := options("").By; r.PathValue("answer") {
	case "release":
		var job *tracker.Job
		if job, err = mirror.ReleaseHold(r.Context(), w.Engine, id, nawasync.OperatorOptions{By: by}); err == nil {
			to = string(jobURL(job.ID))
		}
	case "reject":
		err = mirror.RejectHold(r.Context(), w.Engine, id, nawasync.OperatorOptions{By: by})
	}
	switch {
	case err == nil:
		http.Redirect(rw, r, to, http.StatusSeeOther)
	case errors.Is(err, errUnknown), errors.Is(err, nawasync.ErrNotFound):
		http.NotFound(rw, r)
	case errors.Is(err, jobstore.ErrDecided):
		http.Error(rw, sentence(err), http.StatusConflict)
	default:
		w.failed(rw, err)
	}
}

// elsewhere lets the reader be somebody else, who changes the server itself.
func (w *Pages) elsewhere(rw http.ResponseWriter, r *http.Request, v elsewhereView) {
	p, err := w.page(r.Context(), r, "Somebody else", "/elsewhere", "")
	if err != nil {
		w.failed(rw, err)
		return
	}
	v.Can = w.Simulated[p.Instance] != nil
	w.show(rw, r, http.StatusOK, elsewhere(p, v))
}

func (w *Pages) changeElsewhere(rw http.ResponseWriter, r *http.Request) {
	server := w.Simulated[w.instance(r)]
	if server == nil {
		http.NotFound(rw, r)
		return
	}
	email := strings.ToLower(clean(r.PostFormValue("email")))
	quota, err := strconv.ParseInt(r.PostFormValue("quota_mb"), 10, 64)
	suspended := r.PostFormValue("suspended") == "yes"
	v := elsewhereView{Email: email}
	switch {
	case err != nil || quota < 0:
		v.Said = "Nothing was changed: the quota is a number of megabytes."
	case r.PostFormValue("gone") == "yes":
		server.Remove(email)
		v.Said = email + " is deleted there."
	default:
		if err := server.Edit(email, sim.State{QuotaMB: &quota, SuspendedLogin: &suspended, SuspendedIncoming: &suspended}); err != nil {
			v.Said = "Nothing was changed: " + err.Error() + "."
		} else {
			v.Said = fmt.Sprintf("%s has a quota of %d MB there now.", email, quota)
		}
	}
	w.elsewhere(rw, r, v)
}
