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
	"github.com/nawasara/nawasync/secret"
)

// DefaultURL is the address of Cloudflare's API.
const DefaultURL = "https://api.cloudflare.com/client/v4"

// Config holds the address of the API and a token.
type Config struct {
	URL   string // default DefaultURL; http is allowed on loopback only
	Token secret.Secret
	// HTTP sends the requests. Redirects are never followed. Nil means a client that connects within 10 s.
	HTTP *http.Client
	// PageSize is how many records one call lists. Default 5,000. A token may make 1,200 calls in 5 minutes, so
	// large pages are what lets it list many zones.
	PageSize int
}

// Client calls the API with one token. A call ends after 60 s, or earlier with its context. Client is safe for
// concurrent use.
type Client struct {
	base     *url.URL
	token    secret.Secret
	http     *http.Client
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
	if c.HTTP == nil {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.DialContext = (&net.Dialer{Timeout: connectTimeout}).DialContext
		c.HTTP = &http.Client{Transport: transport}
	}
	client := *c.HTTP
	// Following a redirect could send the token to another server.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{base: u, token: c.Token, http: &client, pageSize: c.PageSize}, nil
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
	var token struct {
		Status string `json:"status"`
	}
	if _, err := c.call(ctx, http.MethodGet, "/user/tokens/verify", nil, nil, &token); err != nil {
		return err
	}
	if token.Status != "active" {
		return &fault.Error{
			Class: fault.ClassCredentials, Hint: "activate or replace the token in the dashboard",
			Err: fmt.Errorf("cloudflare: the token is %q, not active", clip(token.Status)),
		}
	}
	return nil
}

// Account is an account that the token may see.
type Account struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Accounts lists the accounts that the token may see, at most 50.
func (c *Client) Accounts(ctx context.Context) (list []Account, err error) {
	_, err = c.call(ctx, http.MethodGet, "/accounts", url.Values{"per_page": {"50"}}, nil, &list)
	return list, err
}
