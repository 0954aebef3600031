package remote

import (
	"net/http"
	"time"

	"github.com/redis/go-redis/v9"

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
	// MaxWait is the longest wait inside a call, for the budget or because the server has asked for it.
	// A longer one parks the limit scope. Default 2 s.
	MaxWait time.Duration
	// Template names the endpoint of a request, with placeholders for its variable parts, for example
	// "/zones/{zone}/dns_records". Nil, and "", is "other", as is each template after the first 200.
	Template func(*http.Request) string
	// Class names the class of endpoints whose budget a request uses. Nil is "".
	Class func(*http.Request) string
	// Budgets are the limits of the service, for each limit scope. None means no limit.
	Budgets []Budget
	// Redis shares the budgets between processes. Without it each process has a budget of its own.
	Redis redis.UniversalClient
	// Secrets are credentials that errors must not contain.
	Secrets []secret.Secret
	// Now returns the current time. Default time.Now.
	Now func() time.Time
}

// Budget is how many calls of a class a limit scope may make in a window.
type Budget struct {
	Class  string // "" is all classes that have no budget of their own
	Calls  int
	Window time.Duration
}
