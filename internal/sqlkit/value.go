package sqlkit

import (
	"database/sql"
	"encoding/json"
	"time"
)

// Micros is how a time is stored: whole microseconds since 1970 UTC; the zero time is
// NULL.
func Micros(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

// FromMicros is the time that Micros stored, UTC; 0 is the zero time.
func FromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// NullText is s, or NULL for "".
func NullText(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// NullID is n, or NULL for 0.
func NullID(n int64) any {
	if n == 0 {
		return nil
	}
	return n
}

// NullBytes is b, or NULL where it is empty.
func NullBytes(b []byte) any {
	if len(b) == 0 {
		return nil
	}
	return b
}

// RawJSON is a stored document; NULL and "" are nil.
func RawJSON(s sql.NullString) json.RawMessage {
	if s.String == "" {
		return nil
	}
	return json.RawMessage(s.String)
}
