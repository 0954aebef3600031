package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/nawasara/nawasync/fault"
)

// client calls the simulated remote.
type client struct {
	base, name string
	http       *http.Client
}

func newClient(address, name string) *client {
	transport := &http.Transport{MaxIdleConnsPerHost: 32, IdleConnTimeout: 2 * time.Second}
	return &client{base: "http://" + address, name: name, http: &http.Client{Timeout: 30 * time.Second, Transport: transport}}
}

// tell reports something to the simulator. It ignores whether ctx has ended: a handler that was
// cancelled must still report its end.
func (c *client) tell(ctx context.Context, path string, r report, out any) error {
	status, err := c.do(context.WithoutCancel(ctx), http.MethodPost, path, r, out)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("POST %s: status %d", path, status)
	}
	return err
}

// do sends a request. It decodes the response into out if the status is 200.
func (c *client) do(ctx context.Context, method, path string, in, out any) (status int, err error) {
	body, err := json.Marshal(in)
	if err != nil {
		return 0, err
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Client", c.name)
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode == http.StatusOK && out != nil {
		return resp.StatusCode, json.NewDecoder(resp.Body).Decode(out)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

// thing sends a request about one object and classifies its failure. An update or a deletion
// names the object; a creation does not.
func (c *client) thing(ctx context.Context, method, name string, in *thingBody) (out thingBody, err error) {
	path := "/things"
	if name != "" {
		path += "/" + url.PathEscape(name)
	}
	var target any = &out
	if method == http.MethodDelete {
		target = nil
	}
	status, err := c.do(ctx, method, path, in, target)
	switch {
	case err != nil && method != http.MethodGet:
		return out, fault.WithClass(fault.ClassUnknownOutcome, err)
	case err != nil:
		return out, fault.WithClass(fault.ClassTransient, err)
	}
	failed := fmt.Errorf("%s %s: status %d", method, path, status)
	switch status {
	case http.StatusOK:
		return out, nil
	case http.StatusNotFound:
		return out, fault.WithClass(fault.ClassGone, failed)
	case http.StatusConflict:
		return out, fault.WithClass(fault.ClassAlreadyExists, failed)
	case http.StatusGatewayTimeout:
		return out, fault.WithClass(fault.ClassUnknownOutcome, failed)
	default:
		return out, fault.WithClass(fault.ClassPermanent, failed)
	}
}

// list returns all objects.
func (c *client) list(ctx context.Context) (out []thingBody, err error) {
	status, err := c.do(ctx, http.MethodGet, "/things", nil, &out)
	if err == nil && status != http.StatusOK {
		err = errors.New("GET /things: " + http.StatusText(status))
	}
	return out, err
}
