package admin

import (
	"context"
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

// countStates counts the snapshot rows of a table. One page at a time does, because the query runs on a
// connection of the engine.
func (h *handler) countStates(ctx context.Context, table nawasync.RepositoryInfo, instance string) (counts map[nawasync.SyncState]int64, err error) {
	err = h.oneAtATime(ctx, func() (err error) {
		counts, err = h.engine.CountStates(ctx, table.Service, table.Type, instance)
		return err
	})
	return counts, err
}

// instancesWith returns those of the instances whose snapshot rows have an ID, like countStates one page at a time.
func (h *handler) instancesWith(ctx context.Context, table nawasync.RepositoryInfo, instances []string, id string) (found []string, err error) {
	err = h.oneAtATime(ctx, func() (err error) {
		found, err = h.engine.InstancesWith(ctx, table.Service, table.Type, instances, id)
		return err
	})
	return found, err
}

// oneAtATime runs a query of snapshot rows when no other page does.
func (h *handler) oneAtATime(ctx context.Context, query func() error) error {
	select {
	case h.counting <- struct{}{}:
		defer func() { <-h.counting }()
	case <-ctx.Done():
		return ctx.Err()
	}
	return query()
}
