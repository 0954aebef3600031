package web

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/examples/whm/hosting"
	"github.com/nawasara/nawasync/examples/whm/whmsim/sim"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/tracker"
)

// demoUserID is the user of all forms and jobs, because the example has no login.
const demoUserID = "user:demo"

// options returns the options of a dispatch.
func options(action string) nawasync.Options {
	return nawasync.Options{By: demoUserID, Action: action}
}

// formError says what is wrong with a submitted form and how to correct it. The page shows its text.
type formError string

func (e formError) Error() string { return string(e) }

// errUnknownAction is the error of a form whose URL has an unknown action.
var errUnknownAction = errors.New("unknown action")

func (s *Pages) sync(w http.ResponseWriter, r *http.Request) {
	var job *tracker.Job
	var err error
	path := "/"
	switch r.PostFormValue("what") {
	case "accounts":
		path = "/accounts"
		job, err = s.Hosting.Accounts.SyncNow(r.Context(), hosting.WhmAccount{Instance: s.instance(r)}, "", options(""))
	case "light":
		job, err = s.Hosting.Emails.SyncNow(r.Context(), hosting.WhmEmailAccount{Instance: s.instance(r)}, "", options(""))
	default:
		job, err = s.Hosting.Emails.SyncNow(r.Context(), hosting.WhmEmailAccount{Instance: s.instance(r)}, hosting.WithDisk, options(""))
	}
	s.finishForm(w, r, path, job, err)
}

// finishForm answers a form of a list. The user sees the list again, with the dispatched job or
// with the reason why no job was dispatched.
func (s *Pages) finishForm(w http.ResponseWriter, r *http.Request, path string, job *tracker.Job, err error) {
	showList := s.mailboxes
	if path == "/accounts" {
		showList = s.accounts
	}
	_, wrongForm := errors.AsType[formError](err)
	switch {
	case err == nil:
		s.redirectToList(w, r, path, job.ID)
	case errors.Is(err, errUnknownAction):
		http.NotFound(w, r)
	case errors.Is(err, nawasync.ErrNotFound):
		showList(w, r, http.StatusUnprocessableEntity, "The list has no row with this name: choose Sync now to load the current rows from the server.")
	case errors.Is(err, nawasync.ErrUnchanged):
		showList(w, r, http.StatusUnprocessableEntity, "The row already has the requested values: enter a different value.")
	case errors.Is(err, mirror.ErrUnseen):
		showList(w, r, http.StatusUnprocessableEntity, "This value has not been loaded from the server yet: choose Sync now, then try again.")
	case errors.Is(err, mirror.ErrStale):
		showList(w, r, http.StatusConflict, "The form is out of date: look at the row as it is now, then repeat the change.")
	case errors.Is(err, mirror.ErrSeen):
		showList(w, r, http.StatusUnprocessableEntity, "The form does not belong to this row: open the row's form in the list, then repeat the change.")
	case wrongForm, errors.Is(err, nawasync.ErrInvalid), errors.Is(err, nawasync.ErrExists), errors.Is(err, nawasync.ErrDeleting):
		showList(w, r, http.StatusUnprocessableEntity, sentence(err))
	case errors.Is(err, nawasync.ErrBacklogFull):
		showList(w, r, http.StatusServiceUnavailable, sentence(err))
	default:
		s.internalError(w, err)
	}
}

// sentence returns an error's text with a capital letter and a full stop, on one line.
func sentence(err error) string {
	text := strings.ReplaceAll(err.Error(), "\n", "; ")
	return strings.ToUpper(text[:1]) + text[1:] + "."
}

// formPassword returns the password of a form.
func formPassword(r *http.Request) (nawasync.Secret, error) {
	password := nawasync.NewSecret(r.PostFormValue("password"))
	if len(password.Reveal()) < 8 {
		return password, formError("the password has fewer than 8 characters: enter 8 characters or more")
	}
	return password, nil
}

// formQuota returns the quota of a form in bytes. 0 is unlimited.
func formQuota(r *http.Request) (*int64, error) {
	quota, err := strconv.ParseInt(clean(r.PostFormValue("quota_mb")), 10, 64)
	if err != nil || quota < 0 || quota > 1<<40 {
		return nil, formError("the quota is not a valid number of megabytes: enter 0 for unlimited, or the number of MB")
	}
	return new(quota * mebibyte), nil
}

// formEmail returns the address of a form.
func formEmail(r *http.Request) (string, error) {
	email := strings.ToLower(clean(r.PostFormValue("email")))
	if name, domain, ok := strings.Cut(email, "@"); !ok || name == "" || domain == "" || strings.ContainsAny(email, " \t\n/") {
		return "", formError(fmt.Sprintf("%q is not an email address: enter name@domain", email))
	}
	return email, nil
}

func (s *Pages) changeMailbox(w http.ResponseWriter, r *http.Request) {
	job, err := s.mailboxJob(r, r.PathValue("action"))
	s.finishForm(w, r, "/", job, err)
}

