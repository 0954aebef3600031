// Package interrupt finds out whether a driver of SQLite stops a statement when its context ends.
package interrupt

import (
	"context"
	"database/sql"
	"time"
)

// count counts to its parameter. A driver that ignores the context counts to the end.
const count = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < ?) SELECT COUNT(*) FROM c"

// probe is how far the statement counts: about 20 ms.
const probe = 60_000

// Supported reports whether the driver of pool, a database of SQLite, stops a statement when its context
// ends. On a busy machine it may report false although the driver does. It takes about 25 ms.
func Supported(ctx context.Context, pool *sql.DB) (bool, error) {
	for range 3 { // a short delay can look like a statement that was stopped, but not three times
		if stopped, err := stops(ctx, pool); err != nil || !stopped {
			return false, err
		}
	}
	return true, nil
}

// stops reports whether a statement ended much earlier than it would have without the end of its context.
func stops(ctx context.Context, pool *sql.DB) (bool, error) {
	full := time.Duration(0) // how long the statement of the probe takes
	for range 5 {
		begin := time.Now()
		if err := countTo(ctx, pool, probe/100); err != nil {
			return false, err
		}
		if took := time.Since(begin) * 100; full == 0 || took < full {
			full = took
		}
	}
	short, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	begin := time.Now()
	err := countTo(short, pool, probe)
	// A driver that ignores the context may still return its error, at the end of the statement.
	return err != nil && time.Since(begin) < full/4, ctx.Err()
}

func countTo(ctx context.Context, pool *sql.DB, n int) error {
	var counted int
	return pool.QueryRowContext(ctx, count, n).Scan(&counted)
}
