// Package scheduler dispatches the jobs of schedules. A process claims a tick by moving last_tick
// forward in the transaction that dispatches the tick's job. A tick therefore never becomes two
// jobs, no matter how many processes there are and whether some are slow or have a wrong clock.
package scheduler

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
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
	Jitter     time.Duration // upper limit of the delay that is added to each tick; 0 means none
	RunAtStart bool          // also dispatch a job when the process starts
	// Dispatch adds a job, due at the given time, in tx. It returns the job's id. by is the operator who
	// has asked for the job, or "" for the job of a tick.
	Dispatch func(ctx context.Context, tx *gorm.DB, due time.Time, by string) (int64, error)
}

// Scheduler is the scheduler of one process.
type Scheduler struct {
	Store   *jobstore.Store
	Entries []Entry
	// Transaction runs fn in a transaction and, after the commit, wakes the jobs that fn
	// dispatched.
	Transaction func(ctx context.Context, fn func(tx *gorm.DB) error) error

	// CommonClock says that the processes agree on the time, either because their clocks are
	// corrected by the database's clock or because they share one machine.
	CommonClock bool

	latest  time.Time       // time of the last round without an error
	seenAt  time.Time       // when the schedules were last registered in the database
	started map[string]bool // names of the schedules whose RunAtStart was handled
}

const (
	// registerInterval is the time between two updates of a schedule's seen_at.
	registerInterval = time.Minute
	// runAtStartInterval is how long after a schedule's last tick RunAtStart has no effect, so that
	// the processes of one deployment do not all dispatch the job.
	runAtStartInterval = time.Minute
	// clockTolerance is how far in the future a last tick may be. A last tick further in the future
	// was written while the clock of the database was ahead. Without a reset, the schedule would
	// not tick until the clock reaches that time.
	clockTolerance = time.Minute
)

// Tick dispatches the job of the newest missed tick of each schedule. more is always false.
func (s *Scheduler) Tick(ctx context.Context) (more bool, err error) {
	if len(s.Entries) == 0 {
		return false, nil
	}
	if s.started == nil {
		s.started = map[string]bool{}
	}
	now := s.Store.Now()
	// Without a common clock, a last tick in the future may come from a process whose clock is
	// ahead. Reset it only if this process's clock was set back.
	mayReset := s.CommonClock || s.latest.Sub(now) > clockTolerance
	stored, err := s.rows(ctx, now)
	if err != nil {
		return false, err
	}
	errs := []error{s.expire(ctx, stored)}
	for _, e := range s.Entries {
		name, row := e.Row.Name, stored[e.Row.Name]
		before := row.LastTick
		if !row.RunAskedAt.IsZero() && !row.RunExpired(now) {
			if err := s.runAsked(ctx, e, row.RunAskedAt, now); err != nil {
				errs = append(errs, fmt.Errorf("dispatch the run of schedule %s that an operator asked for: %w", name, err))
			}
		}
		if mayReset && before.Sub(now) > clockTolerance {
			if err := s.Store.ResetTick(ctx, name, before, now); err != nil {
				errs = append(errs, fmt.Errorf("reset the last tick of schedule %s: %w", name, err))
			}
			continue // the next round reads the new last tick
		}
		tick := e.Spec.Newest(before, now)
		if e.RunAtStart && !s.started[name] && (now.Sub(before) > runAtStartInterval || before.Equal(now)) {
			// A row that this round has just added has now as its last tick, and ClaimTick accepts
			// only a later tick.
			tick = now.Add(time.Microsecond)
		}
		if !tick.IsZero() {
			if err := s.handleTick(ctx, e, row, tick); err != nil {
				errs = append(errs, fmt.Errorf("dispatch schedule %s: %w", name, err))
				continue
			}
		}
		s.started[name] = true
	}
	err = errors.Join(errs...)
	if err == nil {
		s.latest = now
	}
	return false, err
}

// rows registers the schedules from time to time, and returns their rows by name.
func (s *Scheduler) rows(ctx context.Context, now time.Time) (map[string]tracker.Schedule, error) {
	if age := now.Sub(s.seenAt); age < 0 || age >= registerInterval { // age is negative if the clock was set back
		for _, e := range s.Entries {
			if err := s.Store.SeeSchedule(ctx, e.Row, now); err != nil {
				return nil, err
			}
		}
		s.seenAt = now
	}
	rows, err := s.Store.Schedules(ctx)
	if err != nil {
		return nil, err
	}
	stored := map[string]tracker.Schedule{}
	for _, row := range rows {
		stored[row.Name] = row
	}
	return stored, nil
}

// handleTick dispatches the job of a tick or, during a pause of the schedule, leaves it out.
func (s *Scheduler) handleTick(ctx context.Context, e Entry, row tracker.Schedule, tick time.Time) error {
	if !row.PausedUntil.Before(tick) {
		return s.Store.SkipTick(ctx, row.Name, row.LastTick, tick)
	}
	return s.dispatch(ctx, e, row.LastTick, tick)
}

// expire clears the requests for a run that no process has taken, also those of schedules of other processes.
func (s *Scheduler) expire(ctx context.Context, rows map[string]tracker.Schedule) error {
	var errs []error
	for _, row := range rows {
		errs = append(errs, s.Store.ExpireScheduleRun(ctx, row))
	}
	return errors.Join(errs...)
}

// runAsked dispatches the job that an operator has asked for, unless another process has. It is not a tick: the
// next tick stays where it is.
func (s *Scheduler) runAsked(ctx context.Context, e Entry, asked, now time.Time) error {
	return s.Transaction(ctx, func(tx *gorm.DB) error {
		by, won, err := s.Store.ClaimScheduleRun(ctx, tx, e.Row.Name, asked)
		if err != nil || !won {
			return err
		}
		id, err := e.Dispatch(ctx, tx, now, by)
		if err != nil {
			return err
		}
		return s.Store.SetTickJob(ctx, tx, e.Row.Name, id)
	})
}

// dispatch dispatches the job of a tick, unless another process has claimed the tick. before is
// the last tick that this process has read.
func (s *Scheduler) dispatch(ctx context.Context, e Entry, before, tick time.Time) error {
	return s.Transaction(ctx, func(tx *gorm.DB) error {
		won, err := s.Store.ClaimTick(ctx, tx, e.Row.Name, before, tick)
		if err != nil || !won {
			return err
		}
		id, err := e.Dispatch(ctx, tx, tick.Add(jitter(e.Row.Name, tick, e.Jitter)), "")
		if err != nil {
			return err
		}
		return s.Store.SetTickJob(ctx, tx, e.Row.Name, id)
	})
}

// jitter returns a delay below limit that is the same in every process. It spreads out the jobs of
// schedules that tick at the same time.
func jitter(name string, tick time.Time, limit time.Duration) time.Duration {
	if limit <= 0 {
		return 0
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(name + tick.UTC().Format(time.RFC3339)))
	return time.Duration(h.Sum64() % uint64(limit))
}
