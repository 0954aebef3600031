package mirror

import (
	"slices"
)

// Change is what became of one field.
type Change struct {
	Field string `json:"field"` // its column
	From  any    `json:"from"`
	To    any    `json:"to"`
}

// Diff is what differs between two values of a snapshot, by column.
type Diff []Change

// Has reports whether the field with that column changes.
func (d Diff) Has(column string) bool {
	return slices.ContainsFunc(d, func(c Change) bool { return c.Field == column })
}
