package sim

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// appFields are the fields that the server takes in a client.
var appFields = known("id clientId name description type rootUrl adminUrl baseUrl surrogateAuthRequired enabled alwaysDisplayInConsole" +
	" clientAuthenticatorType secret registrationAccessToken defaultRoles redirectUris webOrigins notBefore bearerOnly consentRequired" +
	" standardFlowEnabled implicitFlowEnabled directAccessGrantsEnabled serviceAccountsEnabled authorizationServicesEnabled" +
	" directGrantsOnly publicClient frontchannelLogout protocol attributes authenticationFlowBindingOverrides fullScopeAllowed" +
	" nodeReRegistrationTimeout registeredNodes protocolMappers clientTemplate useTemplateConfig useTemplateScope useTemplateMappers" +
	" defaultClientScopes optionalClientScopes authorizationSettings access origin")

// listApps lists the clients, or the one with a client id.
func (s *Server) listApps(r request) answer {
	list := r.realm.apps.list
	if id := r.URL.Query().Get("clientId"); id != "" {
		list = nil
		if found := r.realm.apps.named(id); found != nil {
			list = []document{found}
		}
	}
	return page(r, list)
}

// app returns the client of a call, or why there is none.
func (s *Server) app(r request) (document, *answer) {
	found := r.realm.apps.ids[r.PathValue("id")]
	if found == nil {
		a := failed(http.StatusNotFound, "Could not find client")
		return nil, &a
	}
	return found, nil
}

func (s *Server) getApp(r request) answer {
	a, problem := s.app(r)
	if problem != nil {
		return *problem
	}
	return answer{status: http.StatusOK, body: a}
}

func (s *Server) createApp(r request) answer {
	change, problem := decode(r, "ClientRepresentation", appFields)
	if problem != nil {
		return *problem
	}
	a, problem := s.newApp(r.realm, change)
	if problem != nil {
		return *problem
	}
	s.record(r.realm, "CLIENT", "CREATE", "clients/"+a.text("id"))
	return answer{status: http.StatusCreated, location: "http://" + r.Host + r.URL.Path + "/" + a.text("id")}
}

// newApp stores a client. One without a client id gets its identifier as such.
func (s *Server) newApp(of *realm, change document) (document, *answer) {
	a := document{}
	for name, value := range map[string]any{
		"surrogateAuthRequired": false, "enabled": true, "alwaysDisplayInConsole": false, "clientAuthenticatorType": "client-secret",
		"redirectUris": []string{}, "webOrigins": []string{}, "notBefore": 0, "bearerOnly": false, "consentRequired": false, "standardFlowEnabled": true,
		"implicitFlowEnabled": false, "directAccessGrantsEnabled": false, "serviceAccountsEnabled": false, "publicClient": false,
		"frontchannelLogout": false, "protocol": "openid-connect", "fullScopeAllowed": true, "nodeReRegistrationTimeout": -1,
		"attributes":          map[string]string{"client.secret.creation.time": strconv.FormatInt(s.now().Unix(), 10)},
		"defaultClientScopes": []string{"web-origins", "acr", "profile", "roles", "basic", "email"},
		"access":              map[string]bool{"view": true, "configure": true, "manage": true},
	} {
		a.set(name, value)
	}
	id := s.newID("client " + of.name)
	a.set("clientId", id)
	a.merge(change)
	a.set("id", id)
	if problem := checkApp(of, a, id); problem != nil {
		return nil, problem
	}
	if of.apps.named(a.text("clientId")) != nil {
		problem := exists("Client %s already exists", a.text("clientId"))
		return nil, &problem
	}
	a.spell()
	of.apps.add(a)
	return a, nil
}

// spell stores a client as the server does: a confidential one has a secret.
func (d document) spell() {
	d.sort("redirectUris")
	d.sort("webOrigins")
	switch {
	case d.flag("publicClient") || d.flag("bearerOnly"):
		delete(d, "secret")
	case d.text("secret") == "":
		d.set("secret", rand.Text()+rand.Text())
	}
}

// checkApp returns why a client cannot be stored.
func checkApp(of *realm, a document, id string) *answer {
	invalid := func(text string) *answer {
		a := described(http.StatusBadRequest, "invalid_input", text)
		return &a
	}
	if root := a.text("rootUrl"); root != "" {
		if u, err := url.Parse(root); err != nil || u.Scheme == "" {
			return invalid("Root URL is not a valid URL")
		}
	}
	for _, uri := range a.list("redirectUris") {
		u, err := url.Parse(strings.TrimSuffix(uri, "*"))
		switch {
		case err != nil || strings.Contains(uri, " "):
			return invalid("A redirect URI is not a valid URI")
		case u.Scheme == "javascript" || u.Scheme == "data":
			return invalid("A redirect URI uses an illegal scheme")
		}
	}
	if other := of.apps.named(a.text("clientId")); other != nil && other.text("id") != id && of.apps.ids[id] != nil {
		a := described(http.StatusConflict, "conflict", "Duplicate resource error")
		return &a
	}
	return nil
}

func (s *Server) updateApp(r request) answer {
	a, problem := s.app(r)
	if problem != nil {
		return *problem
	}
	change, problem := decode(r, "ClientRepresentation", appFields)
	if problem != nil {
		return *problem
	}
	if problem := s.changeApp(r.realm, a, change); problem != nil {
		return *problem
	}
	s.record(r.realm, "CLIENT", "UPDATE", "clients/"+a.text("id"))
	return answer{status: http.StatusNoContent}
}

// changeApp changes a client. What is left out stays, also the secret.
func (s *Server) changeApp(of *realm, a, change document) *answer {
	changed := document{}
	changed.merge(a)
	delete(change, "id")
	delete(change, "access")
	changed.merge(change)
	if problem := checkApp(of, changed, a.text("id")); problem != nil {
		return problem
	}
	changed.spell()
	of.apps.remove(a.text("id"))
	of.apps.add(changed)
	return nil
}

// builtIn are the clients of each realm, which nobody can delete.
var builtIn = []string{"account", "account-console", "admin-cli", "broker", "realm-management", "security-admin-console"}

func (s *Server) deleteApp(r request) answer {
	a, problem := s.app(r)
	if problem != nil {
		return *problem
	}
	for _, name := range builtIn {
		if a.text("clientId") == name {
			return refused
		}
	}
	s.dropApp(r.realm, a.text("id"))
	return answer{status: http.StatusNoContent}
}

func (s *Server) dropApp(of *realm, id string) {
	of.apps.remove(id)
	s.record(of, "CLIENT", "DELETE", "clients/"+id)
}
