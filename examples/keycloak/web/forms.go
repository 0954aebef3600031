package web

import (
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/examples/internal/site"
	"github.com/nawasara/nawasync/examples/keycloak/iam"
	"github.com/nawasara/nawasync/secret"
	"github.com/nawasara/nawasync/tracker"
)

// by is who dispatches all jobs, because the example has no login.
var by = nawasync.Options{By: site.User}

func (s *Pages) sync(w http.ResponseWriter, r *http.Request) {
	realm := s.realm(r)
	if r.PostFormValue("what") == "clients" {
		job, err := s.IAM.Clients.SyncNow(r.Context(), iam.Client{Realm: realm}, "", by)
		s.finish(w, r, "/clients", job, err, s.clients)
		return
	}
	job, err := s.IAM.Users.SyncNow(r.Context(), iam.User{Realm: realm}, "", by)
	s.finish(w, r, "/", job, err, s.users)
}

// finish answers a form of a list.
func (s *Pages) finish(
	w http.ResponseWriter, r *http.Request, path string, job *tracker.Job, err error, showList func(http.ResponseWriter, *http.Request, int, string),
) {
	s.FinishForm(w, r, err, func() { s.RedirectToList(w, r, path, s.realm(r), job.ID) }, showList)
}

func (s *Pages) changeUser(w http.ResponseWriter, r *http.Request) {
	job, err := s.userJob(r, r.PathValue("action"))
	s.finish(w, r, "/", job, err, s.users)
}

// userJob dispatches the job of a form of a user.
func (s *Pages) userJob(r *http.Request, action string) (*tracker.Job, error) {
	ctx, realm := r.Context(), s.realm(r)
	if action == "create" {
		return s.createUser(r, realm)
	}
	id, err := rowOf(r)
	if err != nil {
		return nil, err
	}
	seen, err := s.IAM.Users.ParseSeen(ctx, iam.User{Realm: realm, ID: id}, site.User, r.PostFormValue("seen"))
	if err != nil {
		return nil, err
	}
	toggle := by
	toggle.Action = "user_toggle"
	switch action {
	case "update":
		return s.IAM.Users.Update(ctx, seen, func(u *iam.User) { readUser(r, u) }, by)
	case "enable":
		return s.IAM.Users.Update(ctx, seen, func(u *iam.User) { u.Enabled = true }, toggle)
	case "disable":
		return s.IAM.Users.Update(ctx, seen, func(u *iam.User) { u.Enabled = false }, toggle)
	case "password":
		password, err := readPassword(r)
		if err != nil {
			return nil, err
		}
		return s.IAM.ResetPassword(ctx, seen, password, by)
	case "delete":
		if err := confirmed(r); err != nil {
			return nil, err
		}
		return s.IAM.Users.Delete(ctx, seen, by)
	}
	return nil, site.ErrUnknownAction
}

// createUser dispatches the jobs of one form: the creation and, if there is a password, the one that sets it.
func (s *Pages) createUser(r *http.Request, realm string) (*tracker.Job, error) {
	want := iam.User{Realm: realm, Username: site.Clean(r.PostFormValue("username")), Enabled: true}
	readUser(r, &want)
	if n := utf8.RuneCountInString(want.Username); n < 3 || n > 255 {
		return nil, site.FormError("the user name is not valid: enter 3 to 255 characters")
	}
	var password iam.ResetPassword
	if r.PostFormValue("password") != "" {
		var err error
		if password, err = readPassword(r); err != nil {
			return nil, err
		}
	}
	return s.IAM.CreateUser(r.Context(), want, password, by)
}

// readUser reads the fields that all forms of a user have.
func readUser(r *http.Request, u *iam.User) {
	u.Email, u.FirstName, u.LastName = site.Clean(r.PostFormValue("email")), site.Clean(r.PostFormValue("first_name")), site.Clean(r.PostFormValue("last_name"))
	u.EmailVerified = r.PostFormValue("email_verified") == "yes"
}

func readPassword(r *http.Request) (iam.ResetPassword, error) {
	text := r.PostFormValue("password")
	if len(text) < 8 || len(text) > 200 {
		return iam.ResetPassword{}, site.FormError("the password is not valid: enter 8 to 200 characters")
	}
	return iam.ResetPassword{Password: secret.New(text), Temporary: r.PostFormValue("temporary") == "yes"}, nil
}

func (s *Pages) changeClient(w http.ResponseWriter, r *http.Request) {
	job, err := s.clientJob(r, r.PathValue("action"))
	s.finish(w, r, "/clients", job, err, s.clients)
}

// clientJob dispatches the job of a form of a client.
func (s *Pages) clientJob(r *http.Request, action string) (*tracker.Job, error) {
	ctx, realm := r.Context(), s.realm(r)
	if action == "create" {
		want := iam.Client{Realm: realm, ClientID: site.Clean(r.PostFormValue("client_id")), Public: r.PostFormValue("public") == "yes"}
		readClient(r, &want)
		if want.ClientID == "" {
			return nil, site.FormError("the client id is missing: enter the name by which the application calls itself")
		}
		return s.IAM.Clients.Create(ctx, want, by)
	}
	id, err := rowOf(r)
	if err != nil {
		return nil, err
	}
	seen, err := s.IAM.Clients.ParseSeen(ctx, iam.Client{Realm: realm, ID: id}, site.User, r.PostFormValue("seen"))
	if err != nil {
		return nil, err
	}
	switch action {
	case "update":
		return s.IAM.Clients.Update(ctx, seen, func(c *iam.Client) { readClient(r, c) }, by)
	case "delete":
		if err := confirmed(r); err != nil {
			return nil, err
		}
		return s.IAM.Clients.Delete(ctx, seen, by)
	}
	return nil, site.ErrUnknownAction
}

// readClient reads the fields that all forms of a client have.
func readClient(r *http.Request, c *iam.Client) {
	c.Name, c.Enabled = site.Clean(r.PostFormValue("name")), r.PostFormValue("enabled") == "yes"
	c.RedirectURIs, c.WebOrigins = strings.Fields(site.Clean(r.PostFormValue("redirect_uris"))), strings.Fields(site.Clean(r.PostFormValue("web_origins")))
}

func rowOf(r *http.Request) (uint64, error) {
	id, err := strconv.ParseUint(r.PostFormValue("row"), 10, 64)
	if err != nil {
		return 0, nawasync.ErrNotFound
	}
	return id, nil
}

func confirmed(r *http.Request) error {
	if r.PostFormValue("sure") != "yes" {
		return site.FormError("the confirmation is missing: select the checkbox to delete")
	}
	return nil
}
