// Package cronspec computes the ticks of schedules, with time zones and daylight saving time.
package cronspec

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// Spec is a parsed schedule.
type Spec struct {
	every     time.Duration // the interval of "@every"; 0 otherwise
	cron      *cron.SpecSchedule
	everyHour bool // the hour field is "*", so ticks follow elapsed time, not the wall clock
	zone      *time.Location
}

// starBit marks a field that is "*" in robfig/cron's SpecSchedule.
const starBit = 1 << 63

// Parse parses a cron expression of five fields, a descriptor such as "@hourly", or an interval
// such as "@every 10m". zone is the name of a time zone; "" is UTC. Parse returns an error if the
// expression is invalid or never ticks, or if the zone is unknown.
func Parse(expression, zone string) (*Spec, error) {
	if strings.Contains(expression, "TZ=") {
		return nil, errors.New("the expression contains a time zone; set it in Timezone instead")
	}
	location, err := time.LoadLocation(zone)
	if err != nil {
		return nil, fmt.Errorf("load time zone %q: %w", zone, err)
	}
	schedule, err := cron.ParseStandard(expression)
	if err != nil {
		return nil, fmt.Errorf("parse expression %q: %w", expression, err)
	}
	switch s := schedule.(type) {
	case cron.ConstantDelaySchedule:
		return &Spec{every: s.Delay, zone: location}, nil
	case *cron.SpecSchedule:
		spec := &Spec{cron: s, zone: location, everyHour: s.Hour&starBit != 0}
		s.Location = time.UTC
		if spec.everyHour {
			s.Location = location
		}
		if spec.Next(time.Unix(0, 0)).IsZero() {
			return nil, fmt.Errorf("expression %q never ticks", expression)
		}
		return spec, nil
	}
	return nil, fmt.Errorf("expression %q has an unknown form", expression)
}

// Next returns the first tick after the given time, or the zero time if there is none.
//
// If the hour field is "*", the schedule ticks in every hour that passes. Otherwise the schedule
// follows the wall clock and ticks once at each of its times of day. If the change to daylight
// saving time skips such a time, the tick is at the moment of the change. If a time of day occurs
// twice, the schedule ticks only at the first occurrence.
func (s *Spec) Next(after time.Time) time.Time {
	if s.every > 0 {
		// Ticks are multiples of the interval, so that all processes compute the same ones.
		return after.Truncate(s.every).Add(s.every).UTC()
	}
	if s.everyHour {
		return s.cron.Next(after.In(s.zone)).UTC()
	}
	// Start a few hours early, as a margin for clock changes. The loop skips the ticks that are
	// not later than after.
	wall := wallClock(after.In(s.zone)).Add(-3 * time.Hour)
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

// wallClock returns the wall clock time of t in its zone, as a time in UTC.
func wallClock(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), 0, time.UTC)
}

// instant returns the moment at which the wall clock shows the given time. If it does so twice,
// instant returns the first moment. If it never does, instant returns the moment at which the
// clock skips the time.
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
	// The clock skips the time. Search for the moment between the two at which the offset
	// changes.
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

// Newest returns the newest tick that is later than after and not later than until, or the zero
// time if there is none. Of the ticks missed during a downtime, only the newest one dispatches a
// job.
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
