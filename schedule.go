package nawasync

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/cronspec"
	"github.com/nawasara/nawasync/internal/scheduler"
	"github.com/nawasara/nawasync/tracker"
)

// Schedule dispatches a job again and again.
type Schedule struct {
	// Name identifies the schedule across processes and deploys.
	Name string
	// Spec is a five-field cron expression, "@hourly" and its like, or "@every 10m".
	Spec string
	// Timezone is an IANA name; "" is UTC. A time that the clock skips ticks at the
	// moment of the skip; a time that comes twice ticks the first time.
	Timezone string
	// Jitter delays each tick's job by a part of it, so that schedules of one time
	// do not all start at once; 0 is none.
	Jitter time.Duration
	// RunAtStart also runs the job when a process starts, once per deploy.
	RunAtStart bool
	// Args are dispatched at each tick.
	Args Args
}

// Schedule registers s. Every process that may dispatch it should register it:
// each tick makes one job however many do. After a downtime only the newest
// missed tick runs. It returns an error for a name that is taken, an expression or
// zone that is not valid, arguments that could not be dispatched, and ErrStarted.
func (e *Engine) Schedule(s Schedule) error {
	if err := validateText("schedule name", s.Name, 1, 100); err != nil {
		return err
	}
	spec, err := cronspec.Parse(s.Spec, s.Timezone)
	if err != nil {
		return fmt.Errorf("schedule %s: %w", s.Name, err)
	}
	if s.Args == nil {
		return fmt.Errorf("schedule %s has no Args", s.Name)
	}
	if s.Jitter < 0 {
		return fmt.Errorf("schedule %s: Jitter is negative", s.Name)
	}
	options := Options{By: "schedule:" + s.Name, Source: SourceScheduled}
	job, err := e.buildJob(s.Args, options)
	if err != nil {
		return fmt.Errorf("schedule %s: %w", s.Name, err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.started {
		return ErrStarted
	}
	for _, entry := range e.schedules {
		if entry.Row.Name == s.Name {
			return fmt.Errorf("schedule %s is registered already", s.Name)
		}
	}
	e.schedules = append(e.schedules, scheduler.Entry{
		Row: tracker.Schedule{
			Name: s.Name, Service: job.Service, Type: job.Type, Action: job.Action, Instance: job.Instance,
			TargetID: job.TargetID, Spec: s.Spec, Timezone: s.Timezone,
		},
		Spec: spec, Jitter: s.Jitter, RunAtStart: s.RunAtStart,
		Dispatch: func(ctx context.Context, tx *gorm.DB, due time.Time) (int64, error) {
			o := options
			o.At = due
			job, err := e.DispatchTx(ctx, tx, s.Args, o)
			if err != nil {
				return 0, err
			}
			return job.ID, nil
		},
	})
	return nil
}
