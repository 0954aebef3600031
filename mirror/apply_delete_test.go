package mirror_test

import (
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/tracker"
)

func TestDeleteOfWhatSomebodyElseChangedIsAConflictAndOfTheGoneASuccess(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := stocked(t, db, 2)
		s.elsewhere("g0000", setPlan("gold"))
		job, err := s.repo.Delete(t.Context(), s.row(t, "g0000"), by)
		enginetest.OK(t, err)
		s.status(t, job, tracker.Conflict)
		if _, there := s.remote.look("g0000"); !there {
			t.Error("it was deleted")
		}
		job, err = mirror.Rebase(t.Context(), s.engine, job.ID, nawasync.OperatorOptions{By: "user:7"})
		enginetest.OK(t, err)
		s.status(t, job, tracker.Success)
		s.remote.Drop(numbered(2)[1])
		job, err = s.repo.Delete(t.Context(), s.row(t, "g0001"), by)
		enginetest.OK(t, err)
		s.status(t, job, tracker.Success)
		if left := s.rows(t); len(left) != 0 {
			t.Errorf("left are %v", names(left))
		}
	})
}
