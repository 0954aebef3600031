package admin

import (
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/host"
)

// maxConnections is the largest default of Config.Connections.
const maxConnections = 10

// statementTimeout returns how long the database works on one query of a page.
func (c Config) statementTimeout() time.Duration { return c.Timeout * 2 / 5 }

// defaultConnections returns the default of Config.Connections.
func defaultConnections(engine *nawasync.Engine) int {
	pool, err := engine.Internals(host.NewKey()).DB().DB()
	if err != nil || pool.Stats().MaxOpenConnections == 0 {
		return maxConnections
	}
	return min(max(pool.Stats().MaxOpenConnections/4, 1), maxConnections)
}
