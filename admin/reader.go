package admin

import (
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/tracker"
)

// statementTimeout returns how long the database works on one query of a page.
func (c Config) statementTimeout() time.Duration { return c.Timeout * 2 / 5 }

// limitedReader returns the reader of the pages.
func limitedReader(engine *nawasync.Engine, config Config) *tracker.Reader {
	return engine.Reader().WithOptions(tracker.Options{StatementTimeout: config.statementTimeout()})
}
