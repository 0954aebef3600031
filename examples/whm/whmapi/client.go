// Package whmapi is a client for the functions of WHM API 1 and UAPI that the example uses. It
// follows api.docs.cpanel.net, and also accepts the answers of servers that differ from it.
package whmapi

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/secret"
)

// Config holds the address of a server and the credentials for it.
type Config struct {
	URL   string // https://host:2087; http is allowed on loopback only
	User  string // a WHM user, for example root
	Token secret.Secret
	// HTTP sends the requests. Redirects are never followed. nil means a client that verifies
	// certificates and connects within 10 s.
	HTTP *http.Client
}

// Client calls one WHM server. A call ends after 60 s, or earlier with its context. Client is safe
// for concurrent use.
type Client struct {
	base  *url.URL
	user  string
	token secret.Secret
	http  *http.Client
}

const (
	maxBody     = 64 << 20 // bytes; an answer with 10,000 mailboxes and their disk usage has about 8 MiB
	callTimeout = 60 * time.Second
)

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
	if c.HTTP == nil {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.DialContext = (&net.Dialer{Timeout: 10 * time.Second}).DialContext
		c.HTTP = &http.Client{Transport: transport}
	}
	client := *c.HTTP
	// Following a redirect could send the token to another server.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{base: u, user: c.User, token: c.Token, http: &client}, nil
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
	name    string // the function's name in errors
	path    string
	form    url.Values
	write   bool     // whether the function may change something
	secrets []string // texts that errors must not contain
}

// call sends a request and decodes the answer's data into the value that into points to. A nil into
// discards the data.
func (c *Client) call(ctx context.Context, r request, into any) (uapi, error) {
	r.secrets = append(slices.Clone(r.secrets), c.token.Reveal())
	body, err := c.send(ctx, r)
	if err != nil {
		return uapi{}, err
	}
	answer, err := r.decode(body)
	if err != nil || into == nil {
		return answer, err
	}
	if err := json.Unmarshal(answer.Data, into); err != nil {
		return answer, r.incomplete(fmt.Errorf("decode the answer's data: %w", err))
	}
	return answer, nil
}

// send posts a request and returns the answer's body. A status other than 200 is an error.
func (c *Client) send(ctx context.Context, r request) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var wrote atomic.Bool // whether the server may have received the request
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { wrote.Store(true) }})
	form := r.form.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base.JoinPath("json-api", r.path).String(), strings.NewReader(form))
	if err != nil {
		return nil, r.fail(fault.ClassConfig, "", err)
	}
	req.Header.Set("Authorization", "whm "+c.user+":"+c.token.Reveal())
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, r.unanswered(err, wrote.Load())
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	switch {
	case err != nil:
		return nil, r.incomplete(fmt.Errorf("read the answer: %w", err))
	case len(body) > maxBody:
		return nil, r.fail(fault.ClassPermanent, "request fewer rows", fmt.Errorf("the answer is larger than %d MiB", maxBody>>20))
	case resp.StatusCode != http.StatusOK:
		return nil, r.statusError(resp, body)
	}
	return body, nil
}

// unanswered is the error of a request without an answer. wrote reports whether the server may have
// received the request.
func (r request) unanswered(err error, wrote bool) error {
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &certificate):
		return r.fail(fault.ClassConfig, "the server's certificate is not trusted: install a valid certificate, or set SSL_CERT_FILE to its CA", err)
	// net/http replaces the RecordHeaderError with this text when the server answers in plain HTTP.
	case errors.As(err, &record), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return r.fail(fault.ClassConfig, "the server does not speak TLS on this port: check that the URL has https and port 2087", err)
	case wrote:
		return r.incomplete(err)
	}
	return r.fail(fault.ClassTransient, "check that the server runs and that its port 2087 is reachable", err)
}

// incomplete is the error of an exchange without a usable answer. A write may have happened, so its
// outcome is unknown. A read can be repeated.
func (r request) incomplete(err error) error {
	if r.write {
		return r.fail(fault.ClassUnknownOutcome, "the server may have made the change", err)
	}
	return r.fail(fault.ClassTransient, "", err)
}

// statusError is the error of an answer whose status is not 200.
func (r request) statusError(resp *http.Response, body []byte) error {
	text := fmt.Errorf("HTTP %s", resp.Status)
	if reason := refusal(body); reason != "" {
		text = fmt.Errorf("HTTP %s: %s", resp.Status, reason)
	}
	switch code := resp.StatusCode; {
	case code == http.StatusForbidden || code == http.StatusUnauthorized:
		return r.fail(fault.ClassCredentials, "check user, token and the token's privileges in WHM", text)
	case code == http.StatusTooManyRequests:
		return r.rateLimited(resp.Header.Get("Retry-After"), text)
	case code >= 300 && code < 400:
		return r.fail(fault.ClassConfig, "set the URL to the redirect's target: "+clip(resp.Header.Get("Location")), text)
	case code == http.StatusNotFound || code == http.StatusMethodNotAllowed:
		return r.fail(fault.ClassConfig, "check that the URL has WHM's port, 2087", text)
	case code >= 500:
		return r.incomplete(text)
	}
	return r.fail(fault.ClassPermanent, "", text)
}

// rateLimited is the error of a request that the server refused because of a rate limit. retryAfter
// is the Retry-After header, in seconds or as a date; without one, the wait is one minute. WHM
// documents no rate limit, but a proxy in front of it may have one.
func (r request) rateLimited(retryAfter string, text error) error {
	wait := time.Minute
	if seconds, err := strconv.Atoi(retryAfter); err == nil && seconds >= 0 {
		wait = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(retryAfter); err == nil {
		wait = max(0, time.Until(at))
	}
	return &fault.Error{Class: fault.ClassRateLimited, RetryAfter: max(time.Second, wait), Err: r.redact(text)}
}

func (r request) fail(class fault.Class, hint string, err error) error {
	return &fault.Error{Class: class, Hint: hint, Err: r.redact(err)}
}

// redact replaces the request's secrets in the error's text. It wraps the error only if the error's
// text contains no secret.
func (r request) redact(err error) error {
	shown := err.Error()
	for _, hidden := range r.secrets {
		if hidden == "" {
			continue
		}
		for _, form := range []string{hidden, url.QueryEscape(hidden)} {
			shown = strings.ReplaceAll(shown, form, "***")
		}
	}
	if shown == err.Error() {
		return fmt.Errorf("WHM %s: %w", r.name, err)
	}
	return fmt.Errorf("WHM %s: %s", r.name, shown)
}

// clip shortens a server's text to 300 characters on one line.
func clip(s string) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "�")), " ")
	if runes := []rune(s); len(runes) > 300 {
		s = string(runes[:300]) + "…"
	}
	return s
}

// looksLikeHTML reports whether the body is an HTML page: a login page, or a proxy's error page.
func looksLikeHTML(body []byte) bool {
	return bytes.HasPrefix(bytes.TrimSpace(body), []byte("<"))
}
