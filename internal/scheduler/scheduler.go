// Package scheduler dispatches the jobs of schedules. A tick belongs to whoever
// moves last_tick over it, in the transaction that dispatches: any number of
// processes, slow ones and ones with a wrong clock, make one row of it.
package scheduler

import (
	"context"
	"errors"
	"hash/fnv"
	"log/slog"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/cronspec"
	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/tracker"
)

// Entry is one registered schedule.
type Entry struct {
	Row        tracker.Schedule
	Spec       *cronspec.Spec
	Jitter     time.Duration
	RunAtStart bool
	// Dispatch adds the tick's job in tx, due at the given time, and returns its id.
	Dispatch func(ctx context.Context, tx *gorm.DB, due time.Time) (int64, error)
}

// Scheduler is one process's scheduler.
type Scheduler struct {
	Store   *jobstore.Store
	Logger  *slog.Logger
	Entries []Entry
	// Transaction runs fn in a transaction after which its jobs are rung.
	Transaction func(ctx context.Context, fn func(tx *gorm.DB) error) error

	seenAt  time.Time
	started map[string]bool // schedules whose start has been seen to
}

const (
	registerInterval = time.Minute // between two notes that a schedule is registered
	// runAtStartInterval keeps the processes of one deploy from each running a schedule
	// that runs at start.
	runAtStartInterval = time.Minute
)

// Tick is one round.
func (s *Scheduler) Tick(ctx context.Context) (bool, error) {
	if len(s.Entries) == 0 {
		return false, nil
	}
	if s.started == nil {
		s.started = map[string]bool{}
	}
	now := s.Store.Now()
	if now.Sub(s.seenAt) >= registerInterval {
		for _, e := range s.Entries {
			if err := s.Store.SeeSchedule(ctx, e.Row, now); err != nil {
				return false, err
			}
		}
		s.seenAt = now
	}
	rows, err := s.Store.Schedules(ctx)
	if err != nil {
		return false, err
	}
	last := map[string]time.Time{}
	for _, row := range rows {
		last[row.Name] = row.LastTick
	}
	var errs []error
	for _, e := range s.Entries {
		name, before := e.Row.Name, last[e.Row.Name]
		tick := e.Spec.Newest(before, now)
		if e.RunAtStart && !s.started[name] && (now.Sub(before) > runAtStartInterval || before.Equal(now)) {
			tick = now.Add(time.Microsecond) // also when the row was made a moment ago
		}
		if !tick.IsZero() {
			if err := s.dispatch(ctx, e, before, tick); err != nil {
				errs = append(errs, err)
				continue
			}
		}
		s.started[name] = true
	}
	return false, errors.Join(errs...)
}

func (s *Scheduler) dispatch(ctx context.Context, e Entry, before, tick time.Time) error {
	return s.Transaction(ctx, func(tx *gorm.DB) error {
		won, err := s.Store.WinTick(ctx, tx, e.Row.Name, before, tick)
		if err != nil || !won {
			return err
		}
		id, err := e.Dispatch(ctx, tx, tick.Add(jitter(e.Row.Name, tick, e.Jitter)))
		if err != nil {
			return err
		}
		return s.Store.TickJob(ctx, tx, e.Row.Name, id)
	})
}

// jitter spreads schedules over a time, the same way in every process.
func jitter(name string, tick time.Time, limit time.Duration) time.Duration {
	if limit <= 0 {
		return 0
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(name + tick.UTC().Format(time.RFC3339)))
	return time.Duration(h.Sum64() % uint64(limit))
}
