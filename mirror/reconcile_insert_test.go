package mirror_test

import (
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
)

func TestObjectThatCannotBeStoredDoesNotStopTheOthers(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newShop(t, enginetest.New(t, db))
		s.remote.Put(append(numberedGadgets(10), gadget{Instance: "one", Name: "g0000 "}, gadget{Instance: "one", Name: strings.Repeat("x", 300)})...)
		job, err := s.repo.SyncNow(t.Context(), gadget{Instance: "one"}, "", byUser)
		enginetest.NoError(t, err)
		enginetest.Eventually(t, 20*time.Second, "an attempt that reports the objects it could not store", func() bool {
			current, err := s.engine.Reader().Get(t.Context(), job.ID)
			return err == nil && strings.Contains(current.Error, "2 objects could not be stored")
		})
		if n := len(s.rows(t)); n != 10 {
			t.Errorf("the sync stored %d rows, want 10", n)
		}
		_, err = s.engine.Cancel(t.Context(), job.ID, nawasync.OperatorOptions{By: "user:7"})
		enginetest.NoError(t, err)
	})
}
