package sim

import (
	"crypto/rand"
	"io"
	"net/http"
	"strings"
	"time"
)

// token is an access token.
type token struct {
	realm   string
	expires time.Time
}

type password struct {
	text      string
	temporary bool
}

// issue answers a request for an access token: of the service account of a client, or of a user with a password.
func (s *Server) issue(r request) answer {
	r.Body = io.NopCloser(strings.NewReader(string(r.body)))
	client := r.realm.apps.named(r.PostFormValue("client_id"))
	switch grant := r.PostFormValue("grant_type"); {
	case grant == "":
		return described(http.StatusBadRequest, "invalid_request", "Missing form parameter: grant_type")
	case client == nil || !client.flag("enabled"):
		return described(http.StatusUnauthorized, "invalid_client", "Invalid client or Invalid client credentials")
	case grant == "password":
		return s.signIn(r)
	case client.flag("publicClient") || client.text("secret") != r.PostFormValue("client_secret"):
		return described(http.StatusUnauthorized, "unauthorized_client", "Invalid client or Invalid client credentials")
	}
	return s.newToken(r.realm)
}

// signIn checks a user's password.
func (s *Server) signIn(r request) answer {
	user := r.realm.users.named(strings.ToLower(r.PostFormValue("username")))
	switch {
	case user == nil || r.realm.passwords[user.text("id")].text != r.PostFormValue("password"):
		return described(http.StatusUnauthorized, "invalid_grant", "Invalid user credentials")
	case !user.flag("enabled"):
		return described(http.StatusBadRequest, "invalid_grant", "Account disabled")
	case len(user.list("requiredActions")) > 0:
		return described(http.StatusBadRequest, "invalid_grant", "Account is not fully set up")
	}
	return s.newToken(&realm{name: "account of " + r.realm.name}) // it may not use the Admin API
}

func (s *Server) newToken(of *realm) answer {
	text := rand.Text()
	s.tokens[text] = token{of.name, s.now().Add(s.lifespan)}
	return answer{status: http.StatusOK, body: map[string]any{
		"access_token": text, "expires_in": int(s.lifespan.Seconds()), "refresh_expires_in": 0, "token_type": "Bearer", "not-before-policy": 0,
		"scope": "profile email",
	}}
}
