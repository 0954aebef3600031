package chart

import (
	"slices"
	"time"
)

// maxGridLines is how many lines a value axis has, without the one at zero.
const maxGridLines = 4

// CountStep returns the distance between the grid lines of counts up to top: 1, 2 or 5 times a power of ten.
func CountStep(top int64) int64 {
	for power := int64(1); ; power *= 10 {
		for _, factor := range []int64{1, 2, 5} {
			if step := factor * power; step*maxGridLines >= top {
				return step
			}
		}
	}
}

// timeSteps are the distances between grid lines of durations, and between labels of a time axis.
var timeSteps = []time.Duration{
	time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 20 * time.Second, 30 * time.Second,
	time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 20 * time.Minute, 30 * time.Minute,
	time.Hour, 2 * time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour, day, 2 * day, 7 * day, 14 * day, 28 * day,
}

const day = 24 * time.Hour

// DurationStep returns the distance between the grid lines of durations up to top.
func DurationStep(top time.Duration) time.Duration {
	for _, step := range timeSteps {
		if step*maxGridLines >= top {
			return step
		}
	}
	return (top / maxGridLines).Truncate(day) + day
}

// maxTimeLabels is how many labels a time axis has.
const maxTimeLabels = 5

// TimeLabels returns where a time axis between two times has its labels: at whole steps of the day of the zone.
// A label too close to the end is left out, because its text would not fit. If days is true, the labels are days.
func TimeLabels(from, to time.Time, zone *time.Location) (labels []time.Time, days bool) {
	i := slices.IndexFunc(timeSteps, func(step time.Duration) bool { return step >= time.Minute && step*maxTimeLabels >= to.Sub(from) })
	if i < 0 {
		i = len(timeSteps) - 1
	}
	step := timeSteps[i]
	local := from.In(zone)
	at := time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 0, 0, zone)
	last := to.Add(-to.Sub(from) / 12)
	for !at.After(last) {
		if !at.Before(from) {
			labels = append(labels, at)
		}
		if step < day {
			at = at.Add(step)
		} else {
			at = at.AddDate(0, 0, int(step/day)) // a day with a change of the clock has not 24 hours
		}
	}
	return labels, step >= day
}
