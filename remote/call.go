package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"strings"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/secret"
)

// Call is a call that answers with JSON. Only URL is required.
type Call struct {
	// Method is the HTTP method. Default GET, or POST if the call has a body.
	Method string
	// URL is the absolute URL.
	URL string
	// Query is added to the URL.
	Query url.Values
	// Header has further headers, such as Authorization.
	Header http.Header
	// Form is sent as an urlencoded body.
	Form url.Values
	// JSON is sent as a JSON body. Nil is no body. A secret.Secret in it is an error: send its Reveal.
	JSON any
	// Read says that the call changes nothing although its method is not GET. A read is repeated
	// once, and without a complete answer it is transient; a write then has an unknown outcome.
	Read bool
	// Endpoint names the endpoint. Default is what Config.Template returns. Set it if the URL does not tell.
	Endpoint string
	// Object names what the call is about. When calls for three objects fail, the remote counts as
	// unavailable. Default is the path of the URL; set it if one path serves all objects.
	Object string
	// Secrets are secrets in the call whose names do not tell so.
	Secrets []secret.Secret
}

// Answer is a complete answer to a call.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
	// Data is what Call decodes. It is Body, unless Config.Envelope sets it.
	Data json.RawMessage
	// Read reports whether the call was one that changes nothing.
	Read bool
}

// Call makes a call in a limit scope and decodes the JSON of its answer into the value that into points
// to. A nil into discards it. The answer is nil if there was none.
//
// Errors are a *fault.Error with a class and, within it, an *Error:
//
//   - transient: the request was not sent, or it was a read without a usable answer
//   - unknown_outcome: a write was sent, and there is no usable answer
//   - timeout: a read took longer than Config.Timeout
//   - rate_limited: over a limit, with RetryAfter if the server says so
//   - credentials: 401; forbidden: 403; gone: 404 and 410; conflict: 409 and 412, and already_exists: 409 to a
//     POST; config: redirects, 405, certificates; permanent: other 4xx
//   - what Config.Envelope says
func (r *Remote) Call(ctx context.Context, scope string, call Call, into any) (*Answer, error) {
	req, err := call.request(ctx)
	if err != nil {
		return nil, err
	}
	e := &exchange{
		remote: r, scope: scope, req: req, read: call.Read || isRead(req.Method), secrets: call.Secrets,
		object: call.Object, endpoint: call.Endpoint, envelope: r.config.Envelope,
	}
	if e.object == "" {
		e.object = req.URL.Path
	}
	if into != nil {
		e.envelope = decoding(e.envelope, into)
	}
	return e.do()
}

// decoding returns an envelope that also decodes the data, so that an answer that does not fit counts as
// a failed call.
func decoding(envelope func(*Answer) error, into any) func(*Answer) error {
	return func(a *Answer) error {
		if envelope != nil {
			if err := envelope(a); err != nil {
				return err
			}
		}
		if !isSuccess(a.Status) {
			return nil
		}
		if looksLikeHTML(a.Data) {
			return errors.New("the answer is an HTML page, not JSON; check whether a proxy answers instead of the server")
		}
		if err := json.Unmarshal(a.Data, into); err != nil {
			return fmt.Errorf("decode the answer of %d bytes: %w", len(a.Data), decodeError(err))
		}
		return nil
	}
}

// decodeError returns an error of encoding/json without a value of the document, which may be a secret.
func decodeError(err error) error {
	if kind, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		value, _, _ := strings.Cut(kind.Value, " ") // as in "number 12.5"
		return fmt.Errorf("a %s in field %q does not fit %s", value, kind.Field, kind.Type)
	}
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("not valid JSON at byte %d", syntax.Offset)
	}
	return err
}

// looksLikeHTML reports whether a body is an HTML page: a login page, or a proxy's error page.
func looksLikeHTML(body []byte) bool { return bytes.HasPrefix(bytes.TrimSpace(body), []byte("<")) }

// request returns the request of a call. Its errors do not contain the URL, which may have a password.
func (c *Call) request(ctx context.Context) (*http.Request, error) {
	target, err := url.Parse(c.URL)
	if err != nil || target.Host == "" {
		return nil, fault.WithClass(fault.ClassConfig, errors.New("create the request: its URL is not absolute; use https://host/path"))
	}
	if len(c.Query) > 0 {
		query := target.Query()
		maps.Copy(query, c.Query)
		target.RawQuery = query.Encode()
	}
	body, kind, err := c.body()
	if err != nil {
		return nil, fault.WithClass(fault.ClassPermanent, err)
	}
	method := c.Method
	if method == "" && kind != "" {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(ctx, method, target.String(), body)
	if err != nil {
		return nil, fault.WithClass(fault.ClassConfig, errors.New("create the request: the method or the URL is not valid"))
	}
	for name, values := range c.Header {
		req.Header[http.CanonicalHeaderKey(name)] = values
	}
	setDefault(req.Header, "Accept", "application/json")
	setDefault(req.Header, "Content-Type", kind)
	return req, nil
}

// setDefault sets a header that is not set.
func setDefault(h http.Header, name, value string) {
	if value != "" && h.Get(name) == "" {
		h.Set(name, value)
	}
}

// body returns the body of a call and its content type, "" for none.
func (c *Call) body() (body io.Reader, kind string, err error) {
	switch {
	case c.JSON != nil && c.Form != nil:
		return nil, "", errors.New("create the request: it has a form and JSON; set one of them")
	case c.JSON != nil:
		if secret.Contains(reflect.TypeOf(c.JSON)) {
			return nil, "", fmt.Errorf("create the request: %T contains a secret.Secret, which is encoded as %q; send what its Reveal returns", c.JSON, secret.Masked)
		}
		text, err := json.Marshal(c.JSON)
		if err != nil {
			return nil, "", fmt.Errorf("encode the body of the request: %w", err)
		}
		return bytes.NewReader(text), "application/json", nil
	case c.Form != nil:
		return strings.NewReader(c.Form.Encode()), "application/x-www-form-urlencoded", nil
	}
	return nil, "", nil
}
