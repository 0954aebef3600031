package query

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nawasara/nawasync/tracker"
)

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
		return oneOf("open", "stuck", "repaired", "deleted")
	case "source":
		return oneOf("manual", "scheduled", "event", "api", "retry")
	case "id", "retry":
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

func parseDuration(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.Atoi(days)
		if err != nil || n > 36500 {
			return 0, fmt.Errorf("%q is no number of days", text)
		}
		return time.Duration(n) * 24 * time.Hour, nil
	}
	return time.ParseDuration(text)
}

// ParseRange reads A..B, A.., ..B, or a day alone, which is all of that day in the
// zone. The end is exclusive; a day as the end is up to its end.
func ParseRange(text string, zone *time.Location) (from, to time.Time, err error) {
	left, right, both := strings.Cut(text, "..")
	if left == "" && right == "" {
		return from, to, fmt.Errorf("%q names no time", text)
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

// MinuteLayout is a minute as the pages' own links write it: with its offset, so that they mean
// the same to whoever they are sent to.
const MinuteLayout = "2006-01-02T15:04Z07:00"

// parseMoment returns a time and the end of what it names: of a day, or of a minute.
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
