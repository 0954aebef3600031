// Package sweeper is the safety net under the lanes of jobs.
package sweeper

import (
	"context"
	"math"
	"time"

	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/internal/loop"
)

// Sweeper looks at all lanes with open jobs, one part with each Tick, and returns to the queue a
// first job that nobody else will return. Only one process sweeps at a time.
//
// To find the lanes, the database reads the index entries of all open jobs, and of all others that were open
// since its oldest transaction began. So a part is a range of lanes, which is narrower after a slow part and
// wider after a fast one, and the parts have a limited share of the time. Lanes are hashes, so each range of one
// width has about as many entries.
type Sweeper struct {
	Store    *jobstore.Store
	Interval time.Duration // between two ticks
	Holder   func() string // returns this process's id

	begun     bool
	after     int64 // the lane after which the next part begins
	narrowing int   // a part is the range of all lanes, halved so many times
	parts     loop.Share
	now       func() time.Time
}

const (
	mostLanes     = 1000        // in one part
	partTimeout   = time.Second // a part that takes longer is given up and a narrower one is tried
	mostNarrowing = 20          // parts are then a millionth of all lanes
)

// Tick looks at the next lanes, unless another process sweeps or the last part took long. more is always
// false: the sweep has no hurry.
func (s *Sweeper) Tick(ctx context.Context) (more bool, err error) {
	locked, err := s.Store.TryLock(ctx, "sweeper", s.Holder(), 2*s.Interval)
	if err != nil || !locked {
		return false, err
	}
	if !s.begun {
		s.after, s.begun = math.MinInt64, true
	}
	_, err = s.parts.Run(s.clock(), func() error { return s.part(ctx) })
	return false, err
}

// part looks at the next part, and chooses the width of the one after it.
func (s *Sweeper) part(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, partTimeout)
	defer cancel()
	begin := time.Now()
	next, err := s.Store.SweepLanes(bounded, s.after, s.until(), mostLanes)
	s.adapt(time.Since(begin))
	if err != nil {
		if bounded.Err() != nil && ctx.Err() == nil && s.narrowing < mostNarrowing {
			return nil
		}
		return err
	}
	s.after, s.begun = next, next != math.MaxInt64
	return nil
}

// until returns the last lane of the next part.
func (s *Sweeper) until() int64 {
	left := uint64(math.MaxInt64) - uint64(s.after)
	width := uint64(1) << (64 - s.narrowing) // 0 for all lanes
	if s.narrowing == 0 || width > left {
		return math.MaxInt64
	}
	return s.after + int64(width)
}

// adapt chooses the width of the next part so that it takes about a hundredth of the interval.
func (s *Sweeper) adapt(took time.Duration) {
	switch {
	case took >= partTimeout:
		s.narrowing = min(s.narrowing+3, mostNarrowing)
	case took > s.Interval/100:
		s.narrowing = min(s.narrowing+1, mostNarrowing)
	case took < s.Interval/400 && s.narrowing > 0:
		s.narrowing--
	}
}

func (s *Sweeper) clock() time.Time {
	if s.now != nil {
		return s.now()
	}
	return time.Now()
}
