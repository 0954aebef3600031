package web

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/examples/internal/site"
	"github.com/nawasara/nawasync/examples/whm/hosting"
	"github.com/nawasara/nawasync/examples/whm/whmsim/sim"
	"github.com/nawasara/nawasync/tracker"
)

// options returns the options of a dispatch. Every job is dispatched by the same user, because the
// example has no login.
func options(action string) nawasync.Options {
	return nawasync.Options{By: site.User, Action: action}
}

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

// finishForm answers a form of a list.
func (s *Pages) finishForm(w http.ResponseWriter, r *http.Request, path string, job *tracker.Job, err error) {
	showList := s.mailboxes
	if path == "/accounts" {
		showList = s.accounts
	}
	s.FinishForm(w, r, err, func() { s.RedirectToList(w, r, path, s.instance(r), job.ID) }, showList)
}

// formPassword returns the password of a form.
func formPassword(r *http.Request) (nawasync.Secret, error) {
	password := nawasync.NewSecret(r.PostFormValue("password"))
	if len(password.Reveal()) < 8 {
		return password, site.FormError("the password has fewer than 8 characters: enter 8 characters or more")
	}
	return password, nil
}

// formQuota returns the quota of a form in bytes. 0 is unlimited.
func formQuota(r *http.Request) (*int64, error) {
	quota, err := strconv.ParseInt(site.Clean(r.PostFormValue("quota_mb")), 10, 64)
	if err != nil || quota < 0 || quota > 1<<40 {
		return nil, site.FormError("the quota is not a valid number of megabytes: enter 0 for unlimited, or the number of MB")
	}
	return new(quota * mebibyte), nil
}

// formEmail returns the address of a form.
func formEmail(r *http.Request) (string, error) {
	email := strings.ToLower(site.Clean(r.PostFormValue("email")))
	if name, domain, ok := strings.Cut(email, "@"); !ok || name == "" || domain == "" || strings.ContainsAny(email, " \t\n/") {
		return "", site.FormError(fmt.Sprintf("%q is not an email address: enter name@domain", email))
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
	seen, err := s.Hosting.Emails.ParseSeen(r.Context(), row, site.User, r.PostFormValue("seen"))
	switch {
	case err != nil:
		return nil, err
	case change == nil:
		return s.Hosting.Emails.Delete(r.Context(), seen, options(""))
	}
	return s.Hosting.Emails.Update(r.Context(), seen, change, options(action))
}

func (s *Pages) createMailbox(r *http.Request, row hosting.WhmEmailAccount) (*tracker.Job, error) {
	if row.Account = site.Clean(r.PostFormValue("account")); row.Account == "" {
		return nil, site.FormError("the account is missing: name the cPanel account that will own the mailbox")
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
			return nil, site.FormError("the confirmation is missing: select the checkbox to delete the mailbox and all its mail")
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
	return nil, site.ErrUnknownAction
}

func (s *Pages) changeAccount(w http.ResponseWriter, r *http.Request) {
	job, err := s.accountJob(r)
	s.finishForm(w, r, "/accounts", job, err)
}

// accountJob dispatches the job of an account form.
func (s *Pages) accountJob(r *http.Request) (*tracker.Job, error) {
	action := r.PathValue("action")
	row := hosting.WhmAccount{Instance: s.instance(r), Username: site.Clean(r.PostFormValue("username"))}
	if action == "create" {
		return s.createAccount(r, row)
	}
	change, err := accountChange(r, action)
	if err != nil {
		return nil, err
	}
	seen, err := s.Hosting.Accounts.ParseSeen(r.Context(), row, site.User, r.PostFormValue("seen"))
	switch {
	case err != nil:
		return nil, err
	case change == nil:
		return s.Hosting.Accounts.Delete(r.Context(), seen, options(""))
	}
	return s.Hosting.Accounts.Update(r.Context(), seen, change, options(action))
}

func (s *Pages) createAccount(r *http.Request, row hosting.WhmAccount) (*tracker.Job, error) {
	row.Domain, row.Contact, row.Plan = site.Clean(r.PostFormValue("domain")), site.Clean(r.PostFormValue("contact")), site.Clean(r.PostFormValue("plan"))
	if row.Domain == "" || row.Plan == "" {
		return nil, site.FormError("the domain or the plan is missing: enter both")
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
			return nil, site.FormError("the confirmation is missing: select the checkbox to delete the account and all its mailboxes")
		}
		return nil, nil //nolint:nilnil // the account is deleted and not changed
	case "update_package":
		plan := site.Clean(r.PostFormValue("plan"))
		if plan == "" {
			return nil, site.FormError("the plan is missing: enter the name of a plan")
		}
		return func(a *hosting.WhmAccount) { a.Plan = plan }, nil
	case "update_password":
		password, err := formPassword(r)
		return func(a *hosting.WhmAccount) { a.Password = password }, err
	case "suspend":
		reason := site.Clean(r.PostFormValue("reason"))
		return func(a *hosting.WhmAccount) { a.Suspended, a.SuspendReason = true, reason }, nil
	case "unsuspend":
		return func(a *hosting.WhmAccount) { a.Suspended, a.SuspendReason = false, "" }, nil
	}
	return nil, site.ErrUnknownAction
}

// remoteEdit shows the form that changes a mailbox directly on a simulated server.
func (s *Pages) remoteEdit(w http.ResponseWriter, r *http.Request, v remoteEditView) {
	p, err := s.Page(r, "Edit on server", "/elsewhere", s.instance(r), "")
	if err != nil {
		s.InternalError(w, err)
		return
	}
	v.Instance, v.Simulated = p.Instance, s.Simulated[p.Instance] != nil
	s.Show(w, r, http.StatusOK, remoteEdit(p, v))
}

// changeRemote changes or deletes a mailbox on a simulated server, without a job.
func (s *Pages) changeRemote(w http.ResponseWriter, r *http.Request) {
	server := s.Simulated[s.instance(r)]
	if server == nil {
		http.NotFound(w, r)
		return
	}
	email := strings.ToLower(site.Clean(r.PostFormValue("email")))
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
			v.Problem = site.Sentence(err)
		} else {
			v.Done = fmt.Sprintf("The mailbox %s now has a quota of %d MB on the server.", email, quota)
		}
	}
	s.remoteEdit(w, r, v)
}
