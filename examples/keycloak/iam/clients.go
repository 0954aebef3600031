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
type clients struct{ realms[Client] }

func newClients(api *kcapi.Client) (*clients, error) {
	wire, err := mirror.NewWire[Client]()
	return &clients{realms[Client]{
		api, wire, kcapi.KindApp, func(scope Client) string { return scope.Realm }, func(id string) Client { return Client{UUID: id} },
	}}, err
}

func clientOf(realm string, a kcapi.App) Client {
	return Client{
		Realm: realm, UUID: a.ID, ClientID: a.ClientID, Name: a.Name, Description: a.Description, RootURL: a.RootURL, Enabled: a.Enabled, Public: a.Public,
		ServiceAccount: a.ServiceAccount, RedirectURIs: a.RedirectURIs, WebOrigins: a.WebOrigins, Protocol: a.Protocol,
	}
}

// List lists the clients but for those of Keycloak itself: a change of one of them can lock everybody out.
func (r *clients) List(ctx context.Context, scope Client, _ string) iter.Seq2[mirror.Page[Client], error] {
	pages := func(yield func(remote.Page[kcapi.App], error) bool) {
		for page, err := range r.api.Apps(ctx, scope.Realm, "") {
			page.Items = slices.DeleteFunc(slices.Clone(page.Items), kcapi.App.BuiltIn)
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
	if err == nil && a.BuiltIn() {
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
	kcapi.MergeSet(fields, "redirectUris", current.Value.RedirectURIs, want.RedirectURIs)
	kcapi.MergeSet(fields, "webOrigins", current.Value.WebOrigins, want.WebOrigins)
	return o, r.api.UpdateApp(ctx, want.Realm, current.Value.UUID, fields)
}

func (r *clients) Delete(ctx context.Context, key Client) error {
	return r.api.DeleteApp(ctx, key.Realm, key.UUID)
}
