package kcapi

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"slices"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/remote"
)

// App is a client of a realm: an application that signs users in. The server's answers have its secret too, which is read
// nowhere.
type App struct {
	ID             string   `json:"id"`
	ClientID       string   `json:"clientId"`
	Name           string   `json:"name"`
	Description    string   `json:"description"`
	Protocol       string   `json:"protocol"`
	RootURL        string   `json:"rootUrl"`
	Enabled        bool     `json:"enabled"`
	Public         bool     `json:"publicClient"`
	ServiceAccount bool     `json:"serviceAccountsEnabled"`
	RedirectURIs   []string `json:"redirectUris"`
	WebOrigins     []string `json:"webOrigins"`
}

// builtIn are the clients of Keycloak itself.
var builtIn = []string{"account", "account-console", "admin-cli", "broker", "realm-management", "security-admin-console"}

// BuiltIn reports whether the client is one that each realm has.
func (a App) BuiltIn() bool { return slices.Contains(builtIn, a.ClientID) }

// Apps lists the clients of a realm, page by page. from is "", or the Next of an earlier page.
func (c *Client) Apps(ctx context.Context, realm, from string) iter.Seq2[remote.Page[App], error] {
	return list[App](ctx, c, realm, "clients", from, nil)
}

// App returns one client by its identifier, which is not its client id. The error has the class gone if there is none.
func (c *Client) App(ctx context.Context, realm, id string) (a App, err error) {
	_, err = c.call(ctx, realm, remote.Call{}, []string{"clients", id}, &a)
	if err == nil && a.ID == "" {
		err = errNoObject
	}
	return a, err
}

// FindApp returns the client with a client id. The error has the class gone if there is none.
func (c *Client) FindApp(ctx context.Context, realm, clientID string) (a App, err error) {
	var found []App
	query := url.Values{"clientId": {clientID}}
	if _, err := c.call(ctx, realm, remote.Call{Query: query}, []string{"clients"}, &found); err != nil {
		return a, err
	}
	for _, a := range found {
		if a.ClientID == clientID {
			return a, nil
		}
	}
	return a, fault.WithClass(fault.ClassGone, fmt.Errorf("the realm %s has no client with this client id", realm))
}

// CreateApp creates a client with fields by their names in the API, and returns its identifier.
func (c *Client) CreateApp(ctx context.Context, realm string, fields map[string]any) (id string, err error) {
	return c.create(ctx, realm, "clients", fields)
}

// UpdateApp changes fields of a client, by their names in the API, and no others, as UpdateUser does.
func (c *Client) UpdateApp(ctx context.Context, realm, id string, changes map[string]any) error {
	return c.update(ctx, realm, "clients", id, changes)
}

// DeleteApp deletes a client. The error has the class gone if there is none.
func (c *Client) DeleteApp(ctx context.Context, realm, id string) error {
	_, err := c.call(ctx, realm, remote.Call{Method: http.MethodDelete}, []string{"clients", id}, nil)
	return err
}
