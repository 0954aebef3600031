package cfapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/remote"
	"github.com/nawasara/nawasync/secret"
)

// NewRemote returns a Remote with what is known about Cloudflare. A field of config that is set is kept.
func NewRemote(config remote.Config) (*remote.Remote, error) {
	if config.Service == "" {
		config.Service = "cloudflare"
	}
	if config.Template == nil {
		config.Template = template
	}
	if config.Budgets == nil {
		// What the account's people do in the dashboard counts too. The headers of the answers say what is left.
		config.Budgets = []remote.Budget{{Calls: Calls, Window: Window}}
	}
	config.Envelope = openEnvelope
	return remote.New(config)
}

// The limit of a token: calls in a window, over all zones. A call over it blocks the token for the next window.
const (
	Calls  = 1200
	Window = 5 * time.Minute
)

// template names the endpoint of a request without the identifiers in its path.
func template(r *http.Request) string {
	parts := strings.Split(r.URL.Path, "/")
	for i := 1; i < len(parts); i++ {
		switch parts[i-1] {
		case "accounts":
			parts[i] = "{account}"
		case "zones":
			parts[i] = "{zone}"
		case "dns_records":
			parts[i] = "{record}"
		}
	}
	path := strings.Join(parts, "/")
	if _, after, found := strings.Cut(path, "/v4/"); found {
		return "/" + after
	}
	return path
}

// envelope is what every answer of the API looks like.
type envelope[T any] struct {
	Result  T         `json:"result"`
	Success *bool     `json:"success"`
	Errors  apiErrors `json:"errors"`
	Info    *struct {
		Page       int    `json:"page"`
		TotalCount *int64 `json:"total_count"` // nil if the answer lacks it: that is not 0
		TotalPages *int   `json:"total_pages"`
	} `json:"result_info"`
}

// apiErrors are the errors of an answer.
type apiErrors []struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// Error returns the codes and messages.
func (list apiErrors) Error() string {
	if len(list) == 0 {
		return "the answer says neither success nor why not"
	}
	texts := make([]string, len(list))
	for i, e := range list {
		texts[i] = fmt.Sprintf("%d %s", e.Code, e.Message)
	}
	return strings.Join(texts, "; ")
}

// has reports whether one of the errors has a code.
func (list apiErrors) has(code int) bool {
	for _, e := range list {
		if e.Code == code {
			return true
		}
	}
	return false
}

// codes classifies an answer by its code, where that says more than its status.
var codes = map[int]struct {
	class fault.Class
	hint  string
}{
	81044: {fault.ClassGone, ""},
	81057: {fault.ClassAlreadyExists, ""},
	81058: {fault.ClassAlreadyExists, ""},
	81053: {fault.ClassPermanent, "a CNAME cannot stand beside an A or AAAA record of the same name: delete one of them first"},
	1002:  {fault.ClassPermanent, "the identifier of the record is not one of Cloudflare's"},
	// An unknown path proves nothing about an object: the zone may be gone, or the address wrong.
	7000: {fault.ClassConfig, "the zone does not exist any more, or the address of the API is wrong"},
	7003: {fault.ClassConfig, "the zone does not exist any more, or the address of the API is wrong"},
	6003: {fault.ClassCredentials, "the token is malformed: set it again"},
	1000: {fault.ClassCredentials, "the token was revoked: create another one in the dashboard"},
}

// openEnvelope returns the error that an answer reports. Where only the status says what it is, the error has no class: a
// status 403 comes both from a zone that the token may not see and from a token that was revoked, and Verify tells which.
func openEnvelope(a *remote.Answer) error {
	var e envelope[json.RawMessage]
	if err := json.Unmarshal(a.Body, &e); err != nil {
		switch a.Status {
		case http.StatusTooManyRequests:
			return limited(errors.New("over the limit"))
		case http.StatusNotFound: // not the API, so it says nothing about the object
			return &fault.Error{Class: fault.ClassConfig, Hint: "check the address of the API", Err: errors.New("the answer is not one of Cloudflare's API")}
		}
		return nil // the status and the content say what is wrong
	}
	switch {
	case e.Success != nil && *e.Success && a.Status == http.StatusOK:
		return nil
	case e.Success == nil && a.Status == http.StatusOK:
		return errors.New("the answer is JSON, but has not Cloudflare's form")
	case a.Status == http.StatusTooManyRequests:
		return limited(e.Errors)
	case a.Status == http.StatusUnauthorized, a.Status == http.StatusForbidden, a.Status >= http.StatusInternalServerError:
		return e.Errors
	}
	for _, reason := range e.Errors {
		if known, ok := codes[reason.Code]; ok {
			return &fault.Error{Class: known.class, Hint: known.hint, Err: e.Errors}
		}
	}
	if a.Status == http.StatusNotFound {
		return &fault.Error{Class: fault.ClassConfig, Hint: "check the address of the API", Err: e.Errors}
	}
	return fault.WithClass(fault.ClassPermanent, e.Errors)
}

// limited is the error of a call over the limit. Without Retry-After, remote cannot know how long the block lasts.
func limited(err error) error { return fault.WithClass(fault.ClassRateLimited, err) }

// request is one call.
type request struct {
	method, path string
	query        url.Values
	body         any
	object       string // what the call is about, if its path is that of others too
}

// call makes one call and returns its envelope.
func call[T any](ctx context.Context, c *Client, r request) (*envelope[T], error) {
	token := c.token.Reveal()
	var e envelope[T]
	_, err := c.remote.Call(ctx, c.scope, remote.Call{
		Method: r.method, URL: c.base.JoinPath(r.path).String(), Query: r.query, JSON: r.body, Object: r.object,
		Header: http.Header{"Authorization": {"Bearer " + token}}, Secrets: []secret.Secret{c.token},
	}, &e)
	if limit := fault.Outermost(err); limit != nil && limit.Class == fault.ClassRateLimited && limit.RetryAfter == 0 {
		return nil, &fault.Error{Class: fault.ClassRateLimited, RetryAfter: Window, Err: err}
	}
	if err != nil {
		return nil, err
	}
	return &e, nil
}
