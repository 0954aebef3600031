package jobstore

import (
	"context"
	"errors"
	"fmt"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/sqlkit"
)

// OnSuccessError means that an outcome was not written because the job's OnSuccess function
// returned Err. The function runs in the transaction of the outcome.
type OnSuccessError struct{ Err error }

func (e *OnSuccessError) Error() string { return "OnSuccess: " + e.Err.Error() }

func (e *OnSuccessError) Unwrap() error { return e.Err }

const savepoint = "nawasync_on_success"

// runOnSuccess runs a job's OnSuccess function in the transaction of its outcome, after a
// savepoint. If the function fails and the rollback to the savepoint works, the
// transaction is intact, and the success becomes a failure. After a lost connection, a deadlock or
// a lock timeout, the outcome is written again later.
func (s *Store) runOnSuccess(ctx context.Context, tx *gorm.DB, fn func(tx *gorm.DB) error) error {
	conn := sqlkit.Connect(ctx, tx)
	if err := conn.Exec("SAVEPOINT " + savepoint).Error; err != nil {
		return fmt.Errorf("begin OnSuccess: %w", err)
	}
	err := fn(tx)
	if err == nil {
		if err = conn.Exec("RELEASE SAVEPOINT " + savepoint).Error; err == nil {
			return nil
		}
		err = fmt.Errorf("ignored a database error: %w", err)
	}
	if undo := conn.Exec("ROLLBACK TO SAVEPOINT " + savepoint).Error; undo != nil || sqlkit.IsSerializationFailure(err) || sqlkit.IsLockTimeout(err) {
		return fmt.Errorf("OnSuccess was interrupted: %w", errors.Join(err, undo))
	}
	return &OnSuccessError{Err: err}
}
