// Package pdnsapi is a client for the calls of PowerDNS's HTTP API that the example uses: the server, its zones and
// their record sets.
package pdnsapi

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

// Config holds the address of a server and its API key.
type Config struct {
	URL string // of the web server, for example https://ns1.example:8081; http is allowed on loopback only
	Key secret.Secret
	// Remote makes the calls, and Scope is the limit scope that the key belongs to. Default NewRemote without
	// settings.
	Remote *remote.Remote
	Scope  string
}

// Client calls the API of one server. Client is safe for concurrent use.
type Client struct {
	base   *url.URL
	key    secret.Secret
	remote *remote.Remote
	scope  string
	err    error // what each call returns, if not nil
	// change holds one element while a change is made: PowerDNS refuses changes at the same time with status 500, or
	// stores records twice (pdns issues 14564 and 7128).
	change chan struct{}
}

// Servers maps the name of each server to its client.
type Servers map[string]*Client

// On returns the client of a server. Calls of one that is not configured return an error of the class config.
func (s Servers) On(name string) *Client {
	if client := s[name]; client != nil {
		return client
	}
	err := fmt.Errorf("no server with the name %q is configured; add its address and API key", name)
	return &Client{base: &url.URL{}, err: fault.WithClass(fault.ClassConfig, err)}
}

// New returns a Client. An error names the setting to fix.
func New(c Config) (*Client, error) {
	u, err := url.Parse(c.URL)
	switch {
	case err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http"):
		return nil, errors.New("create PowerDNS client: the address is not a URL; use one as https://ns1.example:8081") // it may have a password
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return nil, fmt.Errorf("create PowerDNS client: http://%s would send the API key in the clear; use https", u.Host)
	case u.User != nil:
		return nil, errors.New("create PowerDNS client: the URL contains a user; set the API key separately")
	case c.Key.Reveal() == "":
		return nil, errors.New("create PowerDNS client: the API key is empty; it is the setting api-key of the server")
	}
	if c.Remote == nil {
		if c.Remote, err = NewRemote(remote.Config{}); err != nil {
			return nil, err
		}
	}
	return &Client{base: u.JoinPath("api/v1/servers/localhost"), key: c.Key, remote: c.Remote, scope: c.Scope, change: make(chan struct{}, 1)}, nil
}

// Secrets returns the credentials that the client sends, for nawasync.Config.Secrets.
func (c *Client) Secrets() []secret.Secret { return []secret.Secret{c.key} }

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// Version returns the version of the server. An error of the class config says that there is no PowerDNS at the address,
// and one of the class credentials that the key is wrong.
func (c *Client) Version(ctx context.Context) (string, error) {
	var server struct {
		Type    string `json:"type"`
		Version string `json:"version"`
	}
	if c.err != nil {
		return "", c.err
	}
	_, err := c.remote.Call(ctx, c.scope, c.request(http.MethodGet, nil, nil), &server)
	switch {
	case fault.ClassOf(err) == fault.ClassGone:
		return "", wrongAddress(err)
	case err == nil && server.Type != "Server":
		return "", wrongAddress(errors.New("the answer is not one of PowerDNS"))
	}
	return server.Version, err
}

func wrongAddress(err error) error {
	return &fault.Error{Class: fault.ClassConfig, Hint: "check the address of the API", Err: err}
}
