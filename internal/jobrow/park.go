package jobrow

import (
	"database/sql"
	"strings"
)

// ClassEnd stands after the class of the error in the reason of a park: "unavailable: connection refused".
const ClassEnd = ": "

// ParkClass returns the class of the error that has parked a scope. A process of a release before schema version 18
// writes no class, and leaves the class of what it replaces; the reason that it writes begins with the class.
func ParkClass(class sql.NullString, reason string) string {
	if class.Valid && strings.HasPrefix(reason, class.String+ClassEnd) {
		return class.String
	}
	first, _, _ := strings.Cut(reason, ClassEnd)
	return first
}
