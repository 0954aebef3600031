package jobstore

import (
	"errors"
	"fmt"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/sqlkit"
)

// OnSuccessError says that the outcome could not be written because the job's
// own code, in the transaction of the outcome, returned Err.
type OnSuccessError struct{ Err error }

func (e *OnSuccessError) Error() string { return "OnSuccess: " + e.Err.Error() }

func (e *OnSuccessError) Unwrap() error { return e.Err }

const savepoint = "nawasync_on_success"

// runOnSuccess runs a job's own code in the transaction of its outcome, behind a
// savepoint: that tells an error of the code, which undoes the success, from a
// connection that broke or a deadlock, after which the outcome is written again.
func (s *Store) runOnSuccess(tx *gorm.DB, fn func(tx *gorm.DB) error) error {
	if err := tx.Exec("SAVEPOINT " + savepoint).Error; err != nil {
		return fmt.Errorf("begin OnSuccess: %w", err)
	}
	err := fn(tx)
	if err == nil {
		if err = tx.Exec("RELEASE SAVEPOINT " + savepoint).Error; err == nil {
			return nil
		}
		err = fmt.Errorf("it ignored an error of the database: %w", err)
	}
	if undo := tx.Exec("ROLLBACK TO SAVEPOINT " + savepoint).Error; undo != nil || sqlkit.IsSerializationFailure(err) {
		return fmt.Errorf("OnSuccess was interrupted: %w", errors.Join(err, undo))
	}
	return &OnSuccessError{Err: err}
}
