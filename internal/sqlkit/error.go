package sqlkit

import (
	"errors"
	"slices"
	"strings"
)

// IsSerializationFailure reports a deadlock or a serialization failure, after which the
// whole transaction may be run again: SQLSTATE class 40, MySQL's errors 1213 and 1020.
func IsSerializationFailure(err error) bool {
	if err == nil {
		return false
	}
	if state, ok := sqlState(err); ok {
		return strings.HasPrefix(state, "40")
	}
	return containsAny(err, "Error 1213 ", "Error 1020 ")
}

// IsUniqueViolation reports that a row has a value that must be unique and that another
// row has: SQLSTATE 23505, MySQL's error 1062, SQLite's text.
func IsUniqueViolation(err error) bool {
	if err == nil {
		return false
	}
	if state, ok := sqlState(err); ok {
		return state == "23505"
	}
	return containsAny(err, "Error 1062 ", "UNIQUE constraint failed")
}

// IsUndefined reports that a table or a column does not exist.
func IsUndefined(err error) bool {
	if err == nil {
		return false
	}
	if state, ok := sqlState(err); ok {
		return state == "42P01" || state == "42703"
	}
	return containsAny(err, "Error 1146 ", "Error 1054 ", "no such table", "no such column")
}

// sqlState is the code of an error of a PostgreSQL driver.
func sqlState(err error) (string, bool) {
	var state interface{ SQLState() string }
	if errors.As(err, &state) {
		return state.SQLState(), true
	}
	return "", false
}

// containsAny looks into the text: the library imports no driver, whose types would tell.
func containsAny(err error, parts ...string) bool {
	return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(err.Error(), part) })
}
