package mirror_test

import (
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/tracker"
)

func TestDeleteConflictsWithARemoteChangeAndSucceedsForAMissingObject(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSyncedShop(t, db, 2)
		s.changeRemote("g0000", setPlan("gold"))
		job, err := s.repo.Delete(t.Context(), s.row(t, "g0000"), byUser)
		enginetest.NoError(t, err)
		s.waitStatus(t, job, tracker.StatusConflict)
		if _, found := s.remote.find("g0000"); !found {
			t.Error("the changed object was deleted despite the conflict")
		}
		job, err = mirror.ApplyMine(t.Context(), s.engine, job.ID, nawasync.OperatorOptions{By: "user:7"})
		enginetest.NoError(t, err)
		s.waitStatus(t, job, tracker.StatusSuccess)
		s.remote.Drop(numberedGadgets(2)[1])
		job, err = s.repo.Delete(t.Context(), s.row(t, "g0001"), byUser)
		enginetest.NoError(t, err)
		s.waitStatus(t, job, tracker.StatusSuccess)
		if left := s.rows(t); len(left) != 0 {
			t.Errorf("rows after both deletes = %v, want none", sortedNames(left))
		}
	})
}
