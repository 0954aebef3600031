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

func TestSomebodyElsesObjectIsNeverAdoptedNorItsPasswordSet(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newShop(t, enginetest.New(t, db))
		s.remote.Put(gadget{Instance: "one", Name: "a", Plan: "x", Password: nawasync.NewSecret("theirs")}, gadget{Instance: "one", Name: "b", Plan: "x"},
			gadget{Instance: "one", Name: "c", Plan: "x"})
		job, err := s.repo.Create(t.Context(), gadget{Instance: "one", Name: "a", Plan: "x", Password: nawasync.NewSecret("ours")}, byAnn)
		enginetest.NoError(t, err)
		job = s.status(t, job, tracker.StatusConflict)
		if there, _ := s.remote.look("a"); there.Password.Reveal() != "theirs" || s.remote.Writes() != 0 {
			t.Error("somebody's object was written")
		}
		if row := s.row(t, "a"); row.State != nawasync.StateConflict || !row.LastSyncedAt.IsZero() {
			t.Errorf("the row is %+v", row)
		}
		if _, err := mirror.Overwrite(t.Context(), s.engine, job.ID, nawasync.OperatorOptions{By: "user:7"}); !errors.Is(err, mirror.ErrNoConflict) {
			t.Errorf("it can be overwritten: %v", err)
		}
		// Without a secret, and equal in all that is wanted: it is what was asked for.
		same, err := s.plain.Create(t.Context(), plainGadget{Instance: "one", Name: "b", Plan: "x"}, byAnn)
		enginetest.NoError(t, err)
		s.status(t, same, tracker.StatusSuccess)
		other, err := s.plain.Create(t.Context(), plainGadget{Instance: "one", Name: "c", Plan: "y"}, byAnn)
		enginetest.NoError(t, err)
		s.status(t, other, tracker.StatusConflict)
		if s.remote.Writes() != 0 {
			t.Error("somebody's object was written")
		}
	})
}

func TestCreationThatWasCertainlyRefusedAdoptsNothingLater(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newShop(t, enginetest.New(t, db))
		first := true
		s.remote.beforeCall(func(call, name string) error {
			if call != "create" || !first {
				return nil
			}
			first = false
			// Nothing is written; meanwhile somebody else makes one.
			s.remote.Put(gadget{Instance: "one", Name: name, Plan: "x", Password: nawasync.NewSecret("theirs")})
			return &fault.Error{Class: fault.ClassRateLimited, RetryAfter: 50 * time.Millisecond, Err: enginetest.ErrBoom}
		})
		job, err := s.repo.Create(t.Context(), gadget{Instance: "one", Name: "a", Plan: "x", Password: nawasync.NewSecret("ours")}, byAnn)
		enginetest.NoError(t, err)
		s.status(t, job, tracker.StatusConflict)
		if there, _ := s.remote.look("a"); there.Password.Reveal() != "theirs" {
			t.Error("its password was set")
		}
	})
}
