package mirror

import "slices"

// FieldChange is the change of one field.
type FieldChange struct {
	Field string `json:"field"` // the field's column
	From  any    `json:"from"`
	To    any    `json:"to"`
}

// FieldDiff lists the fields in which two values of a snapshot differ.
type FieldDiff []FieldChange

// Has reports whether the diff contains the field with the given column.
func (d FieldDiff) Has(column string) bool {
	return slices.ContainsFunc(d, func(c FieldChange) bool { return c.Field == column })
}
