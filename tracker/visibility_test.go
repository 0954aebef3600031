package tracker_test

import (
	"testing"

	"github.com/nawasara/nawasync/internal/storetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

func TestPredecessorsThatALimitedReaderDoesNotShowTakeNoPlaceOfOthers(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		b := storetest.New(t, db)
		var last int64
		for _, instance := range []string{"hidden", "hidden", "hidden", "main", "main"} {
			job := storetest.NewJob(7) // one lane
			job.Instance = instance
			last = b.Insert(job)[0].ID
		}
		reader := b.Limited(tracker.Visibility{Instances: []tracker.ServiceInstance{{Service: "whm", Instance: "main"}}})
		job, err := reader.Get(t.Context(), last)
		b.NoError(err)
		list, err := reader.LanePredecessors(t.Context(), job, 2)
		b.NoError(err)
		if len(list) != 1 || list[0].ID != last-1 {
			t.Errorf("the limited reader lists %d predecessors, want the one that it shows", len(list))
		}
		if list, err = b.LanePredecessors(t.Context(), job, 2); err != nil || len(list) != 2 || list[0].Instance != "hidden" {
			t.Errorf("without a limit: %d predecessors, %v, want 2", len(list), err)
		}
	})
}
