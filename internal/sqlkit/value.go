package sqlkit

import (
	"database/sql"
	"encoding/json"
	"time"
)

// Micros returns the stored form of a time: microseconds since 1970 UTC, or NULL for the zero
// time.
func Micros(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

// FromMicros converts the stored form of a time back to UTC. 0 is the zero time.
func FromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// NullText returns s, or NULL if s is empty.
func NullText(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// NullID returns n, or NULL if n is 0.
func NullID(n int64) any {
	if n == 0 {
		return nil
	}
	return n
}

// NullBytes returns b, or NULL if b is empty.
func NullBytes(b []byte) any {
	if len(b) == 0 {
		return nil
	}
	return b
}

// RawJSON returns a stored JSON document, or nil for NULL and "".
func RawJSON(s sql.NullString) json.RawMessage {
	if s.String == "" {
		return nil
	}
	return json.RawMessage(s.String)
}
