package pdnsapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"iter"
	"net/http"
	"net/url"
	"strings"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/remote"
	"github.com/nawasara/nawasync/secret"
)

// NewRemote returns a Remote with what is known about PowerDNS. A field of config that is set is kept.
func NewRemote(config remote.Config) (*remote.Remote, error) {
	if config.Service == "" {
		config.Service = "powerdns"
	}
	if config.Template == nil {
		config.Template = template
	}
	config.Envelope = openEnvelope
	return remote.New(config)
}

// template names the endpoint of a request without the zone in its path.
func template(r *http.Request) string {
	_, path, _ := strings.Cut(r.URL.Path, "/servers/localhost")
	if strings.HasPrefix(path, "/zones/") {
		return "/zones/{zone}"
	}
	return path
}

// openEnvelope returns the error that an answer reports. Refusals with status 422 are JSON; the others are a plain text that
// says no more than the status.
func openEnvelope(a *remote.Answer) error {
	body := bytes.TrimSpace(a.Body)
	switch {
	case a.Status == http.StatusNoContent:
		return nil
	case a.Status < 300 && (bytes.HasPrefix(body, []byte("{")) || bytes.HasPrefix(body, []byte("["))):
		return nil
	case a.Status < 300:
		return errors.New("the answer is not JSON")
	}
	var refusal struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(body, &refusal) == nil && refusal.Error != "" {
		return errors.New(refusal.Error)
	}
	return nil
}

// request returns a call of a path below that of the server.
func (c *Client) request(method string, query url.Values, body any, path ...string) remote.Call {
	return remote.Call{
		Method: method, URL: c.base.JoinPath(path...).String(), Query: query, JSON: body,
		Header: http.Header{"X-Api-Key": {c.key.Reveal()}}, Secrets: []secret.Secret{c.key},
	}
}

// call makes a call, and one change at a time. PowerDNS answers an unknown zone and a wrong address alike, so that only a server that answers
// makes an object gone.
func (c *Client) call(ctx context.Context, call remote.Call, into any) error {
	if c.err != nil {
		return c.err
	}
	if call.Method != http.MethodGet {
		select {
		case c.change <- struct{}{}:
			defer func() { <-c.change }()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	_, err := c.remote.Call(ctx, c.scope, call, into)
	if fault.ClassOf(err) == fault.ClassGone {
		if _, wrong := c.Version(ctx); wrong != nil {
			return wrong
		}
	}
	return err
}

// onePage yields a listing that one call answers completely: the API has no pages.
func onePage[T any](read func() ([]T, error)) iter.Seq2[remote.Page[T], error] {
	return func(yield func(remote.Page[T], error) bool) {
		items, err := read()
		yield(remote.Page[T]{Items: items}, err)
	}
}
