package mirror_test

import (
	"errors"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/tracker"
)

func TestCreateNeverWritesToAnExistingObject(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newShop(t, enginetest.New(t, db))
		s.remote.Put(gadget{Instance: "one", Name: "a", Plan: "x", Password: nawasync.NewSecret("theirs")}, gadget{Instance: "one", Name: "b", Plan: "x"},
			gadget{Instance: "one", Name: "c", Plan: "x"})
		job, err := s.repo.Create(t.Context(), gadget{Instance: "one", Name: "a", Plan: "x", Password: nawasync.NewSecret("ours")}, byUser)
		enginetest.NoError(t, err)
		job = s.waitStatus(t, job, tracker.StatusConflict)
		if object, _ := s.remote.find("a"); object.Password.Reveal() != "theirs" || s.remote.Writes() != 0 {
			t.Errorf("the existing object was changed; the remote counts %d writes", s.remote.Writes())
		}
		if row := s.rows(t)["a"]; row.State != nawasync.StateConflict || !row.LastSyncedAt.IsZero() {
			t.Errorf("row = %+v, want a conflict and no LastSyncedAt", row)
		}
		if _, err := mirror.Overwrite(t.Context(), s.engine, job.ID, nawasync.OperatorOptions{By: "user:7"}); !errors.Is(err, mirror.ErrNoConflict) {
			t.Errorf("Overwrite of an existing object: error = %v, want ErrNoConflict", err)
		}
		// A type without secrets adopts an existing object whose fields all have the wanted values.
		equal, err := s.plainRepo.Create(t.Context(), plainGadget{Instance: "one", Name: "b", Plan: "x"}, byUser)
		enginetest.NoError(t, err)
		s.waitStatus(t, equal, tracker.StatusSuccess)
		different, err := s.plainRepo.Create(t.Context(), plainGadget{Instance: "one", Name: "c", Plan: "y"}, byUser)
		enginetest.NoError(t, err)
		s.waitStatus(t, different, tracker.StatusConflict)
		if s.remote.Writes() != 0 {
			t.Errorf("the remote counts %d writes, want 0", s.remote.Writes())
		}
	})
}

func TestRetryAfterARefusedCreateDoesNotAdoptAnExistingObject(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newShop(t, enginetest.New(t, db))
		first := true
		s.remote.beforeCall(func(call, name string) error {
			if call != "create" || !first {
				return nil
			}
			first = false
			// The remote refuses the create. Before the retry, another user creates an object with the same
			// name.
			s.remote.Put(gadget{Instance: "one", Name: name, Plan: "x", Password: nawasync.NewSecret("theirs")})
			return &fault.Error{Class: fault.ClassRateLimited, RetryAfter: 50 * time.Millisecond, Err: enginetest.ErrBoom}
		})
		job, err := s.repo.Create(t.Context(), gadget{Instance: "one", Name: "a", Plan: "x", Password: nawasync.NewSecret("ours")}, byUser)
		enginetest.NoError(t, err)
		s.waitStatus(t, job, tracker.StatusConflict)
		if object, _ := s.remote.find("a"); object.Password.Reveal() != "theirs" {
			t.Error("the retry changed the password of the other user's object")
		}
	})
}

func TestRetryOfACancelledCreationMakesNoSecondObject(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newShop(t, enginetest.New(t, db))
		by := nawasync.OperatorOptions{By: "user:7"}
		enginetest.NoError(t, s.engine.Pause(t.Context(), "shop", "", nawasync.PauseOptions{By: "user:7"})) // no job starts meanwhile
		first, err := s.plainRepo.Create(t.Context(), plainGadget{Instance: "one", Name: "a", Plan: "x"}, byUser)
		enginetest.NoError(t, err)
		_, err = s.engine.Cancel(t.Context(), first.ID, by)
		enginetest.NoError(t, err)
		if _, err := s.engine.Retry(t.Context(), first.ID, nawasync.RetryOptions{By: "user:7"}); !errors.Is(err, nawasync.ErrRowGone) {
			t.Errorf("Retry: error = %v, want ErrRowGone", err)
		}
		second, err := s.plainRepo.Create(t.Context(), plainGadget{Instance: "one", Name: "a", Plan: "x"}, byUser)
		enginetest.NoError(t, err)
		_, err = s.engine.Resume(t.Context(), "shop", "", by)
		enginetest.NoError(t, err)
		s.waitStatus(t, second, tracker.StatusSuccess)
		if s.remote.Writes() != 1 {
			t.Errorf("the remote counts %d writes, want 1", s.remote.Writes())
		}
	})
}
