package query

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nawasara/nawasync/internal/signature"
	"github.com/nawasara/nawasync/tracker"
)

// The values of the fields is and source.
var (
	isValues     = []string{"open", "stuck", "repaired", "retried", "deleted"}
	sourceValues = []string{"manual", "scheduled", "event", "api", "retry"}
)

// canonicalValue returns the canonical form of a value, and whether the field allows the value.
func canonicalValue(field, value string, zone *time.Location) (string, bool) {
	oneOf := func(list ...string) (string, bool) {
		lower := strings.ToLower(value)
		return lower, slices.Contains(list, lower)
	}
	switch field {
	case "status":
		var list []string
		for _, status := range tracker.Statuses() {
			list = append(list, string(status))
		}
		return oneOf(list...)
	case "is":
		return oneOf(isValues...)
	case "source":
		return oneOf(sourceValues...)
	case "group":
		lower := strings.ToLower(value)
		_, err := signature.ParseID(lower)
		return lower, err == nil
	case "id", "retry", "run":
		n, err := strconv.ParseInt(value, 10, 64)
		return strconv.FormatInt(n, 10), err == nil && n > 0
	case "attempts":
		n, err := strconv.ParseInt(value, 10, 32)
		return strconv.FormatInt(n, 10), err == nil && n >= 0
	case "duration", "since":
		d, err := parseDuration(value)
		return value, err == nil && d >= 0 && (d > 0 || field == "duration")
	case "created", "ended":
		if d, err := parseDuration(value); field == "ended" && err == nil {
			return value, d > 0
		}
		_, _, err := ParseRange(value, zone)
		return value, err == nil
	}
	return value, true
}

// parseDuration is time.ParseDuration with the additional unit d for days.
func parseDuration(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.Atoi(days)
		if err != nil || n > 36500 {
			return 0, fmt.Errorf("parse duration %q: want a number of days up to 36500", text)
		}
		return time.Duration(n) * 24 * time.Hour, nil
	}
	return time.ParseDuration(text)
}

// ParseRange parses a range A..B, A.. or ..B, where A and B are days or times, or a day alone, which
// means that whole day in the zone. The end is exclusive, but a day as the end is included as a
// whole. A zero time means no bound.
func ParseRange(text string, zone *time.Location) (from, to time.Time, err error) {
	left, right, both := strings.Cut(text, "..")
	if left == "" && right == "" {
		return from, to, fmt.Errorf("parse time range %q: it has no time", text)
	}
	if left != "" {
		if from, _, err = parseMoment(left, zone); err != nil {
			return from, to, err
		}
	}
	if !both {
		right = left
	}
	if right != "" {
		_, to, err = parseMoment(right, zone)
	}
	return from, to, err
}

// MinuteLayout is the layout of times in the pages' own links. It has the offset, so that a link
// means the same for readers in another time zone.
const MinuteLayout = "2006-01-02T15:04Z07:00"

// parseMoment parses a day or a time. For a day, it returns the day's start and end. For a time, it
// returns the time twice.
func parseMoment(text string, zone *time.Location) (begin, end time.Time, err error) {
	if t, err := time.ParseInLocation("2006-01-02", text, zone); err == nil {
		return t, t.AddDate(0, 0, 1), nil
	}
	if t, err := time.ParseInLocation("2006-01-02T15:04", text, zone); err == nil {
		return t, t, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t, err = time.Parse(MinuteLayout, text)
	}
	return t, t, err
}
