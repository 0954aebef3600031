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

// Schedule describes a job that is dispatched periodically.
type Schedule struct {
	// Name identifies the schedule across processes and deploys.
	Name string
	// Spec is a five-field cron expression, a macro such as "@hourly", or an interval such as
	// "@every 10m".
	Spec string
	// Timezone is an IANA name. "" means UTC. A tick at a local time that the clock skips runs
	// at the moment of the skip. A tick at a local time that occurs twice runs only the first time.
	Timezone string
	// Jitter is the maximum delay of a job after its tick. It spreads the jobs of schedules
	// that tick at the same time. 0 means no delay.
	Jitter time.Duration
	// RunAtStart also dispatches the job when a process starts, once per deploy.
	RunAtStart bool
	// Args are the arguments of the jobs.
	Args Args
}

// Schedule registers a schedule. Several processes may register the same schedule; each tick
// still dispatches one job. After a downtime only the newest missed tick is dispatched.
// Schedule returns ErrStarted after Start, and an error for a name that is already registered,
// an invalid Spec or Timezone, a negative Jitter, or arguments that cannot be dispatched.
func (e *Engine) Schedule(s Schedule) error {
	if err := validateText("schedule name", s.Name, 1, 100); err != nil {
		return fmt.Errorf("register schedule: %w", err)
	}
	spec, err := cronspec.Parse(s.Spec, s.Timezone)
	if err != nil {
		return fmt.Errorf("register schedule %s: %w", s.Name, err)
	}
	if s.Args == nil {
		return fmt.Errorf("register schedule %s: Args is nil; set the arguments of the job", s.Name)
	}
	if s.Jitter < 0 {
		return fmt.Errorf("register schedule %s: Jitter is negative (%s)", s.Name, s.Jitter)
	}
	options := Options{By: "schedule:" + s.Name, Source: SourceScheduled}
	job, err := e.buildJob(s.Args, options)
	if err != nil {
		return fmt.Errorf("register schedule %s: %w", s.Name, err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.started {
		return ErrStarted
	}
	for _, entry := range e.schedules {
		if entry.Row.Name == s.Name {
			return fmt.Errorf("register schedule %s: a schedule with this name is already registered", s.Name)
		}
	}
	e.schedules = append(e.schedules, scheduler.Entry{
		Row: tracker.Schedule{
			Name: s.Name, Service: job.Service, Type: job.Type, Action: job.Action, Instance: job.Instance,
			TargetID: job.TargetID, Spec: s.Spec, Timezone: s.Timezone,
		},
		Spec: spec, Jitter: s.Jitter, RunAtStart: s.RunAtStart,
		Dispatch: func(ctx context.Context, tx *gorm.DB, due time.Time, by string) (int64, error) {
			o := options
			o.At = due
			if by != "" {
				o.By, o.Source = by, SourceManual
			}
			job, err := e.DispatchTx(ctx, tx, s.Args, o)
			if err != nil {
				return 0, err
			}
			return job.ID, nil
		},
	})
	return nil
}
