// Package kcapi is a client for the calls of Keycloak's Admin REST API that the example uses: users, clients and admin
// events of several realms, each with a service account of its own.
package kcapi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/remote"
	"github.com/nawasara/nawasync/secret"
)

// Realm is a realm, and the client in it whose service account makes the calls.
type Realm struct {
	Name     string
	ClientID string
	Secret   secret.Secret
}

// Config holds the address of a server and its realms.
type Config struct {
	// URL is the address of the server, without /admin or /realms. http is allowed on loopback only.
	URL    string
	Realms []Realm
	// Remote configures the calls. Service, Template, Envelope and Token are set by New; the default of Service is
	// "keycloak".
	Remote remote.Config
	// PageSize is how many users or clients one call lists. Default 250: much larger answers take the server minutes.
	PageSize int
}

// Client calls the API. Client is safe for concurrent use.
type Client struct {
	base     *url.URL
	realms   map[string]Realm
	remote   *remote.Remote
	now      func() time.Time
	pageSize int
}

// New returns a Client. An error names the setting to fix.
func New(c Config) (*Client, error) {
	base, err := baseURL(c.URL)
	if err != nil {
		return nil, fmt.Errorf("create Keycloak client: %w", err)
	}
	client := &Client{base: base, realms: map[string]Realm{}, now: c.Remote.Now, pageSize: c.PageSize}
	for _, realm := range c.Realms {
		// A name with a slash would change the path, and so would one that was copied with a line break.
		realm.Name = strings.TrimSpace(realm.Name)
		switch {
		case !isID(realm.Name):
			return nil, fmt.Errorf("create Keycloak client: %.40q is not the name of a realm", realm.Name)
		case realm.ClientID == "" || realm.Secret.Reveal() == "":
			return nil, fmt.Errorf("create Keycloak client: the realm %s has no client or no secret; create a client with a service account in the realm", realm.Name)
		}
		client.realms[realm.Name] = realm
	}
	if client.pageSize <= 0 {
		client.pageSize = 250
	}
	if client.now == nil {
		client.now = time.Now
	}
	c.Remote.Template, c.Remote.Envelope, c.Remote.Token = template, openEnvelope, client.token
	if c.Remote.Service == "" {
		c.Remote.Service = "keycloak"
	}
	client.remote, err = remote.New(c.Remote)
	return client, err
}

// baseURL checks the address of a server. Slashes at its end are dropped: the server refuses a path with two in a row.
func baseURL(address string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSpace(address))
	switch {
	case err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http"):
		return nil, errors.New("the address is not a URL; use https://host") // it may have a password
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return nil, fmt.Errorf("http://%s would send the client's secret in the clear; use https", u.Host)
	case u.User != nil:
		return nil, errors.New("the URL contains a user; set the client and its secret separately")
	}
	return u, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// Remote returns what makes the calls, for nawasync.Config.Remotes.
func (c *Client) Remote() *remote.Remote { return c.remote }

// Secrets returns the credentials that the client sends, for nawasync.Config.Secrets.
func (c *Client) Secrets() (list []secret.Secret) {
	for _, realm := range c.realms {
		list = append(list, realm.Secret)
	}
	return list
}

// token requests an access token of a realm. A token of one realm is worth nothing in another. Its expiry follows from
// this machine's clock, however wrong that of the server is.
func (c *Client) token(ctx context.Context, name string) (*oauth2.Token, error) {
	realm, known := c.realms[name]
	if !known {
		return nil, unknownRealm(name)
	}
	config := clientcredentials.Config{
		ClientID: realm.ClientID, ClientSecret: realm.Secret.Reveal(), AuthStyle: oauth2.AuthStyleInParams,
		TokenURL: c.base.JoinPath("realms", name, "protocol/openid-connect/token").String(),
	}
	token, err := config.Token(ctx)
	if err == nil && !token.Expiry.IsZero() {
		token.Expiry = c.now().Add(time.Until(token.Expiry)) // package oauth2 knows no other clock than time.Now
	}
	return token, err
}

func unknownRealm(name string) error {
	return fault.WithClass(fault.ClassConfig, fmt.Errorf("no realm with the name %q is configured; add its client and secret", name))
}
