// Package rollup adds the statistics of finished jobs, and of the calls of external APIs, to the rows of minutes and
// longer periods.
package rollup

import (
	"context"
	"time"

	"github.com/nawasara/nawasync/internal/jobstore"
)

// Rollup is the rollup of one process. Only one process rolls up at a time.
type Rollup struct {
	Store    *jobstore.Store
	Interval time.Duration // between two ticks
	Holder   func() string // returns this process's id
}

const batch = 1000

// Tick rolls up one batch, unless another process is rolling up. more reports whether there is more
// to roll up.
func (r *Rollup) Tick(ctx context.Context) (more bool, err error) {
	// The name of the lock must not change: processes of older releases use the same name.
	locked, err := r.Store.TryLock(ctx, "folder", r.Holder(), 5*r.Interval)
	if err != nil || !locked {
		return false, err
	}
	n, err := r.Store.Rollup(ctx, batch)
	if err != nil {
		return false, err
	}
	calls, err := r.Store.RollupCalls(ctx, batch)
	return n == batch || calls == batch, err
}
