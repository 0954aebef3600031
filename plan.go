package nawasync

import (
	"encoding/json"

	"github.com/nawasara/nawasync/tracker"
)

// PlannedChange is what a sync would do to one row, according to a plan.
type PlannedChange struct {
	// Kind is tracker.ChangeAppeared for a row that would be added, ChangeDrifted for one that would get other values,
	// ChangeReturned for a missing or deleted row whose object is listed again, ChangeVanished for one that would be marked as missing, and
	// ChangeDeleted for one whose object was made again under the same key, and gets a new row.
	Kind     tracker.ChangeKind `json:"what"`
	TargetID string             `json:"target_id"`     // the object, as its jobs name it
	Row      int64              `json:"row,omitempty"` // 0 if there is no row yet
	// Fields has the columns that would change. Secret, hidden and masked values are "***", and long ones are cut.
	Fields map[string]PlannedValue `json:"fields,omitempty"`
}

// PlannedValue is the change of one field, as JSON. From is null if the value was never fetched.
type PlannedValue struct {
	From json.RawMessage `json:"from"`
	To   json.RawMessage `json:"to"`
}
