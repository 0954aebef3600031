package host

import "github.com/nawasara/nawasync/internal/sqlkit"

// DatabaseError is an error of the engine's database during an attempt. It says nothing about the
// job, so the attempt is not consumed.
type DatabaseError struct{ Err error }

// Error returns the text of the database's error.
func (e *DatabaseError) Error() string { return e.Err.Error() }

// Unwrap returns the database's error.
func (e *DatabaseError) Unwrap() error { return e.Err }

// DatabaseFailure returns err as a DatabaseError if err says that the database could not be reached
// or is shutting down. It returns every other error unchanged. Pass only errors of the engine's
// database: the error of a call to a remote can look the same.
func DatabaseFailure(err error) error {
	if sqlkit.IsUnavailable(err) {
		return &DatabaseError{err}
	}
	return err
}
