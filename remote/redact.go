package remote

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/nawasara/nawasync/secret"
)

// maxText is the longest text of an error in bytes.
const maxText = 600

// redactor returns what removes the secrets of the call from texts: those that the configuration and the
// call name, and those in the request's headers, URL and body that their names mark as secrets.
func (e *exchange) redactor() *secret.Redactor {
	var values []string
	for _, s := range slices.Concat(e.remote.config.Secrets, e.secrets) {
		values = append(values, s.Reveal())
	}
	values = append(values, headerSecrets(e.req.Header)...)
	if e.token != nil {
		values = append(values, e.token.AccessToken, e.token.RefreshToken)
	}
	if password, ok := e.req.URL.User.Password(); ok {
		values = append(values, password)
	}
	values = slices.DeleteFunc(values, func(value string) bool { return value == "" })
	return secret.NewRedactor(e.sentDocument(), nil, values, nil)
}

// headerSecrets returns the values of the headers that may carry credentials, and their parts: the token
// of "Bearer TOKEN", "whm user:TOKEN" and Basic.
func headerSecrets(h http.Header) (list []string) {
	for name, values := range h {
		if !isSecretHeader(name) {
			continue
		}
		for _, value := range values {
			_, token, _ := strings.Cut(value, " ")
			list = append(list, value, token)
			if basic, err := base64.StdEncoding.DecodeString(token); err == nil {
				token = string(basic)
			}
			_, password, _ := strings.Cut(token, ":")
			list = append(list, password)
			if strings.HasSuffix(name, "Cookie") {
				list = append(list, cookieValues(value)...)
			}
		}
	}
	return list
}

func cookieValues(header string) (list []string) {
	for part := range strings.SplitSeq(header, ";") {
		if _, value, ok := strings.Cut(part, "="); ok {
			list = append(list, strings.TrimSpace(value))
		}
	}
	return list
}

// isSecretHeader reports whether a header carries credentials.
func isSecretHeader(name string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc([]string{"auth", "token", "key", "secret", "cookie", "password", "signature", "session"}, func(word string) bool {
		return strings.Contains(name, word)
	})
}

// maxRedacted is how much of a request's body is searched for secrets, in bytes.
const maxRedacted = 1 << 20

// sentDocument returns query and body of the request as a JSON document.
func (e *exchange) sentDocument() []byte {
	document := map[string]any{"query": e.req.URL.Query()}
	if body := e.body(); len(body) > 0 {
		form, err := url.ParseQuery(string(body))
		switch {
		case json.Valid(body):
			document["body"] = json.RawMessage(body)
		case err == nil && strings.Contains(e.req.Header.Get("Content-Type"), "urlencoded"):
			document["body"] = form
		}
	}
	text, err := json.Marshal(document)
	if err != nil {
		return nil
	}
	return text
}

// body returns the body of the request, or nil if it is large or cannot be read twice.
func (e *exchange) body() []byte {
	if e.req.GetBody == nil || e.req.ContentLength > maxRedacted {
		return nil
	}
	body, err := e.req.GetBody()
	if err != nil {
		return nil
	}
	defer func() { _ = body.Close() }()
	text, err := io.ReadAll(io.LimitReader(body, maxRedacted))
	if err != nil {
		return nil
	}
	return text
}

// redact removes secrets from an error. An error whose text has none is kept. Of another one only the text
// is left, and that its context has ended.
func redact(redactor *secret.Redactor, err error) error {
	text := oneLine(err.Error())
	shown := redactor.Clip(text, maxText)
	switch {
	case shown == err.Error():
		return err
	case shown == text:
		return &redactedError{shown, err}
	case errors.Is(err, context.Canceled):
		return &redactedError{shown, context.Canceled}
	case errors.Is(err, context.DeadlineExceeded):
		return &redactedError{shown, context.DeadlineExceeded}
	}
	return errors.New(shown)
}

// redactedError is an error with another text.
type redactedError struct {
	text string
	err  error
}

func (e *redactedError) Error() string { return e.text }
func (e *redactedError) Unwrap() error { return e.err }

// oneLine puts a text on one line and makes it valid UTF-8.
func oneLine(text string) string {
	return strings.Join(strings.Fields(strings.ToValidUTF8(text, "�")), " ")
}

// shownEndpoint returns the name of the endpoint in errors.
func (e *exchange) shownEndpoint(redactor *secret.Redactor) string {
	return redactor.Clip(cmp.Or(e.template(), e.req.URL.Path, "/"), maxText)
}
