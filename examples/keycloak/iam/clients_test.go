package iam_test

import (
	"slices"
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/examples/keycloak/iam"
	"github.com/nawasara/nawasync/remote"
	"github.com/nawasara/nawasync/tracker"
)

// clientRow returns the row of a client.
func (w *world) clientRow(id string) iam.Client {
	w.t.Helper()
	page, err := w.Clients.List(w.t.Context(), nawasync.Query{Where: map[string]any{"realm": w.realm, "client_id": id}})
	w.noError(err)
	if len(page.Items) != 1 {
		w.t.Fatalf("there are %d rows for the client %s, want one", len(page.Items), id)
	}
	return page.Items[0]
}

// app returns a client as the server has it, with its secret.
func (w *world) app(uuid string) (d struct {
	Secret       string   `json:"secret"`
	Name         string   `json:"name"`
	RedirectURIs []string `json:"redirectUris"`
	ConsentText  string   `json:"baseUrl"`
	Attributes   map[string]string
},
) {
	w.t.Helper()
	_, err := w.other.Remote().Call(w.t.Context(), w.realm, remote.Call{URL: w.url + "/admin/realms/" + w.realm + "/clients/" + uuid}, &d)
	w.noError(err)
	return d
}

func (w *world) syncClients() *tracker.Job {
	w.t.Helper()
	return w.run(w.Clients.SyncNow(w.t.Context(), iam.Client{Realm: w.realm}, "", byAnn))
}

func TestSecretOfAClientStaysWithTheServer(t *testing.T) {
	inWorld(t, func(w *world) {
		want := iam.Client{Realm: w.realm, ClientID: "shop-app", Name: "Shop", Enabled: true, RedirectURIs: []string{"https://b.example/*", "https://a.example/*"}}
		w.want(w.run(w.Clients.Create(w.t.Context(), want, byAnn)), tracker.StatusSuccess, "created")
		row := w.clientRow("shop-app")
		w.t.Cleanup(func() { _ = w.other.DeleteApp(w.ended(), w.realm, row.UUID) })
		first := w.app(row.UUID).Secret
		if len(first) < 20 {
			w.t.Fatalf("the server gave the client a secret of %d characters", len(first))
		}
		// Another client sets what no row has, replaces the secret, and adds a redirect URI.
		const second = "SECRET-of-another-client-77"
		w.noError(w.other.UpdateApp(w.t.Context(), w.realm, row.UUID, map[string]any{"baseUrl": "https://a.example/home", "secret": second}))
		w.want(w.run(w.Clients.Update(w.t.Context(), row, func(c *iam.Client) { c.Name = "Shop 2" }, byAnn)), tracker.StatusSuccess, "written")
		w.want(w.syncClients(), tracker.StatusSuccess, "unchanged")
		after := w.app(row.UUID)
		if after.Secret != second || after.Name != "Shop 2" || after.ConsentText != "https://a.example/home" || len(after.RedirectURIs) != 2 {
			w.t.Errorf("the client at the server has the name %q, the address %q, %d redirect URIs, and its own secret: %t",
				after.Name, after.ConsentText, len(after.RedirectURIs), after.Secret == second)
		}
		w.nowhere(first, second, serverSecret)
		w.want(w.run(w.Clients.Delete(w.t.Context(), w.clientRow("shop-app"), byAnn)), tracker.StatusSuccess, "")
	})
}

func TestClientsOfKeycloakItselfAreNotMirrored(t *testing.T) {
	inWorld(t, func(w *world) {
		w.syncClients()
		var names []string
		for row, err := range w.Clients.All(w.t.Context(), nawasync.Query{}) {
			w.noError(err)
			names = append(names, row.ClientID)
		}
		if slices.Contains(names, "realm-management") || !slices.Contains(names, "nawasync") {
			w.t.Errorf("the clients are %v", names)
		}
		builtIn, err := w.other.FindApp(w.t.Context(), w.realm, "account")
		w.noError(err)
		w.want(w.run(w.Clients.RefreshKey(w.t.Context(), iam.Client{Realm: w.realm, UUID: builtIn.ID}, byAnn)), tracker.StatusSuccess, "")
		if after, err := w.Clients.List(w.t.Context(), nawasync.Query{}); err != nil || len(after.Items) != len(names) {
			w.t.Errorf("after an event of a built-in client there are %d rows, %v; want %d", len(after.Items), err, len(names))
		}
	})
}
