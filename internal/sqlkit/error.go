package sqlkit

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
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

// IsUniqueViolation reports whether err is a violation of a unique index: SQLSTATE 23505, MySQL's
// error 1062, or SQLite's error text.
func IsUniqueViolation(err error) bool {
	if err == nil {
		return false
	}
	if state, ok := sqlState(err); ok {
		return state == "23505"
	}
	return containsAny(err, "Error 1062 ", "UNIQUE constraint failed")
}

// IsLockTimeout reports whether err says that another transaction held a lock for too long: SQLSTATE
// 55P03, MySQL's error 1205 or 3572, or SQLite's busy_timeout.
func IsLockTimeout(err error) bool {
	if err == nil {
		return false
	}
	if state, ok := sqlState(err); ok {
		return state == "55P03"
	}
	return containsAny(err, "Error 1205 ", "Error 3572 ", "SQLITE_BUSY", "database is locked")
}

// IsRowRefused reports whether err says that the database refuses the data of a row, or of one row
// of a batch: a value that is too long, out of range or of the wrong type, or a violated constraint.
// On PostgreSQL these are the SQLSTATE classes 22 and 23, and 54000 for an index entry that is too
// large. A batch that is too large for one packet of MySQL counts as well: a part of it may fit.
func IsRowRefused(err error) bool {
	if err == nil {
		return false
	}
	if state, ok := sqlState(err); ok {
		return strings.HasPrefix(state, "22") || strings.HasPrefix(state, "23") || state == "54000"
	}
	return IsUniqueViolation(err) || containsAny(err, "Error 1048 ", "Error 1118 ", "Error 1153 ", "Error 1264 ", "Error 1265 ", "Error 1292 ", "Error 1364 ",
		"Error 1366 ", "Error 1406 ", "Error 1411 ", "Error 1451 ", "Error 1452 ", "Error 1526 ", "Error 1644 ", "Error 1690 ", "Error 3140 ", "Error 3819 ",
		"Error 4025 ", "packet for query is too large", "constraint failed", "datatype mismatch", "string or blob too big")
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

// IsUnavailable reports whether err says that the database could not be reached, closed the
// connection, has not responded in time, or is starting or shutting down: ErrNoResponse, driver.ErrBadConn, an error of the network,
// SQLSTATE class 08, 57P01 to 57P03 or 53300, or MySQL's texts for these.
func IsUnavailable(err error) bool {
	if err == nil {
		return false
	}
	if errors.Is(err, ErrNoResponse) {
		return true
	}
	if state, ok := sqlState(err); ok {
		return strings.HasPrefix(state, "08") || slices.Contains([]string{"57P01", "57P02", "57P03", "53300"}, state)
	}
	var network *net.OpError
	return errors.As(err, &network) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, io.EOF) ||
		errors.Is(err, io.ErrUnexpectedEOF) ||
		containsAny(err, "invalid connection", "Error 1040 ", "Error 1053 ", "Error 1927 ", "bad connection", "conn closed", "failed to connect")
}

// sqlState returns the SQLSTATE of an error of a PostgreSQL driver.
func sqlState(err error) (string, bool) {
	var state interface{ SQLState() string }
	if errors.As(err, &state) {
		return state.SQLState(), true
	}
	return "", false
}

// containsAny reports whether the text of err contains one of the parts. It checks the text because
// the library imports no database driver and so cannot use the driver's error types.
func containsAny(err error, parts ...string) bool {
	return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(err.Error(), part) })
}
