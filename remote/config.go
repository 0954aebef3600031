package remote

import (
	"context"
	"net/http"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/oauth2"

	"github.com/nawasara/nawasync/secret"
)

// Config describes one external service. Only Service is required.
type Config struct {
	// Service is the service of the jobs' Kind.
	Service string
	// Base sends the requests. Nil is a copy of http.DefaultTransport that connects within 10 s.
	Base http.RoundTripper
	// Timeout limits one attempt of a call, its answer's body included. Default 60 s.
	Timeout time.Duration
	// MaxBody is the largest body of an answer in bytes. A larger one is an error. Default 64 MiB.
	MaxBody int64
	// MaxWait is the longest wait inside a call, for the budget or because the server has asked for it.
	// A longer one parks the limit scope. Default 2 s.
	MaxWait time.Duration
	// Template names the endpoint of a request, with placeholders for its variable parts, for example
	// "/zones/{zone}/dns_records". It is stored and shown, so it must not contain what varies, such as an id
	// or a name. A query string is removed. Nil, and "", is "other", as is each template after the first 200.
	Template func(*http.Request) string
	// Class names the class of endpoints whose budget a request uses. Nil is "".
	Class func(*http.Request) string
	// Envelope takes the answers of Call apart, whatever their status and content. It sets Answer.Data to
	// what Call decodes, or returns the error that the answer reports: with a class if the answer tells
	// which, otherwise the class follows from the status. Nil accepts each answer with status 2xx.
	Envelope func(*Answer) error
	// Token requests an access token for a limit scope, for example with the Token of
	// clientcredentials.Config. The calls send it as their Authorization header, unless they have one. It
	// is requested again a quarter of its life before it expires, at most a minute, by one request for all
	// calls, and once inside a call that the server answers with 401. A refusal of the server of tokens is
	// fault.ClassCredentials. ctx has an HTTP client for package oauth2. Nil sends no token.
	Token func(ctx context.Context, scope string) (*oauth2.Token, error)
	// TokenScope returns the limit scope that the requests for the tokens of a limit scope belong to: its budget,
	// silence and breaker. Nil, and the name that it got, is the limit scope itself. Name another one if the
	// server of tokens is not that of the API.
	TokenScope func(scope string) string
	// Budgets are the limits of the service, for each limit scope. None means no limit.
	Budgets []Budget
	// Redis shares the budgets between processes. Without it each process has a budget of its own. While it
	// is away, each process goes on with a part; see Budget.
	Redis redis.UniversalClient
	// Secrets are credentials that errors must not contain.
	Secrets []secret.Secret
	// Now returns the current time. Default time.Now.
	Now func() time.Time
}
