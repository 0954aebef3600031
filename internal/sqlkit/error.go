package sqlkit

import (
	"errors"
	"slices"
	"strings"
)

// IsSerializationFailure reports whether err is a deadlock or a serialization failure: SQLSTATE
// class 40, or MySQL's error 1213 or 1020. The whole transaction can then be run again.
func IsSerializationFailure(err error) bool {
	if err == nil {
		return false
	}
	if state, ok := sqlState(err); ok {
		return strings.HasPrefix(state, "40")
	}
	return containsAny(err, "Error 1213 ", "Error 1020 ")
}

// IsUniqueViolation reports whether err is a violation of a unique index: SQLSTATE 23505,
// MySQL's error 1062, or SQLite's text for it.
func IsUniqueViolation(err error) bool {
	if err == nil {
		return false
	}
	if state, ok := sqlState(err); ok {
		return state == "23505"
	}
	return containsAny(err, "Error 1062 ", "UNIQUE constraint failed")
}

// IsUndefined reports whether err says that a table or column does not exist.
func IsUndefined(err error) bool {
	if err == nil {
		return false
	}
	if state, ok := sqlState(err); ok {
		return state == "42P01" || state == "42703"
	}
	return containsAny(err, "Error 1146 ", "Error 1054 ", "no such table", "no such column")
}

// sqlState returns the SQLSTATE of an error of a PostgreSQL driver.
func sqlState(err error) (string, bool) {
	var state interface{ SQLState() string }
	if errors.As(err, &state) {
		return state.SQLState(), true
	}
	return "", false
}

// containsAny reports whether the text of err contains one of the parts. The text is all there
// is to check, because the library imports no database driver with its error types.
func containsAny(err error, parts ...string) bool {
	return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(err.Error(), part) })
}
