package mirror

import "slices"

// Change is the change of one field.
type Change struct {
	Field string `json:"field"` // the field's column
	From  any    `json:"from"`
	To    any    `json:"to"`
}

// Diff lists the fields in which two values of a snapshot differ.
type Diff []Change

// Has reports whether the diff contains the field with the given column.
func (d Diff) Has(column string) bool {
	return slices.ContainsFunc(d, func(c Change) bool { return c.Field == column })
}
