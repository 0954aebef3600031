package sim

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
)

// userFields are the fields that the server takes in a user.
var userFields = known("id username firstName lastName email emailVerified attributes userProfileMetadata enabled self origin createdTimestamp totp" +
	" federationLink serviceAccountClientId credentials disableableCredentialTypes requiredActions federatedIdentities realmRoles clientRoles" +
	" clientConsents notBefore applicationRoles socialLinks groups access")

// requiredActions are those that the server has. It drops others without a word.
var requiredActions = known("CONFIGURE_TOTP CONFIGURE_RECOVERY_AUTHN_CODES TERMS_AND_CONDITIONS UPDATE_PASSWORD UPDATE_PROFILE UPDATE_EMAIL VERIFY_EMAIL" +
	" VERIFY_PROFILE delete_account delete_credential idp_link update_user_locale webauthn-register webauthn-register-passwordless")

// user returns the user of a call, or why there is none.
func (s *Server) user(r request) (document, *answer) {
	found := r.realm.users.ids[r.PathValue("id")]
	switch {
	case found == nil:
		a := failed(http.StatusNotFound, "User not found")
		return nil, &a
	case r.realm.hidden[found.text("id")]:
		return nil, &refused
	}
	return found, nil
}

func (s *Server) getUser(r request) answer {
	u, problem := s.user(r)
	if problem != nil {
		return *problem
	}
	return answer{status: http.StatusOK, body: u}
}

func (s *Server) createUser(r request) answer {
	change, problem := decode(r, "UserRepresentation", userFields)
	if problem != nil {
		return *problem
	}
	u, problem := s.newUser(r.realm, change)
	if problem != nil {
		return *problem
	}
	s.record(r.realm, "USER", "CREATE", "users/"+u.text("id"))
	return answer{status: http.StatusCreated, location: "http://" + r.Host + r.URL.Path + "/" + u.text("id")}
}

// newUser stores a user.
func (s *Server) newUser(of *realm, change document) (document, *answer) {
	change.lower()
	u := document{}
	for name, value := range map[string]any{
		"emailVerified": false, "enabled": false, "createdTimestamp": s.now().UnixMilli(), "totp": false, "disableableCredentialTypes": []string{},
		"requiredActions": []string{}, "notBefore": 0,
		"access": map[string]bool{"manageGroupMembership": true, "resetPassword": true, "view": true, "mapRoles": true, "impersonate": false, "manage": true},
	} {
		u.set(name, value)
	}
	u.merge(change)
	if u.text("username") == "" {
		return nil, &answer{status: http.StatusBadRequest, body: map[string]string{"errorMessage": "User name is missing"}}
	}
	if problem := checkUser(of, u, ""); problem != nil {
		return nil, problem
	}
	u.set("id", s.newID("user "+of.name))
	u.keep("requiredActions", requiredActions)
	of.users.add(u)
	return u, nil
}

// lower spells the names that the server stores in lower case.
func (d document) lower() {
	for _, name := range []string{"username", "email"} {
		if text := d.text(name); text != "" {
			d.set(name, strings.ToLower(text))
		}
	}
}

var (
	nameForm  = regexp.MustCompile(`^[^<>&"$%!#?§;*~/\\|^=\[\]{}()\s]+$`)
	emailForm = regexp.MustCompile(`^[^@\s]+@[^@\s]+\.[^@\s.]+$`)
)

// checkUser returns why a user cannot be stored.
func checkUser(of *realm, u document, id string) *answer {
	var problems []map[string]any
	if name := u.text("username"); len(name) < 3 || len(name) > 255 {
		problems = append(problems, map[string]any{"field": "username", "errorMessage": "error-invalid-length", "params": []any{"username", 3, 255}})
	} else if !nameForm.MatchString(name) {
		problems = append(problems, map[string]any{"field": "username", "errorMessage": "error-username-invalid-character", "params": []any{"username"}})
	}
	if email := u.text("email"); email != "" && !emailForm.MatchString(email) {
		problems = append(problems, map[string]any{"field": "email", "errorMessage": "error-invalid-email", "params": []any{"email", email}})
	}
	switch len(problems) {
	case 0:
	case 1:
		return &answer{status: http.StatusBadRequest, body: problems[0]}
	default:
		return &answer{status: http.StatusBadRequest, body: map[string]any{"errors": problems}}
	}
	if other := of.users.named(u.text("username")); other != nil && other.text("id") != id {
		a := exists("User exists with same username")
		return &a
	}
	if other := of.users.emails[u.text("email")]; u.text("email") != "" && other != "" && other != id {
		a := exists("User exists with same email")
		return &a
	}
	return nil
}

func (s *Server) updateUser(r request) answer {
	u, problem := s.user(r)
	if problem != nil {
		return *problem
	}
	change, problem := decode(r, "UserRepresentation", userFields)
	if problem != nil {
		return *problem
	}
	if problem := s.changeUser(r.realm, u, change); problem != nil {
		return *problem
	}
	s.record(r.realm, "USER", "UPDATE", "users/"+u.text("id"))
	return answer{status: http.StatusNoContent}
}

// changeUser changes a user. Attributes without the names and the email address clear those.
func (s *Server) changeUser(of *realm, u, change document) *answer {
	change.lower()
	if name := change.text("username"); name != "" && name != u.text("username") {
		return &answer{status: http.StatusBadRequest, body: map[string]any{
			"field": "username", "errorMessage": "error-user-attribute-read-only", "params": []string{"username"},
		}}
	}
	if _, given := change["attributes"]; given {
		for _, name := range []string{"email", "firstName", "lastName"} {
			if _, given := change[name]; !given {
				change[name] = json.RawMessage(`""`)
			}
		}
	}
	changed := document{}
	changed.merge(u)
	for _, name := range []string{"id", "access", "createdTimestamp"} {
		delete(change, name)
	}
	changed.merge(change)
	if problem := checkUser(of, changed, u.text("id")); problem != nil {
		return problem
	}
	changed.keep("requiredActions", requiredActions)
	of.users.remove(u.text("id"))
	of.users.add(changed)
	return nil
}

func (s *Server) deleteUser(r request) answer {
	u, problem := s.user(r)
	if problem != nil {
		return *problem
	}
	s.dropUser(r.realm, u.text("id"))
	return answer{status: http.StatusNoContent}
}

func (s *Server) dropUser(of *realm, id string) {
	of.users.remove(id)
	delete(of.passwords, id)
	s.record(of, "USER", "DELETE", "users/"+id)
}

// resetPassword sets a password. A temporary one adds a required action.
func (s *Server) resetPassword(r request) answer {
	u, problem := s.user(r)
	if problem != nil {
		return *problem
	}
	var credential struct {
		Type      string `json:"type"`
		Value     string `json:"value"`
		Temporary bool   `json:"temporary"`
	}
	if json.Unmarshal(r.body, &credential) != nil {
		return described(http.StatusBadRequest, "invalid_request", "Cannot parse the JSON")
	}
	if credential.Value == "" {
		return failed(http.StatusBadRequest, "No password provided")
	}
	r.realm.passwords[u.text("id")] = password{credential.Value, credential.Temporary}
	if credential.Temporary {
		u.set("requiredActions", append(u.list("requiredActions"), "UPDATE_PASSWORD"))
		u.sort("requiredActions")
	}
	s.record(r.realm, "USER", "ACTION", "users/"+u.text("id")+"/reset-password")
	return answer{status: http.StatusNoContent}
}
