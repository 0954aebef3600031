package nawasync_test

import (
	"context"
	"errors"
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

func TestAnOlderSealedPasswordDoesNotOpenInANewerRowAndRetriesDo(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		key := enginetest.Keyring(t, enginetest.NewKey(t))
		e := h.Engine(func(c *nawasync.Config) { c.Sealer = key })
		got := make(chan string, 10)
		enginetest.NoError(t, nawasync.Register(e, &enginetest.Handler[resetPassword]{Do: func(_ context.Context, run *nawasync.Run[resetPassword]) error {
			got <- run.Args.Password.Reveal()
			return nawasync.Permanent(errors.New("refused"))
		}}))
		args := func(password string) resetPassword {
			return resetPassword{Email: "a", Password: nawasync.NewSecret(password)}
		}
		older := enginetest.Dispatch(t, e, args("older-password"))
		_, err := e.Cancel(t.Context(), older.ID, nawasync.OperatorOptions{})
		enginetest.NoError(t, err)
		newer := enginetest.Dispatch(t, e, args("newer-password"))
		sealed := enginetest.Stored(t, e, older.ID).Sealed
		enginetest.NoError(t, db.Exec("UPDATE nawasync_jobs SET sealed = ? WHERE id = ?", sealed, newer.ID).Error)
		h.Start(e)
		if job := enginetest.WaitStatus(t, e, newer.ID, tracker.StatusFailed); job.ErrorClass != "undecodable" || len(got) != 0 {
			t.Errorf("the newer job is %+v, want it undecodable; the handler ran %d times", job, len(got))
		}
		// The retry of a process with the key is sealed for its own row. Without the key it is a copy, and so is
		// the retry of that one.
		keyless := h.Engine(nil)
		id := older.ID
		for i, engine := range []*nawasync.Engine{e, keyless, keyless, e} {
			retry, err := engine.Retry(t.Context(), id, nawasync.RetryOptions{Force: true})
			enginetest.NoError(t, err)
			enginetest.WaitStatus(t, e, retry.ID, tracker.StatusFailed)
			if password := <-got; password != "older-password" {
				t.Errorf("retry %d got the password %q", i, password)
			}
			id = retry.ID
		}
	})
}
