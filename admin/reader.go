package admin

import (
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/tracker"
)

// maxConnections is the largest default of Config.Connections.
const maxConnections = 10

// statementTimeout returns how long the database works on one query of a page.
func (c Config) statementTimeout() time.Duration { return c.Timeout * 2 / 5 }

// limitedReader returns the reader of the pages.
func limitedReader(engine *nawasync.Engine, config Config, q quotas) *tracker.Reader {
	connections := config.Connections
	if connections == 0 {
		connections = maxConnections
		if pool, err := engine.Internals(host.NewKey()).DB().DB(); err == nil && pool.Stats().MaxOpenConnections > 0 {
			connections = min(max(pool.Stats().MaxOpenConnections/4, 1), maxConnections)
		}
	}
	return engine.Reader().WithOptions(tracker.Options{StatementTimeout: config.statementTimeout(), Connections: connections, BeforeScan: q.beforeScan})
}
