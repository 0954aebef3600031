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
		s.remote.Put(append(numberedGadgets(10), gadget{Instance: "one", Name: "g0000 "}, gadget{Instance: "one", Name: strings.Repeat("x", 300)})...)
		got := resultOf(t, s.waitStatus(t, s.sync(t), tracker.StatusSuccess))
		if got.Created != 10 || got.Refused != 2 || len(got.Refusals) != 2 || !strings.Contains(got.Refusals[1], "invalid key") {
			t.Errorf("sync result = %+v, want 10 created and two named as refused", got)
		}
	})
}