// mailboxJob dispatches the job of a mailbox form.
func (s *Pages) mailboxJob(r *http.Request, action string) (*tracker.Job, error) {
	email, err := formEmail(r)
	if err != nil {
		return nil, err
	}
	row := hosting.WhmEmailAccount{Instance: s.instance(r), Email: email}
	if action == "create" {
		return s.createMailbox(r, row)
	}
	change, err := mailboxChange(r, action)
	if err != nil {
		return nil, err
	}
	// The token says what the user saw. A value that has changed since then leads to a conflict.
	seen, err := s.Hosting.Emails.ParseSeen(r.Context(), row, demoUserID, r.PostFormValue("seen"))
	switch {
	case err != nil:
		return nil, err
	case change == nil:
		return s.Hosting.Emails.Delete(r.Context(), seen, options(""))
	}
	return s.Hosting.Emails.Update(r.Context(), seen, change, options(action))
}

func (s *Pages) createMailbox(r *http.Request, row hosting.WhmEmailAccount) (*tracker.Job, error) {
	if row.Account = clean(r.PostFormValue("account")); row.Account == "" {
		return nil, formError("the account is missing: name the cPanel account that will own the mailbox")
	}
	var quotaErr, passwordErr error
	row.Quota, quotaErr = formQuota(r)
	row.Password, passwordErr = formPassword(r)
	if err := errors.Join(quotaErr, passwordErr); err != nil {
		return nil, err
	}
	return s.Hosting.Emails.Create(r.Context(), row, options(""))
}

// mailboxChange returns the function that makes the change of a mailbox form, or nil for a deletion.
func mailboxChange(r *http.Request, action string) (func(*hosting.WhmEmailAccount), error) {
	switch action {
	case "delete":
		if r.PostFormValue("sure") != "yes" {
			return nil, formError("the confirmation is missing: select the checkbox to delete the mailbox and all its mail")
		}
		return nil, nil //nolint:nilnil // the mailbox is deleted and not changed
	case "update_quota":
		quota, err := formQuota(r)
		return func(m *hosting.WhmEmailAccount) { m.Quota = quota }, err
	case "update_password":
		password, err := formPassword(r)
		return func(m *hosting.WhmEmailAccount) { m.Password = password }, err
	case "suspend":
		return func(m *hosting.WhmEmailAccount) { m.SuspendedLogin, m.SuspendedIncoming = true, true }, nil
	case "unsuspend":
		return func(m *hosting.WhmEmailAccount) { m.SuspendedLogin, m.SuspendedIncoming = false, false }, nil
	}
	return nil, errUnknownAction
}

func (s *Pages) changeAccount(w http.ResponseWriter, r *http.Request) {
	job, err := s.accountJob(r)
	s.finishForm(w, r, "/accounts", job, err)
}

// accountJob dispatches the job of an account form.
func (s *Pages) accountJob(r *http.Request) (*tracker.Job, error) {
	action := r.PathValue("action")
	row := hosting.WhmAccount{Instance: s.instance(r), Username: clean(r.PostFormValue("username"))}
	if action == "create" {
		return s.createAccount(r, row)
	}
	change, err := accountChange(r, action)
	if err != nil {
		return nil, err
	}
	seen, err := s.Hosting.Accounts.ParseSeen(r.Context(), row, demoUserID, r.PostFormValue("seen"))
	switch {
	case err != nil:
		return nil, err
	case change == nil:
		return s.Hosting.Accounts.Delete(r.Context(), seen, options(""))
	}
	return s.Hosting.Accounts.Update(r.Context(), seen, change, options(action))
}

func (s *Pages) createAccount(r *http.Request, row hosting.WhmAccount) (*tracker.Job, error) {
	row.Domain, row.Contact, row.Plan = clean(r.PostFormValue("domain")), clean(r.PostFormValue("contact")), clean(r.PostFormValue("plan"))
	if row.Domain == "" || row.Plan == "" {
		return nil, formError("the domain or the plan is missing: enter both")
	}
	var err error
	if row.Password, err = formPassword(r); err != nil {
		return nil, err
	}
	return s.Hosting.Accounts.Create(r.Context(), row, options(""))
}

// accountChange returns the function that makes the change of an account form, or nil for a termination.
func accountChange(r *http.Request, action string) (func(*hosting.WhmAccount), error) {
	switch action {
	case "terminate":
		if r.PostFormValue("sure") != "yes" {
			return nil, formError("the confirmation is missing: select the checkbox to delete the account and all its mailboxes")
		}
		return nil, nil //nolint:nilnil // the account is deleted and not changed
	case "update_package":
		plan := clean(r.PostFormValue("plan"))
		if plan == "" {
			return nil, formError("the plan is missing: enter the name of a plan")
		}
		return func(a *hosting.WhmAccount) { a.Plan = plan }, nil
	case "update_password":
		password, err := formPassword(r)
		return func(a *hosting.WhmAccount) { a.Password = password }, err
	case "suspend":
		reason := clean(r.PostFormValue("reason"))
		return func(a *hosting.WhmAccount) { a.Suspended, a.SuspendReason = true, reason }, nil
	case "unsuspend":
		return func(a *hosting.WhmAccount) { a.Suspended, a.SuspendReason = false, "" }, nil
	}
	return nil, errUnknownAction
}

