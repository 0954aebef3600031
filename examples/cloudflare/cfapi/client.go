// Package cfapi is a client for the calls of Cloudflare's API v4 that the example uses: tokens, zones and DNS
// records.
package cfapi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/remote"
	"github.com/nawasara/nawasync/secret"
)

// DefaultURL is the address of Cloudflare's API.
const DefaultURL = "https://api.cloudflare.com/client/v4"

// Config holds the address of the API and a token.
type Config struct {
	URL   string // default DefaultURL; http is allowed on loopback only
	Token secret.Secret
	// Remote makes the calls, and Scope is the limit scope that the token belongs to. Default NewRemote without
	// settings.
	Remote *remote.Remote
	Scope  string
	// PageSize is how many records one call lists. Default 5,000. A token may make 1,200 calls in 5 minutes, so
	// large pages are what lets it list many zones.
	PageSize int
}

// Client calls the API with one token. Client is safe for concurrent use.
type Client struct {
	base     *url.URL
	token    secret.Secret
	remote   *remote.Remote
	scope    string
	pageSize int
}

// New returns a Client. An error names the setting to fix.
func New(c Config) (*Client, error) {
	if c.URL == "" {
		c.URL = DefaultURL
	}
	u, err := url.Parse(c.URL)
	switch {
	case err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http"):
		return nil, errors.New("create Cloudflare client: the address is not a URL; use " + DefaultURL) // it may have a password
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return nil, fmt.Errorf("create Cloudflare client: http://%s would send the token in the clear; use https", u.Host)
	case u.User != nil:
		return nil, errors.New("create Cloudflare client: the URL contains a user; set the token separately")
	case c.Token.Reveal() == "":
		return nil, errors.New("create Cloudflare client: the token is empty; create one in the dashboard under My Profile, API Tokens")
	case c.PageSize < 0:
		return nil, errors.New("create Cloudflare client: the page size is negative")
	}
	if c.PageSize == 0 {
		c.PageSize = 5000
	}
	if c.Remote == nil {
		if c.Remote, err = NewRemote(remote.Config{}); err != nil {
			return nil, err
		}
	}
	return &Client{base: u, token: c.Token, remote: c.Remote, scope: c.Scope, pageSize: c.PageSize}, nil
}

// Secrets returns the credentials that the client sends, for nawasync.Config.Secrets.
func (c *Client) Secrets() []secret.Secret { return []secret.Secret{c.token} }

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// Verify returns an error of the class credentials if the token is not valid any more. A valid token may still
// not see every zone.
func (c *Client) Verify(ctx context.Context) error {
	answer, err := call[struct {
		Status string `json:"status"`
	}](ctx, c, request{method: http.MethodGet, path: "/user/tokens/verify"})
	if err == nil && answer.Result.Status != "active" {
		return &fault.Error{
			Class: fault.ClassCredentials, Hint: "activate or replace the token in the dashboard",
			Err: fmt.Errorf("cloudflare: the token is %.20q, not active", answer.Result.Status),
		}
	}
	return err
}
