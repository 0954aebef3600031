package nawasync

import (
	"context"
	"time"

	"github.com/nawasara/nawasync/internal/host"
)

const (
	// longIdle is a limit for idle transactions that is as good as none.
	longIdle = 10 * time.Minute
	// idleLimitTimeout is how long reading the limit may take.
	idleLimitTimeout = 5 * time.Second
)

// IdleLimit returns the limit of the connections of Config.DB. It reads it at most once a minute.
func (i internals) IdleLimit(ctx context.Context) (host.IdleLimit, error) {
	return i.readIdleLimit(ctx)
}

func (e *Engine) readIdleLimit(ctx context.Context) (host.IdleLimit, error) {
	limit, err := e.idleLimit.Get(ctx)
	if err != nil {
		return host.IdleLimit{}, err
	}
	l := host.IdleLimit{Server: e.store.Server(), Limit: limit}
	if limit == 0 || limit > longIdle {
		l.Setting = map[string]string{
			"PostgreSQL": "idle_in_transaction_session_timeout = '60s'",
			"MariaDB":    "idle_transaction_timeout = 60",
			"MySQL":      "wait_timeout = 60", // it has none for transactions
		}[l.Server]
	}
	return l, nil
}

// warnOfIdleLimit logs a warning if rows that a frozen process has locked stay locked.
func (e *Engine) warnOfIdleLimit(ctx context.Context) {
	l, err := e.readIdleLimit(ctx)
	switch {
	case err != nil:
		e.logger.Warn("it is not known whether the database ends the transactions of frozen processes", "error", err)
	case l.Setting != "":
		e.logger.Warn(
			"the database does not end the transactions of frozen processes and lost machines soon, so the rows that they have locked stay locked; set a timeout for idle transactions for the user of this application",
			"server", l.Server, "set", l.Setting, "limit", l.Limit,
		)
	}
}
