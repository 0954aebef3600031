package mirror_test

import (
	"strings"
	"testing"

	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

func TestObjectThatCannotBeStoredDoesNotStopTheOthers(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newShop(t, enginetest.New(t, db))
		s.remote.Put(append(numberedGadgets(10), gadget{Instance: "one"})...)
		got := resultOf(t, s.waitStatus(t, s.sync(t), tracker.StatusSuccess))
		if got.Created != 10 || got.Refused != 1 || len(got.Refusals) != 1 || !strings.Contains(got.Refusals[0], "invalid key") {
			t.Errorf("sync result = %+v, want 10 created and one named as refused", got)
		}
	})
}
