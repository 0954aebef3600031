package admin

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/nawasara/nawasync/admin/internal/format"
	"github.com/nawasara/nawasync/admin/internal/language"
)

// Field describes a field of the objects for people; see Config.Fields. The zero Field shows the name of the
// column and the value as it is stored.
type Field struct {
	// Label is the name of the field, for example "Quota". The default "" is the name of its column.
	Label string
	// Format returns a value as people read it. It is never called with a value that is masked. Where Format is nil,
	// panics or returns "", the pages show the value as it is stored, and also where two different values would
	// have the same text. The stored value stays in the JSON, and is shown while the pointer is on the text.
	Format Format
	// FormatFor returns the Format for readers of a language, a BCP 47 tag such as "en" or "id". Where it is nil or
	// returns nil, the pages use Format. It must be safe for concurrent use.
	FormatFor func(language string) Format
}

// Format turns a value, as JSON, into text for people, or returns "" if it cannot. The location is the reader's
// time zone. A Format must be safe for concurrent use. The functions FormatBytes, FormatDuration, FormatEnum,
// FormatBool and FormatTime have the usual ones.
type Format func(value json.RawMessage, zone *time.Location) string

// FormatBytes returns a Format for an amount of data, such as "700 MB", in English. See FormatBytesFor.
func FormatBytes(unit int64) Format { return FormatBytesFor(unit)(english) }

// FormatBytesFor returns a Field.FormatFor for an amount of data, such as "1.5 GB" and "1,5 GB". One of the field's values
// is unit bytes: 1 for a field in bytes, 1<<10 for kB, 1<<20 for MB. Each unit has 1024 of the next smaller one, as in the
// control panels of hosting. The text is exact if the value is whole or half in a unit, and has three digits otherwise.
func FormatBytesFor(unit int64) func(language string) Format {
	return func(tag string) Format {
		l := language.Get(tag)
		return func(value json.RawMessage, _ *time.Location) string {
			n, err := strconv.ParseInt(valueText(value), 10, 64)
			if err != nil || n < 0 || unit <= 0 || n > math.MaxInt64/unit {
				return ""
			}
			return bytesText(l, n*unit)
		}
	}
}

func bytesText(l format.Language, n int64) string {
	units := []string{l.T("bytes"), "kB", "MB", "GB", "TB", "PB"}
	at, size := 0, int64(1)
	for at+1 < len(units) && n/size >= 1024 {
		at, size = at+1, size*1024
	}
	if n%size != 0 && (2*n)%size != 0 && n%(size/1024) == 0 && n/(size/1024) < 10_000 {
		at, size = at-1, size/1024 // 1,500 MB, not 1.46 GB
	}
	if n%size == 0 {
		return format.Thousands(l, n/size) + "\u00a0" + units[at]
	}
	return format.Significant(l, float64(n)/float64(size), max(3, len(strconv.FormatInt(n/size, 10)))) + "\u00a0" + units[at]
}

// FormatDuration returns a Format for a length of time, such as "1 h 30 min", in English. See FormatDurationFor.
func FormatDuration(unit time.Duration) Format { return FormatDurationFor(unit)(english) }

// FormatDurationFor returns a Field.FormatFor for a length of time, such as "1 h 30 min" and "1 jam 30 menit". One of the
// field's values is one unit, for example time.Second.
func FormatDurationFor(unit time.Duration) func(language string) Format {
	return func(tag string) Format {
		l := language.Get(tag)
		return func(value json.RawMessage, _ *time.Location) string {
			n, err := strconv.ParseInt(valueText(value), 10, 64)
			if err != nil || n < 0 || unit <= 0 || n > math.MaxInt64/int64(unit) {
				return ""
			}
			return durationText(l, time.Duration(n)*unit)
		}
	}
}

// durationText returns a duration in its two largest units.
func durationText(l format.Language, d time.Duration) string {
	if d < time.Second {
		return format.Span(l, d)
	}
	var parts []string
	for _, u := range []struct {
		size time.Duration
		text string
	}{{24 * time.Hour, l.T("%s d")}, {time.Hour, l.T("%s h")}, {time.Minute, l.T("%s min")}, {time.Second, l.T("%s s")}} {
		if n := d / u.size; n > 0 {
			parts = append(parts, strings.ReplaceAll(fmt.Sprintf(u.text, strconv.FormatInt(int64(n), 10)), " ", "\u00a0"))
		}
		d %= u.size
	}
	return strings.Join(parts[:min(2, len(parts))], " ")
}

// FormatEnum returns a Format that shows the names of values, for example {"0": "off", "1": "on"}. Its keys are the
// values as JSON without the quotes of a text. The map must not change later.
func FormatEnum(names map[string]string) Format {
	return func(value json.RawMessage, _ *time.Location) string { return names[valueText(value)] }
}

// FormatBool returns a Format that shows true, 1 and "1" as yes, and false, 0 and "0" as no.
func FormatBool(yes, no string) Format {
	return FormatEnum(map[string]string{"true": yes, "1": yes, "false": no, "0": no})
}

// FormatTime is a Format that shows a time in the reader's zone. The value is a text as in RFC 3339, or the number of
// seconds since 1970.
func FormatTime(value json.RawMessage, zone *time.Location) string {
	text := valueText(value)
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		seconds, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return ""
		}
		at = time.Unix(seconds, 0)
	}
	return at.In(zone).Format("2006-01-02 15:04:05 -07:00")
}

// checkFields returns an error for a key of Config.Fields that can name no field.
func checkFields(fields map[string]Field) error {
	for key := range fields {
		service, rest, ofType := strings.Cut(key, "/")
		dot := strings.LastIndex(rest, ".")
		if key == "" || ofType && (service == "" || dot < 1 || dot == len(rest)-1) {
			return fmt.Errorf("create the admin pages: Config.Fields has the key %q; write service/type.field, or the name of a field of all types", key)
		}
	}
	return nil
}

// english is the language of the formats that do not know the reader's.
const english = "en"
