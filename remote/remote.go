// Package remote helps the clients of external APIs to live within the limits of those APIs.
package remote

import (
	"cmp"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/nawasara/nawasync/internal/remotecall"
)

// Remote is one external service. It is safe for concurrent use.
type Remote struct {
	config   Config
	tokens   tokens
	breakers breakers
	ledger   *remotecall.Ledger
	budgets  *budgets
	tracing  atomic.Pointer[tracing]
}

// Service returns the service of the jobs.
func (r *Remote) Service() string { return r.config.Service }

// New returns a Remote.
func New(config Config) (*Remote, error) {
	if config.Service == "" {
		return nil, errors.New("create a remote: Config.Service is empty; set it to the service of its jobs")
	}
	config.Timeout = cmp.Or(config.Timeout, 60*time.Second)
	config.MaxWait = cmp.Or(config.MaxWait, 2*time.Second)
	config.MaxBody = cmp.Or(config.MaxBody, 64<<20)
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Base == nil {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.DialContext = (&net.Dialer{Timeout: 10 * time.Second}).DialContext
		config.Base = transport
	}
	budgets, err := newBudgets(&config)
	if err != nil {
		return nil, err
	}
	r := &Remote{config: config, budgets: budgets, ledger: newLedger(config)}
	r.Trace(remotecall.NewKey(), nil, globalPropagator)
	return r, nil
}
