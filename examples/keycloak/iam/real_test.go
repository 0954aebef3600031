package iam_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nawasara/nawasync/examples/keycloak/kcapi"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/remote"
	"github.com/nawasara/nawasync/secret"
)

// realServer is the real server, with two new realms that all tests of a run use, one after the other: to create a realm
// takes the server seconds.
var realServer = struct {
	sync.Mutex

	once  sync.Once
	found *server
}{}

func TestMain(m *testing.M) {
	code := m.Run()
	if s := realServer.found; s != nil {
		for _, realm := range s.realms {
			_, _ = s.try(http.MethodDelete, "/admin/realms/"+realm.Name, nil)
		}
	}
	os.Exit(code)
}

// newReal returns the real server. Its realms have no users, and only the clients that a new realm has.
func newReal(t *testing.T) *server {
	t.Helper()
	address, err := url.Parse(os.Getenv(variable))
	enginetest.NoError(t, err)
	if address.Host == "" {
		t.Skip("no real Keycloak: set " + variable + " to http://USER:PASSWORD@HOST:PORT, for example with the functions in .ci/services")
	}
	realServer.Lock()
	t.Cleanup(realServer.Unlock)
	realServer.once.Do(func() { realServer.found = createRealms(t, address) })
	if realServer.found == nil {
		t.Fatal("an earlier test could not create the realms")
	}
	s := *realServer.found
	api := s.api(t, remote.Config{}, 0)
	for _, realm := range s.realms {
		for page, err := range api.Users(t.Context(), realm.Name, "") {
			enginetest.NoError(t, err)
			for _, u := range page.Items {
				enginetest.NoError(t, api.DeleteUser(t.Context(), realm.Name, u.ID))
			}
		}
	}
	return &s
}

func createRealms(t *testing.T, address *url.URL) *server {
	t.Helper()
	s := &server{admin: address.User, client: &http.Client{Timeout: time.Minute}}
	s.url = (&url.URL{Scheme: address.Scheme, Host: address.Host, Path: address.Path}).String()
	for i := range s.realms {
		name := "test-" + strings.ToLower(rand.Text()[:12])
		s.realms[i] = kcapi.Realm{Name: name, ClientID: "nawasync", Secret: secret.New(serverSecret)}
		s.do(t, http.MethodPost, "/admin/realms", newRealm(name))
		var profile map[string]any
		enginetest.NoError(t, json.Unmarshal(s.do(t, http.MethodGet, "/admin/realms/"+name+"/users/profile", nil), &profile))
		profile["unmanagedAttributePolicy"] = "ENABLED"
		s.do(t, http.MethodPut, "/admin/realms/"+name+"/users/profile", profile)
	}
	return s
}

// newRealm returns a realm that saves admin events, with a client whose service account may change users and clients.
func newRealm(name string) map[string]any {
	return map[string]any{
		"realm": name, "enabled": true, "adminEventsEnabled": true, "sslRequired": "external",
		"clients": []map[string]any{
			{"clientId": "nawasync", "secret": serverSecret, "serviceAccountsEnabled": true, "standardFlowEnabled": false, "fullScopeAllowed": true},
		},
		"users": []map[string]any{{
			"username": "service-account-nawasync", "enabled": true, "serviceAccountClientId": "nawasync",
			"clientRoles": map[string][]string{"realm-management": allRoles},
		}},
	}
}

// do makes a call of the administrator, which must succeed.
func (s *server) do(t *testing.T, method, path string, body any) []byte {
	t.Helper()
	answer, err := s.try(method, path, body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return answer
}

func (s *server) try(method, path string, body any) ([]byte, error) {
	password, _ := s.admin.Password()
	var token struct {
		Text string `json:"access_token"`
	}
	answer, err := s.send(http.MethodPost, "/realms/master/protocol/openid-connect/token", "application/x-www-form-urlencoded", "", []byte(url.Values{
		"client_id": {"admin-cli"}, "grant_type": {"password"}, "username": {s.admin.Username()}, "password": {password},
	}.Encode()))
	if err == nil {
		err = json.Unmarshal(answer, &token)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: the administrator got no token: %w", variable, err)
	}
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	return s.send(method, path, "application/json", "Bearer "+token.Text, text)
}

func (s *server) send(method, path, kind, authorization string, body []byte) ([]byte, error) {
	r, err := http.NewRequest(method, s.url+path, bytes.NewReader(body)) //nolint:noctx // also called when the tests have ended
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", kind)
	r.Header.Set("Authorization", authorization)
	answer, err := s.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	got, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode >= 300 {
		err = fmt.Errorf("%s %s", answer.Status, got)
	}
	return got, err
}

// revoke ends one access token.
func (s *server) revoke(t *testing.T, realm kcapi.Realm, token string) {
	t.Helper()
	_, err := s.send(http.MethodPost, "/realms/"+realm.Name+"/protocol/openid-connect/revoke", "application/x-www-form-urlencoded", "", []byte(url.Values{
		"client_id": {realm.ClientID}, "client_secret": {realm.Secret.Reveal()}, "token": {token}, "token_type_hint": {"access_token"},
	}.Encode()))
	enginetest.NoError(t, err)
}

// logOut ends what the service account of the first realm has begun.
func (s *server) logOut(t *testing.T) {
	t.Helper()
	path := "/admin/realms/" + s.realms[0].Name
	var account []struct {
		ID string `json:"id"`
	}
	var user struct {
		ID string `json:"id"`
	}
	enginetest.NoError(t, json.Unmarshal(s.do(t, http.MethodGet, path+"/clients?clientId=nawasync", nil), &account))
	enginetest.NoError(t, json.Unmarshal(s.do(t, http.MethodGet, path+"/clients/"+account[0].ID+"/service-account-user", nil), &user))
	s.do(t, http.MethodPost, path+"/users/"+user.ID+"/logout", nil)
}

// allRoles are the roles of the service accounts.
var allRoles = []string{"manage-users", "query-users", "manage-clients", "view-events", "view-realm"}

// roles gives the service account of the first realm exactly these roles of the realm's management.
func (s *server) roles(t *testing.T, names ...string) {
	t.Helper()
	realm := s.realms[0].Name
	if s.simulated != nil {
		enginetest.NoError(t, s.simulated.Hide(realm, !slices.Contains(names, "manage-users")))
		return
	}
	get := func(path string, into any) {
		enginetest.NoError(t, json.Unmarshal(s.do(t, http.MethodGet, "/admin/realms/"+realm+path, nil), into))
	}
	type named struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	}
	var account, management []named
	var user named
	get("/clients?clientId=nawasync", &account)
	get("/clients?clientId=realm-management", &management)
	get("/clients/"+account[0].ID+"/service-account-user", &user)
	var all, keep []named
	get("/clients/"+management[0].ID+"/roles", &all)
	for _, role := range all {
		if slices.Contains(names, role.Name) {
			keep = append(keep, role)
		}
	}
	path := "/admin/realms/" + realm + "/users/" + user.ID + "/role-mappings/clients/" + management[0].ID
	s.do(t, http.MethodDelete, path, all)
	s.do(t, http.MethodPost, path, keep)
}

// clearEvents deletes all admin events of the first realm.
func (s *server) clearEvents(t *testing.T) {
	t.Helper()
	realm := s.realms[0].Name
	if s.simulated != nil {
		enginetest.NoError(t, s.simulated.DropEvents(realm, 1000))
		return
	}
	s.do(t, http.MethodDelete, "/admin/realms/"+realm+"/admin-events", nil)
}
