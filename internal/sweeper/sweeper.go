// Package sweeper is the safety net under the lanes of jobs.
package sweeper

import (
	"context"
	"math"
	"time"

	"github.com/nawasara/nawasync/internal/jobstore"
)

// Sweeper looks at all lanes with open jobs, one part with each Tick, and returns to the queue a
// first job that nobody else will return. Only one process sweeps at a time.
type Sweeper struct {
	Store    *jobstore.Store
	Interval time.Duration // between two ticks
	Holder   func() string // returns this process's id

	begun bool
	after int64 // the lane after which the next tick begins
}

// step is how many lanes one tick looks at.
const step = 1000

// Tick looks at the next lanes, unless another process sweeps. more is always false: the sweep has
// no hurry.
func (s *Sweeper) Tick(ctx context.Context) (more bool, err error) {
	locked, err := s.Store.TryLock(ctx, "sweeper", s.Holder(), 2*s.Interval)
	if err != nil || !locked {
		return false, err
	}
	if !s.begun {
		s.after, s.begun = math.MinInt64, true
	}
	next, end, err := s.Store.SweepLanes(ctx, s.after, step)
	if err != nil {
		return false, err
	}
	s.after, s.begun = next, !end
	return false, nil
}
