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
		job, err := s.repo.Delete(t.Context(), s.row(t, "g0000"), byAnn)
		enginetest.NoError(t, err)
		s.status(t, job, tracker.StatusConflict)
		if _, there := s.remote.look("g0000"); !there {
			t.Error("it was deleted")
		}
		job, err = mirror.ApplyMine(t.Context(), s.engine, job.ID, nawasync.OperatorOptions{By: "user:7"})
		enginetest.NoError(t, err)
		s.status(t, job, tracker.StatusSuccess)
		s.remote.Drop(numbered(2)[1])
		job, err = s.repo.Delete(t.Context(), s.row(t, "g0001"), byAnn)
		enginetest.NoError(t, err)
		s.status(t, job, tracker.StatusSuccess)
		if left := s.rows(t); len(left) != 0 {
			t.Errorf("left are %v", names(left))
		}
	})
}
