package admin

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/nawasara/nawasync/admin/internal/format"
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
}

// Format turns a value, as JSON, into text for people, or returns "" if it cannot. The location is the reader's
// time zone. A Format must be safe for concurrent use. The functions FormatBytes, FormatDuration, FormatEnum,
// FormatBool and FormatTime have the usual ones.
type Format func(value json.RawMessage, zone *time.Location) string

// FormatBytes returns a Format for an amount of data, such as "700 MB". One of the field's values is unit bytes: 1 for a
// field in bytes, 1<<10 for kB, 1<<20 for MB. Each unit has 1024 of the next smaller one, as in the control panels of
// hosting. The text is exact if the value is whole or half in a unit, and has three digits otherwise.
func FormatBytes(unit int64) Format {
	return func(value json.RawMessage, _ *time.Location) string {
		n, err := strconv.ParseInt(valueText(value), 10, 64)
		if err != nil || n < 0 || unit <= 0 || n > math.MaxInt64/unit {
			return ""
		}
		return bytesText(n * unit)
	}
}

func bytesText(n int64) string {
	units := []string{"bytes", "kB", "MB", "GB", "TB", "PB"}
	at, size := 0, int64(1)
	for at+1 < len(units) && n/size >= 1024 {
		at, size = at+1, size*1024
	}
	if n%size != 0 && (2*n)%size != 0 && n%(size/1024) == 0 && n/(size/1024) < 10_000 {
		at, size = at-1, size/1024 // 1,500 MB, not 1.46 GB
	}
	if n%size == 0 {
		return format.Thousands(english{}, n/size) + "\u00a0" + units[at]
	}
	return strconv.FormatFloat(float64(n)/float64(size), 'g', max(3, len(strconv.FormatInt(n/size, 10))), 64) + "\u00a0" + units[at]
}

// FormatDuration returns a Format for a length of time, such as "1 h 30 min". One of the field's values is one unit, for
// example time.Second.
func FormatDuration(unit time.Duration) Format {
	return func(value json.RawMessage, _ *time.Location) string {
		n, err := strconv.ParseInt(valueText(value), 10, 64)
		if err != nil || n < 0 || unit <= 0 || n > math.MaxInt64/int64(unit) {
			return ""
		}
		return durationText(time.Duration(n) * unit)
	}
}

// durationText returns a duration in its two largest units.
func durationText(d time.Duration) string {
	if d < time.Second {
		return format.Span(english{}, d)
	}
	var parts []string
	for _, u := range []struct {
		size time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "min"}, {time.Second, "s"}} {
		if n := d / u.size; n > 0 {
			parts = append(parts, fmt.Sprintf("%d\u00a0%s", n, u.name))
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

// english writes numbers and units as the formats do. A Format does not know the reader's language.
type english struct{}

func (english) T(text string) string                 { return text }
func (english) Tf(format string, args ...any) string { return fmt.Sprintf(format, args...) }
