// Package rollup folds what jobs added to the statistics into minute, hour and day rows.
package rollup

import (
	"context"
	"time"

	"github.com/nawasara/nawasync/internal/jobstore"
)

// Rollup is one process's rollup; of many, one works at a time.
type Rollup struct {
	Store    *jobstore.Store
	Interval time.Duration // between two rounds
	Holder   func() string // this process's id
}

const batch = 1000

// Tick is one round.
func (r *Rollup) Tick(ctx context.Context) (more bool, err error) {
	// The lock keeps its stored name: processes of an older release take it too.
	mine, err := r.Store.TryLock(ctx, "folder", r.Holder(), 5*r.Interval)
	if err != nil || !mine {
		return false, err
	}
	n, err := r.Store.Rollup(ctx, batch)
	return n == batch, err
}
