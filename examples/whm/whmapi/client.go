// Package whmapi is a client for the functions of WHM API 1 and UAPI that the example uses. It
// follows api.docs.cpanel.net, and also accepts the answers of servers that differ from it.
// Package remote makes the calls: it knows their timeouts, retries and limits, and the classes of errors.
package whmapi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"

	"github.com/nawasara/nawasync/remote"
	"github.com/nawasara/nawasync/secret"
)

// Config holds the address of a server and the credentials for it.
type Config struct {
	URL   string // https://host:2087; http is allowed on loopback only
	User  string // a WHM user, for example root
	Token secret.Secret
	// Remote makes the calls; see RemoteConfig. Nil is a Remote for this client alone.
	Remote *remote.Remote
	// Scope is the limit scope of the server: its name, as the instance of its jobs.
	Scope string
}

// Client calls one WHM server. It is safe for concurrent use.
type Client struct {
	base   *url.URL
	user   string
	token  secret.Secret
	remote *remote.Remote
	scope  string
}

// RemoteConfig returns what package remote has to know of WHM servers.
func RemoteConfig() remote.Config {
	return remote.Config{Service: "whm", Envelope: open}
}

// New returns a Client. An error names the setting to fix.
func New(c Config) (*Client, error) {
	u, err := url.Parse(c.URL)
	switch {
	case err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http"):
		return nil, errors.New("create WHM client: the address is not the URL of a WHM server; use https://host:2087") // it may have a password
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return nil, fmt.Errorf("create WHM client: http://%s would send the token in the clear; use https and port 2087", u.Host)
	case u.User != nil:
		return nil, errors.New("create WHM client: the URL contains a user; set the user and the token separately")
	case c.User == "" || c.Token.Reveal() == "":
		return nil, errors.New("create WHM client: user or token is empty; create a token in WHM under Development, Manage API Tokens")
	}
	if c.Remote == nil {
		if c.Remote, err = remote.New(RemoteConfig()); err != nil {
			return nil, err
		}
	}
	return &Client{base: u, user: c.User, token: c.Token, remote: c.Remote, scope: c.Scope}, nil
}

// Secrets returns the credentials that the client sends, for nawasync.Config.Secrets.
func (c *Client) Secrets() []secret.Secret { return []secret.Secret{c.token} }

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// request is one call of a WHM function. All parameters are in the body of a POST, because URLs are
// often logged.
type request struct {
	name   string // the function's name in errors and statistics
	path   string
	form   url.Values
	object string // the account or mailbox that the call is about; "" for lists
	write  bool   // whether the function may change something
}

// call makes a call and decodes the payload of the answer into the value that into points to. A nil into
// discards it.
func (c *Client) call(ctx context.Context, r request, into any) error {
	_, err := c.remote.Call(ctx, c.scope, remote.Call{
		URL: c.base.JoinPath("json-api", r.path).String(), Form: r.form, Read: !r.write, Endpoint: r.name, Object: r.object,
		Header: http.Header{"Authorization": {"whm " + c.user + ":" + c.token.Reveal()}},
	}, into)
	return err
}
