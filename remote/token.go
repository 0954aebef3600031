package remote

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"golang.org/x/oauth2"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/remotecall"
)

// tokenEndpoint names the requests for access tokens in the ledger, if Config.Template does not.
const tokenEndpoint = "access token"

// maxEarly is the longest time before its expiry that a token is replaced.
const maxEarly = time.Minute

// tokens are the access tokens of the limit scopes. They are safe for concurrent use.
type tokens struct {
	mu     sync.Mutex
	scopes map[string]*scopeToken
}

type scopeToken struct {
	token *oauth2.Token // nil without
	early time.Time     // when it is replaced; zero for never
	fetch *tokenFetch   // nil while none runs
}

// tokenFetch is a request for a token, which all calls that need it wait for.
type tokenFetch struct {
	done  chan struct{}
	token *oauth2.Token
	err   error
}

// accessToken returns the access token for the call, or nil if it needs none.
func (e *exchange) accessToken(ctx context.Context) (*oauth2.Token, error) {
	if e.remote.config.Token == nil || e.tokenless || e.req.Header.Get("Authorization") != "" {
		return nil, nil //nolint:nilnil // none is needed
	}
	return e.remote.accessToken(ctx, e.scope)
}

// accessToken returns an access token of a limit scope. One that expires soon is replaced, by one request for all
// calls that wait for it.
func (r *Remote) accessToken(ctx context.Context, scope string) (*oauth2.Token, error) {
	r.tokens.mu.Lock()
	s := r.tokens.scopes[scope]
	if s == nil {
		if r.tokens.scopes == nil {
			r.tokens.scopes = map[string]*scopeToken{}
		}
		s = &scopeToken{}
		r.tokens.scopes[scope] = s
	}
	if s.token != nil && (s.early.IsZero() || r.config.Now().Before(s.early)) {
		defer r.tokens.mu.Unlock()
		return s.token, nil
	}
	fetch := s.fetch
	if fetch == nil {
		fetch = &tokenFetch{done: make(chan struct{})}
		s.fetch = fetch
		go r.fetchToken(context.WithoutCancel(ctx), scope, s, fetch)
	}
	r.tokens.mu.Unlock()
	select {
	case <-fetch.done:
		return fetch.token, fetch.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// fetchToken requests a token. If that fails for another reason than refused credentials, the present token
// is used until it expires. The request is made for all who wait, now or later: it spends the calls of people, so
// that a bulk job without budget does not fail it for them, and leaves alone what is reserved for the job.
func (r *Remote) fetchToken(ctx context.Context, scope string, s *scopeToken, fetch *tokenFetch) {
	ctx, cancel := context.WithTimeout(remotecall.WithoutReserved(ctx), r.config.MaxWait+r.config.Timeout)
	defer cancel()
	asked := scope
	if r.config.TokenScope != nil {
		scope = r.config.TokenScope(scope)
	}
	began := r.config.Now()
	client := &http.Client{
		Transport:     &transport{remote: r, scope: scope, tokenless: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	token, err := r.config.Token(context.WithValue(ctx, oauth2.HTTPClient, client), asked)
	if err == nil && (token == nil || token.AccessToken == "") {
		err = fault.WithClass(fault.ClassConfig, errors.New("remote.Config.Token returned no token"))
	}
	r.tokens.mu.Lock()
	defer r.tokens.mu.Unlock()
	s.fetch = nil
	switch now := r.config.Now(); {
	case err == nil:
		s.token, s.early = token, replaceAt(token, began)
	case s.token != nil && now.Before(s.token.Expiry) && tokenClass(err) != fault.ClassCredentials:
		token, err = s.token, nil
	default:
		s.token = nil
	}
	fetch.token, fetch.err = token, err
	close(fetch.done)
}

// replaceAt returns when a token that was requested at began is replaced: after three quarters of its life,
// at most maxEarly before its expiry.
func replaceAt(token *oauth2.Token, began time.Time) time.Time {
	if token.Expiry.IsZero() {
		return time.Time{}
	}
	return token.Expiry.Add(-min(maxEarly, max(0, token.Expiry.Sub(began))/4))
}

// dropToken forgets a token that the server has refused. It reports whether there can be another one.
func (r *Remote) dropToken(scope string, refused *oauth2.Token) {
	r.tokens.mu.Lock()
	defer r.tokens.mu.Unlock()
	if s := r.tokens.scopes[scope]; s != nil && s.token == refused {
		s.token = nil
	}
}

// tokenClass returns the class of an error of Config.Token.
func tokenClass(err error) fault.Class {
	var refused *oauth2.RetrieveError
	if f := fault.Outermost(err); f != nil || !errors.As(err, &refused) || refused.Response == nil {
		return fault.ClassOf(err)
	}
	switch status := refused.Response.StatusCode; status {
	case http.StatusBadRequest, http.StatusForbidden: // as OAuth 2 says it, for example invalid_client
		return fault.ClassCredentials
	case http.StatusNotFound:
		return fault.ClassConfig
	default:
		return classOfStatus(status, http.MethodPost, true)
	}
}

// tokenError returns the error of a call that got no token. The answer of the token's server is not quoted
// but for its error code.
func (e *exchange) tokenError(err error) error {
	if ctx := e.req.Context(); ctx.Err() != nil {
		return e.interrupted(context.Cause(ctx))
	}
	f := &fault.Error{Class: tokenClass(err), Err: err}
	if known := fault.Outermost(err); known != nil {
		f.RetryAfter, f.Err = known.RetryAfter, known
	}
	if refused, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		f.Err = errors.New(refused.ErrorCode)
		if refused.Response != nil {
			f.RetryAfter = e.remote.retryAfter(&Answer{Header: refused.Response.Header})
			f.Err = fmt.Errorf("HTTP %d %s", refused.Response.StatusCode, refused.ErrorCode)
		}
	}
	f.Err = fmt.Errorf("the request for an access token failed: %w", f.Err)
	if f.Class == fault.ClassCredentials {
		f.Hint = "check the client's id and secret"
	}
	return e.failed(f, 0)
}
