// Package whmapi speaks WHM API 1 and UAPI, as far as the example needs them. Wire
// facts are from api.docs.cpanel.net; where servers are known to differ from it,
// the tolerant reading is marked.
package whmapi

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/secret"
)

// Config says which server to talk to, and as whom.
type Config struct {
	URL   string // https://host:2087; plain http on loopback only
	User  string // a WHM user, root for instance
	Token secret.Secret
	// HTTP sends the requests; nil is a client that verifies certificates, connects
	// within 10 s and follows no redirects. Timeouts of calls are their contexts'.
	HTTP *http.Client
}

// Client calls one WHM server. It is safe for concurrent use.
type Client struct {
	base  *url.URL
	user  string
	token secret.Secret
	http  *http.Client
}

const (
	maxBody     = 64 << 20 // of an answer: 10,000 mailboxes with their usage are some 8 MiB
	callTimeout = 60 * time.Second
)

// New returns a Client, or an error that says which setting to mend.
func New(c Config) (*Client, error) {
	u, err := url.Parse(c.URL)
	switch {
	case err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http"):
		return nil, fmt.Errorf("whmapi: %q is not the URL of a WHM server; write https://host:2087", c.URL)
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return nil, fmt.Errorf("whmapi: %q would send the token in the clear; use https (port 2087)", c.URL)
	case u.User != nil:
		return nil, errors.New("whmapi: the URL holds a user; give user and token by themselves")
	case c.User == "" || c.Token.Reveal() == "":
		return nil, errors.New("whmapi: user and token are needed; WHM makes tokens under Development, Manage API Tokens")
	}
	if c.HTTP == nil {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.DialContext = (&net.Dialer{Timeout: 10 * time.Second}).DialContext
		c.HTTP = &http.Client{Transport: transport}
	}
	client := *c.HTTP
	// A redirect would take the token somewhere else.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{base: u, user: c.User, token: c.Token, http: &client}, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// request is one call of a WHM function. Everything travels in the body of a POST:
// URLs end up in logs.
type request struct {
	name    string // what errors call it
	path    string
	form    url.Values
	write   bool     // it may change something
	secrets []string // never to stand in an error
}

// send posts a request and returns the body of an answer with status 200.
func (c *Client) send(ctx context.Context, r request) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var wrote atomic.Bool // once headers and body may have left, a write may have happened
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
		return nil, r.unreached(err, wrote.Load())
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	switch {
	case err != nil:
		return nil, r.broken(fmt.Errorf("the answer broke off: %w", err))
	case len(body) > maxBody:
		return nil, r.fail(fault.ClassPermanent, "ask for less at once", fmt.Errorf("the answer is over %d MiB", maxBody>>20))
	case resp.StatusCode != http.StatusOK:
		return nil, r.status(resp, body)
	}
	return body, nil
}

// unreached is a request that got no answer. go's url.Error names the URL, which
// holds nothing secret here.
func (r request) unreached(err error, wrote bool) error {
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &certificate):
		return r.fail(fault.ClassConfig, "the server's certificate is not trusted: install a valid one, or name its CA in SSL_CERT_FILE", err)
	case errors.As(err, &record), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"): // net/http hides the first behind the second
		return r.fail(fault.ClassConfig, "the server does not speak TLS there: is it https and port 2087?", err)
	case wrote:
		return r.broken(err)
	}
	return r.fail(fault.ClassTransient, "is the server up, and its port 2087 reachable?", err)
}

// broken is an exchange that ended before its answer: a write may have happened.
func (r request) broken(err error) error {
	if r.write {
		return r.fail(fault.ClassUnknownOutcome, "it may have happened all the same", err)
	}
	return r.fail(fault.ClassTransient, "", err)
}

func (r request) status(resp *http.Response, body []byte) error {
	text := fmt.Errorf("HTTP %s", resp.Status)
	if reason := refusal(body); reason != "" {
		text = fmt.Errorf("HTTP %s: %s", resp.Status, reason)
	}
	switch code := resp.StatusCode; {
	case code == http.StatusForbidden || code == http.StatusUnauthorized:
		return r.fail(fault.ClassCredentials, "check user, token and the token's privileges in WHM", text)
	case code == http.StatusTooManyRequests:
		return r.limited(resp.Header.Get("Retry-After"), text)
	case code >= 300 && code < 400:
		return r.fail(fault.ClassConfig, "give the URL it redirects to: "+clip(resp.Header.Get("Location")), text)
	case code == http.StatusNotFound || code == http.StatusMethodNotAllowed:
		return r.fail(fault.ClassConfig, "is that WHM's port, 2087?", text)
	case code >= 500:
		return r.broken(text)
	}
	return r.fail(fault.ClassPermanent, "", text)
}

// limited is the only place where a wait is named; WHM itself documents no limit,
// but what stands before it may have one.
func (r request) limited(header string, text error) error {
	wait := time.Minute
	if seconds, err := strconv.Atoi(header); err == nil && seconds >= 0 {
		wait = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(header); err == nil {
		wait = max(0, time.Until(at))
	}
	return &fault.Error{Class: fault.ClassRateLimited, RetryAfter: max(time.Second, wait), Err: r.text(text)}
}

func (r request) fail(class fault.Class, hint string, err error) error {
	return &fault.Error{Class: class, Hint: hint, Err: r.text(err)}
}

// text is the error without secrets; the cause stays in the chain only when it
// holds none.
func (r request) text(err error) error {
	shown := err.Error()
	for _, secret := range r.secrets {
		if secret == "" {
			continue
		}
		for _, form := range []string{secret, url.QueryEscape(secret)} {
			shown = strings.ReplaceAll(shown, form, "***")
		}
	}
	if shown == err.Error() {
		return fmt.Errorf("WHM %s: %w", r.name, err)
	}
	return fmt.Errorf("WHM %s: %s", r.name, shown)
}

// clip keeps a text of the server's short and on one line.
func clip(s string) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "�")), " ")
	if runes := []rune(s); len(runes) > 300 {
		s = string(runes[:300]) + "…"
	}
	return s
}

// looksLikeHTML tells a login page or a proxy's error from a broken answer.
func looksLikeHTML(body []byte) bool {
	return bytes.HasPrefix(bytes.TrimSpace(body), []byte("<"))
}
