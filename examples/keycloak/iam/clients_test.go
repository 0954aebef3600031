package iam_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/examples/keycloak/iam"
	"github.com/nawasara/nawasync/examples/keycloak/kcapi"
	"github.com/nawasara/nawasync/mirror"
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
	Secret       string            `json:"secret"`
	Name         string            `json:"name"`
	Description  string            `json:"description"`
	RedirectURIs []string          `json:"redirectUris"`
	WebOrigins   []string          `json:"webOrigins"`
	BaseURL      string            `json:"baseUrl"`
	Attributes   map[string]string `json:"attributes"`
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
		creation := w.run(w.Clients.Create(w.t.Context(), want, byAnn))
		w.want(creation, tracker.StatusSuccess, "created")
		row := w.clientRow("shop-app")
		if !strings.Contains(creation.TargetID, "shop-app") {
			w.t.Errorf("the target of the creation is %q", creation.TargetID)
		}
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
		if after.Secret != second || after.Name != "Shop 2" || after.BaseURL != "https://a.example/home" || len(after.RedirectURIs) != 2 {
			w.t.Errorf("the client at the server has the name %q, the address %q, %d redirect URIs, and its own secret: %t",
				after.Name, after.BaseURL, len(after.RedirectURIs), after.Secret == second)
		}
		w.nowhere(first, second, serverSecret)
		w.want(w.run(w.Clients.Delete(w.t.Context(), w.clientRow("shop-app"), byAnn)), tracker.StatusSuccess, "")
	})
}

// newApp creates a client at the server, with fields that no row has, and returns its row.
func (w *world) newApp(id string) iam.Client {
	w.t.Helper()
	uuid, err := w.other.CreateApp(w.t.Context(), w.realm, map[string]any{
		"clientId": id, "name": "Theirs", "enabled": true, "redirectUris": []string{"https://a.example/*", "https://b.example/*"},
		"webOrigins": []string{"+"}, "baseUrl": "https://a.example/home", "attributes": map[string]string{"of.others": "yes"},
	})
	w.noError(err)
	w.t.Cleanup(func() { _ = w.other.DeleteApp(w.ended(), w.realm, uuid) })
	w.syncClients()
	return w.clientRow(id)
}

func TestTwoFieldsOfAClientMergeAndOneConflicts(t *testing.T) {
	inWorld(t, func(w *world) {
		seen := w.newApp("merged-app")
		secret := w.app(seen.UUID).Secret
		w.noError(w.other.UpdateApp(w.t.Context(), w.realm, seen.UUID, map[string]any{
			"name": "Changed", "redirectUris": kcapi.Set{Add: []string{"https://c.example/*"}, Remove: []string{"https://a.example/*"}},
		}))
		w.want(w.run(w.Clients.Update(w.t.Context(), seen, func(c *iam.Client) { c.Description = "Ours" }, byAnn)), tracker.StatusSuccess, "written")
		conflict := w.run(w.Clients.Update(w.t.Context(), seen, func(c *iam.Client) { c.Name = "Ours" }, byAnn))
		w.want(conflict, tracker.StatusConflict, "")
		got := w.app(seen.UUID)
		if got.Name != "Changed" || got.Description != "Ours" || !slices.Equal(sorted(got.RedirectURIs), []string{"https://b.example/*", "https://c.example/*"}) {
			w.t.Errorf("the client at the server is %+v, want the changes of both", got)
		}
		if got.BaseURL != "https://a.example/home" || got.Attributes["of.others"] != "yes" || got.Secret != secret {
			w.t.Errorf("the client at the server is %+v, want the fields that no row has as they were, and its secret", got)
		}
		w.want(w.run(mirror.KeepTheirs(w.t.Context(), w.engine, conflict.ID, nawasync.OperatorOptions{By: "user:7"})), tracker.StatusSuccess, "")
		if row := w.clientRow("merged-app"); row.Name != "Changed" || row.State != nawasync.StateSynced {
			w.t.Errorf("the row is %+v", row)
		}
		w.nowhere(secret, serverSecret)
	})
}

// Between the read and the write of an update, others add and remove redirect URIs.
func TestRedirectURIsAreMergedWithWhatOthersAddAndRemove(t *testing.T) {
	inWorld(t, func(w *world) {
		row := w.newApp("listed-app")
		_, config, err := iam.Configs(iam.Config{API: w.other, Settle: -1})
		w.noError(err)
		updater, _ := config.Remote.(mirror.Updater[iam.Client])
		reader, _ := config.Remote.(mirror.Reader[iam.Client])
		current, err := reader.Get(w.t.Context(), row)
		w.noError(err)
		w.noError(w.other.UpdateApp(w.t.Context(), w.realm, row.UUID, map[string]any{
			"redirectUris": []string{"https://a.example/*", "https://c.example/*"}, "webOrigins": []string{"+", "https://c.example"},
		}))
		want := current.Value
		want.RedirectURIs, want.WebOrigins = []string{"https://b.example/*", "https://d.example/*"}, []string{"https://d.example"}
		_, err = updater.Update(w.t.Context(), current, want, mirror.FieldDiff{{Field: "redirect_uris"}, {Field: "web_origins"}})
		w.noError(err)
		got := w.app(row.UUID)
		if !slices.Equal(sorted(got.RedirectURIs), []string{"https://c.example/*", "https://d.example/*"}) ||
			!slices.Equal(sorted(got.WebOrigins), []string{"https://c.example", "https://d.example"}) {
			w.t.Errorf("the lists are %v and %v, want what both have added and nothing that one has removed", got.RedirectURIs, got.WebOrigins)
		}
	})
}

func sorted(list []string) []string { return slices.Sorted(slices.Values(list)) }

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
