package remote

import (
	"context"

	"github.com/nawasara/nawasync/internal/remotecall"
	"github.com/nawasara/nawasync/secret"
)

// Ledger is for package nawasync, which stores what the calls of a service have in common. It returns nil
// to all others, who cannot name the type of its parameter.
func (r *Remote) Ledger(key remotecall.Key) *remotecall.Ledger {
	if !key.Valid() {
		return nil
	}
	return r.ledger
}

// newLedger returns the ledger of a service. Its templates do not contain the secrets of the client.
func newLedger(config Config) *remotecall.Ledger {
	values := make([]string, 0, len(config.Secrets))
	for _, s := range config.Secrets {
		if !s.IsZero() {
			values = append(values, s.Reveal())
		}
	}
	return remotecall.NewLedger(config.Service, secret.NewRedactor(nil, nil, values, nil).Clip)
}

// record counts a call that has ended, and tells its job. It runs no statement and waits for nothing.
func (r *Remote) record(ctx context.Context, call remotecall.Call) {
	call = r.ledger.Add(ctx, call)
	if job := remotecall.From(ctx); job != nil && job.Record != nil {
		job.Record(call)
	}
}
