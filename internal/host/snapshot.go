package host

import "reflect"

// Snapshot describes a snapshot struct and its tags. Each reflect.Value is an addressable value of the struct.
type Snapshot struct {
	Scope, Key, Natural, Content, Observed, Secrets []SnapshotField // Content includes Natural
	// Normalised returns a copy of a value as a repository spells and stores it.
	Normalised func(value reflect.Value) reflect.Value
	// Accepted returns the handle of an error of mirror.Accepted, and reports whether the error is one.
	Accepted func(err error) (handle string, accepted bool)
}

// SnapshotField is one field of a snapshot struct.
type SnapshotField struct {
	Column string
	// Group is the name of the fields that conflict together; "" is none.
	Group string
	// In returns the field's value in a value of the struct.
	In func(value reflect.Value) reflect.Value
	// Equal reports whether two values of the struct have the same value of the field.
	Equal func(a, b reflect.Value) bool
	// Text returns the field's value as keys are compared.
	Text func(value reflect.Value) string
}
