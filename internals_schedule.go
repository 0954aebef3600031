package nawasync

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nawasara/nawasync/tracker"
)

// The errors of the operators' actions on a schedule.
var (
	errScheduleNotPaused = errors.New("the schedule was not paused")
	errScheduleOrphaned  = errors.New("no running process registers the schedule")
)

// PauseSchedule pauses one schedule until PauseOptions.Until or until ResumeSchedule. The ticks in between dispatch
// no job, also not later. PauseSchedule returns ErrNotFound, and ErrInvalid for an Until in the past.
func (i internals) PauseSchedule(ctx context.Context, name string, o PauseOptions) error {
	until := o.Until
	switch {
	case until.IsZero():
		until = tracker.Forever
	case !until.After(i.clock.Now()):
		return fmt.Errorf("pause schedule %s: %w: PauseOptions.Until is in the past (%s)", name, ErrInvalid, until)
	}
	return i.onSchedule(ctx, "pause_schedule", name, OperatorOptions{o.By, o.Reason, o.Address}, func(tracker.Schedule) error {
		return i.store.PauseSchedule(ctx, name, until, o.By, i.redactor.Text(o.Reason))
	})
}

// ResumeSchedule ends the pause of a schedule and reports whether there was one. It returns ErrNotFound.
func (i internals) ResumeSchedule(ctx context.Context, name string, o OperatorOptions) (found bool, err error) {
	err = i.onSchedule(ctx, "resume_schedule", name, o, func(tracker.Schedule) error {
		if found, err = i.store.ResumeSchedule(ctx, name); err == nil && !found {
			err = errScheduleNotPaused
		}
		return err
	})
	if errors.Is(err, errScheduleNotPaused) {
		err = nil
	}
	return found, err
}

// RunSchedule asks for a run of a schedule, which a process that registers it dispatches within ScheduleInterval. It
// also runs a paused one. asked is false if a request waits already, which it does for tracker.RunRequestLimit; served is false if no process registers the
// schedule, and then there is no request. RunSchedule returns ErrNotFound.
func (i internals) RunSchedule(ctx context.Context, name string, o OperatorOptions) (asked, served bool, err error) {
	err = i.onSchedule(ctx, "run_schedule", name, o, func(s tracker.Schedule) (err error) {
		if s.Orphaned(i.store.Now()) {
			return errScheduleOrphaned
		}
		asked, err = i.store.AskScheduleRun(ctx, s, o.By)
		return err
	})
	if errors.Is(err, errScheduleOrphaned) {
		return false, false, nil
	}
	return asked, err == nil, err
}

// ScheduleInterval is the time between two looks of a process at its schedules.
func (i internals) ScheduleInterval() time.Duration { return i.tuning.Schedule }

// onSchedule is operate for an action on one schedule.
func (i internals) onSchedule(ctx context.Context, action, name string, o OperatorOptions, do func(s tracker.Schedule) error) error {
	return i.operate(ctx, action, o, func(entry *tracker.AuditEntry) error {
		s, err := i.store.Schedule(ctx, name)
		if err != nil {
			return err
		}
		entry.Service, entry.Type, entry.Instance, entry.Detail = s.Service, s.Type, s.Instance, "schedule "+name
		return do(s)
	})
}

// HasRedis reports whether Config.Redis is set.
func (i internals) HasRedis() bool { return i.config.Redis != nil }
