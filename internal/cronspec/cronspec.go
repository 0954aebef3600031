// Package cronspec reads the times of schedules, also where clocks are turned.
package cronspec

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// Spec is a schedule's times.
type Spec struct {
	every    time.Duration // of "@every"; 0 otherwise
	cron     *cron.SpecSchedule
	floating bool // runs in every hour, by the real clock
	zone     *time.Location
}

// starBit marks a field that is "*" in robfig/cron's SpecSchedule.
const starBit = 1 << 63

// Parse reads a five-field cron expression, "@hourly" and its like, or "@every
// 10m", for a time zone ("" is UTC).
func Parse(expression, zone string) (*Spec, error) {
	if strings.Contains(expression, "TZ=") {
		return nil, errors.New("give the time zone in Timezone, not in the expression")
	}
	location, err := time.LoadLocation(zone)
	if err != nil {
		return nil, fmt.Errorf("time zone %q: %w", zone, err)
	}
	schedule, err := cron.ParseStandard(expression)
	if err != nil {
		return nil, fmt.Errorf("expression %q: %w", expression, err)
	}
	switch s := schedule.(type) {
	case cron.ConstantDelaySchedule:
		return &Spec{every: s.Delay, zone: location}, nil
	case *cron.SpecSchedule:
		spec := &Spec{cron: s, zone: location, floating: s.Hour&starBit != 0}
		s.Location = time.UTC
		if spec.floating {
			s.Location = location
		}
		if spec.Next(time.Unix(0, 0)).IsZero() {
			return nil, fmt.Errorf("expression %q never comes true", expression)
		}
		return spec, nil
	}
	return nil, fmt.Errorf("expression %q is of no known form", expression)
}

// Next is the first tick after a time; the zero time when there is none.
//
// A schedule of every hour follows the real clock. One of named hours follows the
// clock on the wall, each day once: a time that the clock skips ticks at the
// moment of the skip, and a time that comes twice ticks the first time.
func (s *Spec) Next(after time.Time) time.Time {
	if s.every > 0 {
		// Multiples since the epoch: every process computes the same ticks.
		return after.Truncate(s.every).Add(s.every).UTC()
	}
	if s.floating {
		return s.cron.Next(after.In(s.zone)).UTC()
	}
	wall := wallClock(after.In(s.zone)).Add(-3 * time.Hour) // a repeated hour lies behind
	for range 10_000 {
		wall = s.cron.Next(wall)
		if wall.IsZero() {
			return time.Time{}
		}
		if tick := s.instant(wall); tick.After(after) {
			return tick
		}
	}
	return time.Time{}
}

// wallClock is what the clock on the wall shows, as if it were UTC.
func wallClock(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), 0, time.UTC)
}

// instant is when the clock on the wall shows a time.
func (s *Spec) instant(wall time.Time) time.Time {
	offset := func(t time.Time) time.Duration {
		_, seconds := t.In(s.zone).Zone()
		return time.Duration(seconds) * time.Second
	}
	before := wall.Add(-offset(wall.Add(-24 * time.Hour)))
	after := wall.Add(-offset(wall.Add(24 * time.Hour)))
	first, second := before, after
	if second.Before(first) {
		first, second = second, first
	}
	for _, t := range []time.Time{first, second} {
		if wallClock(t.In(s.zone)).Equal(wall) {
			return t
		}
	}
	// Skipped: the moment at which the offset changes lies between the two.
	for second.Sub(first) > time.Second {
		middle := first.Add(second.Sub(first) / 2)
		if offset(middle) == offset(first) {
			first = middle
		} else {
			second = middle
		}
	}
	return second.Truncate(time.Second)
}

// Newest is the last tick that is after one time and not after another; the zero
// time when there is none. Of the ticks missed in a downtime only this one runs.
func (s *Spec) Newest(after, until time.Time) time.Time {
	for window := time.Hour; ; window *= 8 {
		from := until.Add(-window)
		if from.Before(after) {
			from = after
		}
		var newest time.Time
		for tick := s.Next(from); !tick.IsZero() && !tick.After(until); tick = s.Next(tick) {
			newest = tick
		}
		if !newest.IsZero() || from.Equal(after) {
			return newest
		}
	}
}
