package cfapi

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nawasara/nawasync/fault"
)

const (
	maxBody        = 64 << 20 // bytes; 5,000 records have about 3 MiB
	callTimeout    = 60 * time.Second
	connectTimeout = 10 * time.Second
)

// exchange is one call, with what errors need to know about it.
type exchange struct {
	method, path string
	token        string
	wrote        atomic.Bool // whether the server may have received the request
}

// write reports whether the call may change something.
func (e *exchange) write() bool { return e.method != http.MethodGet }

// call makes one call and decodes the result into the value that into points to. A nil into discards the result.
// Errors have a class: see statusError.
func (c *Client) call(ctx context.Context, method, path string, query url.Values, body, into any) (*envelope, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	e := &exchange{method: method, path: path, token: c.token.Reveal()}
	response, err := e.send(ctx, c, query, body)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxBody+1))
	if err != nil {
		return nil, e.incomplete(fmt.Errorf("read the answer: %w", err))
	}
	if len(text) > maxBody {
		return nil, e.fail(fault.ClassPermanent, "list fewer records at once", fmt.Errorf("the answer is larger than %d MiB", maxBody>>20))
	}
	answer, err := e.decode(response, text)
	if err != nil || into == nil {
		return answer, err
	}
	if err := json.Unmarshal(answer.Result, into); err != nil {
		return answer, e.incomplete(fmt.Errorf("decode the result: %w", err))
	}
	return answer, nil
}

func (e *exchange) send(ctx context.Context, c *Client, query url.Values, body any) (*http.Response, error) {
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { e.wrote.Store(true) }})
	var content io.Reader = http.NoBody
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, e.fail(fault.ClassPermanent, "", err)
		}
		content = bytes.NewReader(text)
	}
	target := c.base.JoinPath(e.path)
	target.RawQuery = query.Encode()
	request, err := http.NewRequestWithContext(ctx, e.method, target.String(), content)
	if err != nil {
		return nil, e.fail(fault.ClassConfig, "", err)
	}
	request.Header.Set("Authorization", "Bearer "+e.token)
	request.Header.Set("Accept", "application/json")
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, e.unanswered(err)
	}
	return response, nil
}

// unanswered is the error of a request without an answer.
func (e *exchange) unanswered(err error) error {
	var certificate *tls.CertificateVerificationError
	var known *fault.Error
	switch {
	case errors.As(err, &known): // the client of Config.HTTP has classified it
		return e.redact(err)
	case errors.As(err, &certificate):
		return e.fail(fault.ClassConfig, "the certificate is not trusted: install a valid one, or set SSL_CERT_FILE to its CA", err)
	case e.wrote.Load():
		return e.incomplete(err)
	}
	return e.fail(fault.ClassTransient, "check that the API is reachable from this machine", err)
}

// incomplete is the error of an exchange without a usable answer. A write may have happened, so its outcome is
// unknown. A read can be repeated.
func (e *exchange) incomplete(err error) error {
	if e.write() {
		return e.fail(fault.ClassUnknownOutcome, "the change may have been made", err)
	}
	return e.fail(fault.ClassTransient, "", err)
}

func (e *exchange) fail(class fault.Class, hint string, err error) error {
	return &fault.Error{Class: class, Hint: hint, Err: e.redact(err)}
}

// redact names the call in an error, and removes the token from its text.
func (e *exchange) redact(err error) error {
	if text := err.Error(); strings.Contains(text, e.token) {
		return fmt.Errorf("cloudflare %s %s: %s", e.method, e.path, strings.ReplaceAll(text, e.token, "***"))
	}
	return fmt.Errorf("cloudflare %s %s: %w", e.method, e.path, err)
}

// clip shortens a server's text to 300 characters on one line.
func clip(s string) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "�")), " ")
	if runes := []rune(s); len(runes) > 300 {
		s = string(runes[:300]) + "…"
	}
	return s
}
