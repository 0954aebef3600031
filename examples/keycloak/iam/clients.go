package iam

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/nawasara/nawasync/examples/keycloak/kcapi"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/remote"
)

// clients is the adapter of the clients.
type clients struct {
	*realms

	wire *mirror.Wire[Client]
}

// builtIn are the clients of Keycloak itself. They are not mirrored: a change of one can lock everybody out.
var builtIn = []string{"account", "account-console", "admin-cli", "broker", "realm-management", "security-admin-console"}

// isBuiltIn reports whether a client is one of them.
func isBuiltIn(a kcapi.App) bool { return slices.Contains(builtIn, a.ClientID) }

func clientOf(realm string, a kcapi.App) Client {
	return Client{
		Realm: realm, UUID: a.ID, ClientID: a.ClientID, Name: a.Name, Description: a.Description, RootURL: a.RootURL, Enabled: a.Enabled, Public: a.Public,
		ServiceAccount: a.ServiceAccount, RedirectURIs: a.RedirectURIs, WebOrigins: a.WebOrigins, Protocol: a.Protocol,
	}
}

func (r *clients) List(ctx context.Context, scope Client, _ string) iter.Seq2[mirror.Page[Client], error] {
	pages := func(yield func(remote.Page[kcapi.App], error) bool) {
		for page, err := range r.api.Apps(ctx, scope.Realm, "") {
			page.Items = slices.DeleteFunc(slices.Clone(page.Items), isBuiltIn)
			if !yield(page, err) {
				return
			}
		}
	}
	return mirror.Pages(pages, mirror.ProofExhausted, false, func(a kcapi.App) Client { return clientOf(scope.Realm, a) })
}

func (r *clients) Get(ctx context.Context, key Client) (o mirror.Object[Client], err error) {
	var a kcapi.App
	if key.UUID == "" {
		a, err = r.api.FindApp(ctx, key.Realm, key.ClientID)
	} else {
		a, err = r.api.App(ctx, key.Realm, key.UUID)
	}
	if err == nil && isBuiltIn(a) {
		return o, fault.WithClass(fault.ClassGone, fmt.Errorf("the client %s is one of Keycloak's own, which are not mirrored", a.ClientID))
	}
	o.Value = clientOf(key.Realm, a)
	return o, err
}

// Create returns what was asked for, with the identifier: the answer has nothing else.
func (r *clients) Create(ctx context.Context, want Client) (o mirror.Object[Client], err error) {
	fields, err := r.wire.All(want)
	if err != nil {
		return o, err
	}
	o.Value = want
	o.Value.UUID, err = r.api.CreateApp(ctx, want.Realm, fields)
	return o, err
}

func (r *clients) Update(ctx context.Context, current mirror.Object[Client], want Client, touched mirror.FieldDiff) (o mirror.Object[Client], err error) {
	fields, err := r.wire.Changed(want, touched)
	if err != nil {
		return o, err
	}
	mergeSet(fields, "redirectUris", current.Value.RedirectURIs, want.RedirectURIs)
	mergeSet(fields, "webOrigins", current.Value.WebOrigins, want.WebOrigins)
	return o, r.api.UpdateApp(ctx, want.Realm, current.Value.UUID, fields)
}

func (r *clients) Delete(ctx context.Context, key Client) error {
	return r.api.DeleteApp(ctx, key.Realm, key.UUID)
}

// Changes implements mirror.ChangesRemote.
func (r *clients) Changes(ctx context.Context, scope Client, cursor string) iter.Seq2[mirror.Change[Client], error] {
	return changes(ctx, r.api, scope.Realm, kcapi.KindApp, cursor, func(id string) Client { return Client{UUID: id} })
}

// ScopeExists implements mirror.ScopeRemote.
func (r *clients) ScopeExists(ctx context.Context, scope Client) (bool, error) {
	return r.api.RealmExists(ctx, scope.Realm)
}

// CheckCredentials implements mirror.CredentialRemote.
func (r *clients) CheckCredentials(ctx context.Context, scope Client) error {
	return r.check(ctx, scope.Realm)
}