// answerConflict answers the conflict of a job and opens the page of the new job.
func (s *Pages) answerConflict(w http.ResponseWriter, r *http.Request) {
	id, _ := strconv.ParseInt(r.PathValue("id"), 10, 64)
	var job *tracker.Job
	err := errUnknownAction
	o := nawasync.OperatorOptions{By: options("").By}
	switch r.PathValue("answer") {
	case "keep_theirs":
		job, err = mirror.KeepTheirs(r.Context(), s.Engine, id, o)
	case "accept":
		job, err = mirror.Accept(r.Context(), s.Engine, id, o)
	case "apply_mine":
		job, err = mirror.ApplyMine(r.Context(), s.Engine, id, o)
	case "overwrite":
		job, err = mirror.Overwrite(r.Context(), s.Engine, id, o)
	}
	switch {
	case err == nil:
		http.Redirect(w, r, string(jobURL(job.ID)), http.StatusSeeOther)
	case errors.Is(err, errUnknownAction), errors.Is(err, nawasync.ErrNotFound):
		http.NotFound(w, r)
	case errors.Is(err, mirror.ErrNoConflict), errors.Is(err, nawasync.ErrNoArguments), errors.Is(err, nawasync.ErrSuperseded):
		http.Error(w, sentence(err), http.StatusUnprocessableEntity)
	default:
		s.internalError(w, err)
	}
}

// shownRows is the number of rows that the page shows of a held sync.
const shownRows = 50

// held shows the held syncs that an operator has not decided yet.
func (s *Pages) held(w http.ResponseWriter, r *http.Request) {
	p, err := s.page(r, "Held syncs", "/held", "")
	var list []heldView
	if err == nil {
		var open []tracker.Hold
		open, err = s.Engine.Reader().Holds(r.Context(), "whm", "", true, 100)
		for _, h := range open {
			rows, rowsErr := s.Engine.Reader().HeldRows(r.Context(), h.ID, 0, shownRows+1)
			err = errors.Join(err, rowsErr)
			list = append(list, heldView{h, rows[:min(len(rows), shownRows)], len(rows) > shownRows})
		}
	}
	if err != nil {
		s.internalError(w, err)
		return
	}
	s.show(w, r, http.StatusOK, held(p, list))
}

// answerHold releases or rejects a held sync.
func (s *Pages) answerHold(w http.ResponseWriter, r *http.Request) {
	id, _ := strconv.ParseInt(r.PathValue("id"), 10, 64)
	target := "/held"
	err := errUnknownAction
	o := nawasync.OperatorOptions{By: options("").By}
	switch r.PathValue("answer") {
	case "release":
		var job *tracker.Job
		if job, err = mirror.ReleaseHold(r.Context(), s.Engine, id, o); err == nil {
			target = string(jobURL(job.ID))
		}
	case "reject":
		err = mirror.RejectHold(r.Context(), s.Engine, id, o)
	}
	switch {
	case err == nil:
		http.Redirect(w, r, target, http.StatusSeeOther)
	case errors.Is(err, errUnknownAction), errors.Is(err, nawasync.ErrNotFound):
		http.NotFound(w, r)
	case errors.Is(err, mirror.ErrDecided):
		http.Error(w, sentence(err), http.StatusConflict)
	default:
		s.internalError(w, err)
	}
}

// remoteEdit shows the form that changes a mailbox directly on a simulated server.
func (s *Pages) remoteEdit(w http.ResponseWriter, r *http.Request, v remoteEditView) {
	p, err := s.page(r, "Edit on server", "/elsewhere", "")
	if err != nil {
		s.internalError(w, err)
		return
	}
	s.show(w, r, http.StatusOK, remoteEdit(p, v))
}

// changeRemote changes or deletes a mailbox on a simulated server, without a job.
func (s *Pages) changeRemote(w http.ResponseWriter, r *http.Request) {
	server := s.Simulated[s.instance(r)]
	if server == nil {
		http.NotFound(w, r)
		return
	}
	email := strings.ToLower(clean(r.PostFormValue("email")))
	quota, err := strconv.ParseInt(r.PostFormValue("quota_mb"), 10, 64)
	suspended := r.PostFormValue("suspended") == "yes"
	v := remoteEditView{Email: email}
	switch {
	case err != nil || quota < 0:
		v.Problem = "The quota is not a valid number of megabytes: enter 0 for unlimited, or the number of MB."
	case r.PostFormValue("gone") == "yes":
		server.Remove(email)
		v.Done = fmt.Sprintf("The mailbox %s was deleted on the server.", email)
	default:
		if err := server.Edit(email, sim.State{QuotaMB: &quota, SuspendedLogin: &suspended, SuspendedIncoming: &suspended}); err != nil {
			v.Problem = sentence(err)
		} else {
			v.Done = fmt.Sprintf("The mailbox %s now has a quota of %d MB on the server.", email, quota)
		}
	}
	s.remoteEdit(w, r, v)
}
