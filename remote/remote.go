// Package remote helps the clients of external APIs to live within the limits of those APIs.
package remote

import (
	"cmp"
	"errors"
	"net"
	"net/http"
	"time"
)

// Remote is one external service. It is safe for concurrent use.
type Remote struct {
	config Config
}

// New returns a Remote.
func New(config Config) (*Remote, error) {
	if config.Service == "" {
		return nil, errors.New("create a remote: Config.Service is empty; set it to the service of its jobs")
	}
	config.Timeout = cmp.Or(config.Timeout, 60*time.Second)
	config.MaxWait = cmp.Or(config.MaxWait, 2*time.Second)
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Base == nil {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.DialContext = (&net.Dialer{Timeout: 10 * time.Second}).DialContext
		config.Base = transport
	}
	return &Remote{config: config}, nil
}

// Client returns a client for the calls of one limit scope. It never follows a redirect, which could
// send credentials to another server. scope is the instance of the limit scope, as pages show it: ""
// for the whole service.
func (r *Remote) Client(scope string) *http.Client {
	return &http.Client{
		Transport:     &transport{remote: r, scope: scope},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

type transport struct {
	remote *Remote
	scope  string
}

// RoundTrip sends one request.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	return t.remote.config.Base.RoundTrip(req)
}
