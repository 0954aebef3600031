package mirror_test

import (
	"sync"
	"testing"

	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// Each of the two syncs waits in its listing until the other one has begun its own listing, so they
// can only succeed if they run at the same time.
func TestSyncsOfTwoInstancesRunConcurrently(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newShop(t, enginetest.New(t, db))
		s.remote.Put(gadget{Instance: "one", Name: "a"}, gadget{Instance: "two", Name: "a"})
		var both sync.WaitGroup
		both.Add(2)
		s.remote.beforePage(func(int) {
			both.Done()
			both.Wait()
		})
		var jobs []*tracker.Job
		for _, instance := range []string{"one", "two"} {
			job, err := s.repo.SyncNow(t.Context(), gadget{Instance: instance}, "", byUser)
			enginetest.NoError(t, err)
			jobs = append(jobs, job)
		}
		for _, job := range jobs {
			s.waitStatus(t, job, tracker.StatusSuccess)
		}
	})
}
