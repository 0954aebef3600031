package jobrow

import "strings"

// ClassEnd stands after the class of the error in the reason of a park: "unavailable: connection refused".
const ClassEnd = ": "

// ParkClass returns the class of the error that has parked a scope.
func ParkClass(reason string) string {
	class, _, _ := strings.Cut(reason, ClassEnd)
	return class
}
