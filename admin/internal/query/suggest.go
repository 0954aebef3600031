package query

import (
	"slices"
	"strings"
	"time"

	"github.com/nawasara/nawasync/tracker"
)

// Field is a field that a term can name, with a hint about its values. The hint is empty if the field allows any
// text.
type Field struct {
	Name string
	Hint Message
}

// Fields lists the fields that a term can name.
func Fields() []Field {
	var list []Field
	for _, f := range fields {
		if f.name != "text" {
			list = append(list, Field{f.name, f.form})
		}
	}
	return list
}

// FixedValues returns the values that a field allows, or the usual ones of a field with times or numbers. It returns
// nil for the other fields. Days are in the zone.
func FixedValues(field string, now time.Time, zone *time.Location) []string {
	day := func(ago int) string { return now.In(zone).AddDate(0, 0, -ago).Format("2006-01-02") }
	switch field {
	case "status":
		var list []string
		for _, status := range tracker.Statuses() {
			list = append(list, string(status))
		}
		return list
	case "is":
		return slices.Clone(isValues)
	case "source":
		return slices.Clone(sourceValues)
	case "since":
		return []string{"15m", "1h", "24h", "7d", "30d"}
	case "created":
		return []string{day(0), day(1), day(7) + ".."}
	case "ended":
		return []string{"15m", "1h", "24h", "7d", "30d", day(0), day(1)}
	case "attempts":
		return []string{">1", ">3"}
	case "duration":
		return []string{">1s", ">10s", ">1m"}
	}
	return nil
}

// Matching returns those of the values that begin with a prefix, followed by those that contain it, without
// duplicates and at most limit. Case is ignored.
func Matching(values []string, prefix string, limit int) []string {
	prefix = strings.ToLower(prefix)
	var begin, inside []string
	for _, value := range values {
		switch lower := strings.ToLower(value); {
		case slices.Contains(begin, value), slices.Contains(inside, value):
		case strings.HasPrefix(lower, prefix):
			begin = append(begin, value)
		case strings.Contains(lower, prefix):
			inside = append(inside, value)
		}
	}
	list := slices.Concat(begin, inside)
	return list[:min(len(list), limit)]
}
